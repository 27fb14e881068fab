// Opens arbitrary bytes as a JPEG: a failure with a reason or a header that makes sense, the same
// however the bytes are cut into windows.
#include "base/pixels.h"
#include "fuzz.h"
#include "inputs.h"
#include "jpeg/decoder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

struct Opened {
  Status status;
  JpegHeader header;
  uint64_t memory = 0;  // needed
};

Opened open(JpegDecoder& decoder, ByteSource& source) {
  Opened opened;
  opened.status = decoder.open(source, opened.header);
  if (opened.status.ok()) opened.memory = decoder.memory_needed();
  decoder.close();
  return opened;
}

void expect_sense(const JpegHeader& header, const ImageLimits& limits) {
  const auto [width, height] = header.size;
  expect(width > 0 && height > 0 && width < 65536 && height < 65536, "an impossible size");
  expect(int64_t{width} * height <= limits.pixels, "more pixels than the limit");
  expect(header.planes == 0 || header.planes == 1 || header.planes == 3, "an odd number of planes");
  expect((header.pixels == JpegPixels::kPlanes) == (header.planes == 3), "color without planes");
  expect(header.picks_columns == (header.planes > 0), "columns without planes");
  for (const int halvings : {header.chroma_halvings_x, header.chroma_halvings_y}) {
    expect(halvings == 0 || (halvings == 1 && header.planes == 3), "impossible halvings");
  }
}

bool same(const JpegHeader& a, const JpegHeader& b) {
  return a.size == b.size && a.pixels == b.pixels && a.picks_columns == b.picks_columns &&
         a.planes == b.planes && a.chroma_halvings_x == b.chroma_halvings_x &&
         a.chroma_halvings_y == b.chroma_halvings_y;
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static JpegDecoder decoder(available_simd_level(), EntropyDecoder::kOwn);
  Input input(data, size);
  ImageLimits limits;
  if (input.choices.one_in(4)) limits = {.pixels = input.choices.between(1, 2000), .scans = 1};
  decoder.limit(limits);
  const ExactCopy copy(input.content);
  MemorySource in_one(copy.view());
  const Opened whole = open(decoder, in_one);
  if (whole.status.ok()) {
    reached();
    expect(whole.memory > 0, "a file that needs no memory");
    expect_sense(whole.header, limits);
  } else {
    expect(!whole.status.reason().empty(), "a failure without a reason");
  }
  const int longest = input.choices.one_in(2) ? 16 : 1024;
  ChoppedSource in_windows(copy.view(), static_cast<size_t>(input.choices.between(1, longest)));
  const Opened chopped = open(decoder, in_windows);
  expect(chopped.status.code() == whole.status.code(), "windows change the verdict");
  expect(chopped.status.reason() == whole.status.reason(), "windows change the reason");
  expect(!whole.status.ok() || same(chopped.header, whole.header), "windows change the header");
  expect(chopped.memory == whole.memory, "windows change the memory that is needed");
  return 0;
}
