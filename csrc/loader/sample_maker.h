// One sample, start to finish: encoded bytes in, values in the batch out. See the path of one image
// in the design.
#pragma once

#include <cstdint>
#include <vector>

#include "augment/augmenter.h"
#include "augment/transform.h"
#include "base/byte_source.h"
#include "base/limits.h"
#include "image/resize_plan.h"
#include "image/row_resizer.h"
#include "image/sample_store.h"
#include "jpeg/decoder.h"
#include "loader/counters.h"
#include "loader/foreign_code.h"
#include "loader/plane_resizer.h"
#include "loader/row_filters.h"
#include "memory/large_images.h"

namespace pyloader {

// What every sample of a loader becomes.
struct SampleSpec {
  SampleLayout layout;
  StoreTable table = StoreTable::identity();
  Filter filter = Filter::kNearest;
  // At most one of the two: the image is cropped to the sample's aspect ratio, or fitted into the
  // sample with zeros around it.
  bool keep_aspect_ratio = false;
  bool pad_to_aspect_ratio = false;
  Fidelity fidelity = Fidelity::kExact;
  ImageLimits limits = {};
  bool load_truncated = false;  // damaged JPEGs go to foreign code, which may load them
  AugmentSpec augment;          // of samples that have a transform, or are standardised
  FloatTarget target = FloatTarget::kUint8;  // the batch's dtype, where floats are stored
};

// A resized image as packed bytes with the channels of the batch's layout, and kRowSlack bytes
// behind the last.
struct ResizedImage {
  const uint8_t* pixels = nullptr;
  bool was_gray = false;  // it came with one channel, which is repeated in all of them
};

// Whether a JPEG that failed so is left to foreign code, which ignores what is missing in a file.
bool may_be_loaded_truncated(const Status& status, bool load_truncated);

// One per worker, one thread. All scratch lives here and is reused.
class SampleMaker {
 public:
  // `spec`, `foreign` and `large_images`, where many images' memory is counted, must outlive it.
  SampleMaker(const SampleSpec& spec, ForeignCode& foreign, SimdLevel level,
              LargeImages* large_images = nullptr);

  // Decodes, resizes, augments and stores one image at `destination` (spec.layout.bytes() bytes).
  // `transform` is a row of SampleTransform::kColumns numbers, or null for none. On failure the
  // destination's content is undefined. Throws std::bad_alloc.
  Status make(ByteSource& source, const double* transform, uint8_t* destination,
              WorkerCounters& counters);

  // Has every `make` keep the resized image for `resized` besides. Off at first.
  void keep_resized(bool keep) { keeps_ = keep; }

  // The image that `make` has just made a sample of; without pixels when foreign code stored it.
  // Valid until the next one, and while nobody writes to the sample.
  ResizedImage resized() const { return resized_; }

  // Whether the sample with this transform is the resized image, byte for byte.
  bool is_resized_image(const double* transform);

  // Memory for an image that `make_from_resized` shall take. Throws std::bad_alloc.
  uint8_t* resized_memory() { return keeper_.memory(); }

  size_t resized_bytes() const { return spec_.layout.values(); }

  // What `make` would make of the image that it has resized to this one.
  Status make_from_resized(const ResizedImage& image, const double* transform, uint8_t* destination,
                           WorkerCounters& counters);

  // The same from an image that is decoded already.
  Status make_from_image(const OtherImage& image, const double* transform, uint8_t* destination);

  // The same from a float32 image of the final size, in the batch's layout.
  Status make_from_floats(const float* image, const double* transform, uint8_t* destination,
                          WorkerCounters& counters);

 private:
  Status take_memory(uint64_t bytes);
  Status take_memory_for_other(ByteSource& source);
  Status make_jpeg(ByteSource& source, uint8_t* destination, WorkerCounters& counters);
  Status make_other(ByteSource& source, uint8_t* destination, WorkerCounters& counters);
  Status make_decoded(const OtherImage& image, uint8_t* destination);
  void choose_steps(const double* transform);
  bool stores_resized() const;
  Status make_jpeg_fast(const JpegHeader& header, uint8_t* destination, WorkerCounters& counters);
  ResizeRequest request_for(Size source);
  RowSink& begin_sink(bool gray, bool premultiplied, uint8_t* destination, int& row_channels);
  RowSink& begin_resized(bool gray, bool premultiplied, uint8_t* destination, int& row_channels);
  RowSink& begin_kept(bool gray, bool premultiplied, uint8_t* destination, int& row_channels);
  void begin_rows(RowForm form, bool premultiplied, bool picked, uint8_t* destination);
  Status finish_sample(uint8_t* destination);
  void trim();
  void push_jpeg_rows(const RowBand& band, JpegPixels pixels, int width);

  const SampleSpec& spec_;
  ForeignCode& foreign_;
  const ImageKernels& kernels_;
  LargeImages* const large_images_;
  LargeImages::Hold hold_;        // of the present image
  const StoreTable float_table_;  // for samples on their way to `finish`
  AxisPlanCache plans_;
  ResizePlan plan_;
  JpegDecoder decoder_;
  RowResizer resizer_;
  PlaneResizer plane_resizer_;
  SampleStore store_;            // bytes to the batch
  SampleStore float_store_;      // bytes to float_image_
  const AugmentSpec warp_only_;  // what precedes `finish`: no rescale, no statistics
  Augmenter augmenter_;          // to the batch
  Augmenter float_augmenter_;    // to float_image_
  Unpremultiplier unpremultiplier_;
  Framer framer_;
  PixelKeeper keeper_;
  bool keeps_ = false;
  std::vector<float> float_image_;

  // Of the present sample.
  const double* transform_given_ = nullptr;
  const double* transform_row_ = nullptr;  // what is left of it for `finish`
  SampleTransform transform_;
  bool augments_ = false;  // it passes through an augmenter
  ResizedImage resized_;
  Box fitted_box_;     // with pad_to_aspect_ratio
  Scratch converted_;  // rows in the form that the resizer takes
  std::vector<const uint8_t*> converted_rows_;
  std::vector<uint8_t> content_;  // whole files of other formats
};

}  // namespace pyloader
