#include "loader/load_image.h"

#include <vector>

#include "io/file_source.h"
#include "jpeg/decoder.h"
#include "loader/sample_maker.h"

namespace pyloader {

Status load_image(ByteSource& source, const ImageRequest& request, ForeignCode& foreign,
                  const std::function<uint8_t*(Size)>& allocate, bool& stored) {
  stored = false;
  if (source.window().empty()) return {StatusCode::kBadImage, "the file is empty"};
  bool is_jpeg = looks_like_jpeg(source.window());
  Size natural;
  OtherImage image;
  if (is_jpeg) {
    JpegDecoder decoder(simd_level());
    decoder.limit(request.limits);
    JpegHeader header;
    Status status = decoder.open(source, header);
    if (!status.ok()) {
      if (!may_be_loaded_truncated(status, request.load_truncated)) return status;
      is_jpeg = false;
    }
    natural = header.size;
    if (Status again = read_again(source); !again.ok()) return again;
  }
  if (!is_jpeg) {
    if (Status status = check_other(source, foreign); !status.ok()) return status;
    std::vector<uint8_t> content;
    if (Status status = read_all(source, kMaxOtherFile, content); !status.ok()) return status;
    if (Status status = foreign.decode_other(content, nullptr, nullptr, image); !status.ok())
      return status;
    stored = image.stored;
    if (stored) return {};
    natural = image.view.size;
  }

  SampleSpec spec;
  spec.layout.size = request.target == Size{} ? natural : request.target;
  spec.layout.channels = channels_of(request.color_mode);
  spec.filter = request.filter;
  spec.keep_aspect_ratio = request.keep_aspect_ratio;
  spec.fidelity = request.fidelity;
  spec.limits = request.limits;
  spec.load_truncated = request.load_truncated;
  SampleMaker maker(spec, foreign, simd_level());
  uint8_t* destination = allocate(spec.layout.size);
  if (!is_jpeg) return maker.make_from_image(image, nullptr, destination);
  WorkerCounters counters;
  return maker.make(source, nullptr, destination, counters);
}

}  // namespace pyloader
