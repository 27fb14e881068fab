// Keras' augmentation and standardisation of one image: affine warp, channel shift, flips,
// brightness, rescale, sample-wise and feature-wise normalisation, in Keras' order.
//
// Images come as rows of bytes (from files) or as a whole float32 image (from arrays). What can be
// done on bytes stays on bytes, and goes to a sink; everything else is float32 and stored at once,
// row by row unless a step needs the whole image (its range, its mean).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "augment/float_store.h"
#include "augment/transform.h"
#include "augment/warp.h"
#include "base/cpu.h"
#include "base/row_sink.h"
#include "base/sample_layout.h"

namespace pyloader {

struct AugmentSpec {
  FillMode fill_mode = FillMode::kNearest;
  double cval = 0;
  int order = 1;  // 0 or 1
  // Order 1 in SciPy's very bits (see warp.h); needed where values are truncated.
  bool exact = false;
  float rescale = 0;  // 0: none
  bool samplewise_center = false;
  bool samplewise_std = false;
  // To subtract and to divide by; empty for none. One number per channel, or one per value of the
  // image (height, width, channels).
  std::vector<double> mean = {};
  std::vector<double> std = {};

  bool standardises() const {
    return samplewise_center || samplewise_std || !mean.empty() || !std.empty();
  }
};

// One per worker, one thread; reused. Throws std::bad_alloc.
class Augmenter final : public RowSink {
 public:
  // `spec` must outlive it. Samples have `layout` and are stored as `target`.
  Augmenter(const SampleLayout& layout, const AugmentSpec& spec, FloatTarget target,
            SimdLevel level);

  // Starts an image that comes as rows of bytes with `channels` (1, 3 or 4) channels, through
  // `accept`. Rows of finished bytes go to `bytes_sink`, which rescales them itself; finished
  // floats go to `destination`. Color may also come as 4-byte pixels of which the fourth is filler
  // (`row_channels` 4, `channels` 3): faster where the image is warped.
  void begin(const SampleTransform& transform, int channels, int row_channels, RowSink& bytes_sink,
             uint8_t* destination);

  // Whether `begin` with this transform wants color as 4-byte pixels.
  bool wants_wide_rows(const SampleTransform& transform) const {
    return choose_path(transform) != Path::kStreamBytes;
  }

  // A row of the image that was begun, in any order. `row` as RowSink says.
  void accept(int y, const uint8_t* row) override;

  // After the last row.
  void finish();

  // A whole float32 image in the batch's layout at once.
  void run(const SampleTransform& transform, const float* image, uint8_t* destination);

  // Lets go of unusually large memory after an image.
  void trim();

 private:
  // How far an image can stay bytes: all the way without leaving its row, all the way, or not.
  enum class Path { kStreamBytes, kBytes, kFloats };

  Path choose_path(const SampleTransform& transform) const;
  bool needs_whole_image() const;
  bool warp_finishes() const;
  void warp_rows();
  void emit_bytes(int y, uint8_t* row);
  void make_floats();
  template <class Value>
  void fill_row(PaddedImage<Value>& image, int y, int first_channel, float* out);
  void load_channels(int first_channel);
  void finish_row(int y, float* row);
  void finish_whole();
  void brighten_in_range(float* values, size_t count) const;
  void brighten_stretched(float low, float high);
  void standardise(int y, float* row) const;

  const SampleLayout layout_;
  const AugmentSpec& spec_;
  Warp warp_;
  FloatStore store_;
  size_t row_values_ = 0;

  SampleTransform transform_;
  Path path_ = Path::kFloats;
  int channels_ = 0;       // of the image that comes
  int row_channels_ = 0;   // of its rows
  bool is_bytes_ = false;  // whether the source is bytes, all in [0, 255]
  RowSink* bytes_sink_ = nullptr;
  std::array<uint8_t, 256> brightness_table_{};
  const float* source_ = nullptr;
  PaddedImage<uint8_t> byte_image_;
  PaddedImage<float> float_image_;
  std::vector<uint8_t> byte_row_;
  std::vector<float> warped_row_;
  std::vector<float> whole_;  // rows, or the whole image where a step needs it
};

}  // namespace pyloader
