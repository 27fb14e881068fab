// One sample, start to finish: encoded bytes in, values in the batch out. See the path of one image
// in the design.
#pragma once

#include <cstdint>
#include <vector>

#include "base/byte_source.h"
#include "image/resize_plan.h"
#include "image/row_resizer.h"
#include "image/sample_store.h"
#include "jpeg/decoder.h"
#include "loader/counters.h"
#include "loader/foreign_code.h"

namespace pyloader {

// What every sample of a loader becomes.
struct SampleSpec {
  SampleLayout layout;
  StoreTable table = StoreTable::identity();
  Filter filter = Filter::kNearest;
  bool keep_aspect_ratio = false;
};

// One per worker, one thread. All scratch lives here and is reused.
class SampleMaker {
 public:
  // `spec` and `foreign` must outlive it.
  SampleMaker(const SampleSpec& spec, ForeignCode& foreign, SimdLevel level);

  // Decodes, resizes and stores one image at `destination` (spec.layout.bytes() bytes). On failure
  // the destination's content is undefined. Throws std::bad_alloc.
  Status make(ByteSource& source, uint8_t* destination, WorkerCounters& counters);

  // The same from an image that is decoded already.
  Status make_from_image(const OtherImage& image, uint8_t* destination);

 private:
  Status make_jpeg(ByteSource& source, uint8_t* destination, WorkerCounters& counters);
  Status make_other(ByteSource& source, uint8_t* destination, WorkerCounters& counters);
  void plan_for(Size source);
  void begin_rows(int channels, bool premultiplied, uint8_t* destination);
  Status finish_sample(uint8_t* destination);
  void trim();
  void push_jpeg_rows(const RowBand& band, JpegPixels pixels, int width);

  const SampleSpec& spec_;
  ForeignCode& foreign_;
  const ImageKernels& kernels_;
  const StoreTable float_table_;  // for samples on their way to `finish`
  AxisPlanCache plans_;
  ResizePlan plan_;
  JpegDecoder decoder_;
  RowResizer resizer_;
  SampleStore store_;        // to the batch
  SampleStore float_store_;  // to float_image_
  std::vector<float> float_image_;
  Scratch converted_;  // rows in the form that the resizer takes
  std::vector<const uint8_t*> converted_rows_;
  std::vector<uint8_t> content_;  // whole files of other formats
};

}  // namespace pyloader
