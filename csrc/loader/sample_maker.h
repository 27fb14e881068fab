// One sample, start to finish: encoded bytes in, values in the batch out. See the path of one image
// in the design.
#pragma once

#include <cstdint>
#include <vector>

#include "augment/augmenter.h"
#include "augment/transform.h"
#include "base/byte_source.h"
#include "image/resize_plan.h"
#include "image/row_resizer.h"
#include "image/sample_store.h"
#include "jpeg/decoder.h"
#include "loader/counters.h"
#include "loader/foreign_code.h"
#include "loader/plane_resizer.h"

namespace pyloader {

// What every sample of a loader becomes.
struct SampleSpec {
  SampleLayout layout;
  StoreTable table = StoreTable::identity();
  Filter filter = Filter::kNearest;
  bool keep_aspect_ratio = false;
  Fidelity fidelity = Fidelity::kExact;
  AugmentSpec augment;  // of samples that have a transform, or are standardised
  FloatTarget target = FloatTarget::kUint8;  // the batch's dtype, where floats are stored
};

// Rows of RGBA multiplied by alpha, divided again on their way to another sink.
class Unpremultiplier final : public RowSink {
 public:
  void begin(int width, RowSink& next);
  void accept(int y, const uint8_t* row) override;

 private:
  int width_ = 0;
  RowSink* next_ = nullptr;
  std::vector<uint8_t> row_;
};

// One per worker, one thread. All scratch lives here and is reused.
class SampleMaker {
 public:
  // `spec` and `foreign` must outlive it.
  SampleMaker(const SampleSpec& spec, ForeignCode& foreign, SimdLevel level);

  // Decodes, resizes, augments and stores one image at `destination` (spec.layout.bytes() bytes).
  // `transform` is a row of SampleTransform::kColumns numbers, or null for none. On failure the
  // destination's content is undefined. Throws std::bad_alloc.
  Status make(ByteSource& source, const double* transform, uint8_t* destination,
              WorkerCounters& counters);

  // The same from an image that is decoded already.
  Status make_from_image(const OtherImage& image, const double* transform, uint8_t* destination);

  // The same from a float32 image of the final size, in the batch's layout.
  Status make_from_floats(const float* image, const double* transform, uint8_t* destination,
                          WorkerCounters& counters);

 private:
  Status make_jpeg(ByteSource& source, uint8_t* destination, WorkerCounters& counters);
  Status make_other(ByteSource& source, uint8_t* destination, WorkerCounters& counters);
  Status make_decoded(const OtherImage& image, uint8_t* destination);
  void choose_steps(const double* transform);
  Status make_jpeg_fast(const JpegHeader& header, uint8_t* destination, WorkerCounters& counters);
  ResizeRequest request_for(Size source) const;
  RowSink& begin_sink(bool gray, bool premultiplied, uint8_t* destination, int& row_channels);
  void begin_rows(RowForm form, bool premultiplied, bool picked, uint8_t* destination);
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
  PlaneResizer plane_resizer_;
  SampleStore store_;           // bytes to the batch
  SampleStore float_store_;     // bytes to float_image_
  const AugmentSpec warp_only_;  // what precedes `finish`: no rescale, no statistics
  Augmenter augmenter_;         // to the batch
  Augmenter float_augmenter_;   // to float_image_
  Unpremultiplier unpremultiplier_;
  std::vector<float> float_image_;

  // Of the present sample.
  const double* transform_given_ = nullptr;
  const double* transform_row_ = nullptr;  // what is left of it for `finish`
  SampleTransform transform_;
  bool augments_ = false;  // it passes through an augmenter
  Scratch converted_;  // rows in the form that the resizer takes
  std::vector<const uint8_t*> converted_rows_;
  std::vector<uint8_t> content_;  // whole files of other formats
};

}  // namespace pyloader
