// The last step of a sample: rows of bytes become values of the batch's dtype in the batch's
// layout, written once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/row_sink.h"
#include "base/sample_layout.h"
#include "base/scratch.h"
#include "image/kernels.h"

namespace pyloader {

// The value that each byte becomes, for any dtype: 256 values of `item_size` bytes, computed by
// whoever knows the dtype.
struct StoreTable {
  size_t item_size = 1;
  std::vector<uint8_t> values;
  bool is_identity = false;      // uint8 that stays as it is
  bool is_linear_float = false;  // float32 equal to byte * scale: computed, not looked up
  float scale = 1.0f;

  // `values` holds 256 items. `is_float` tells that they are float32.
  StoreTable(std::span<const uint8_t> values, bool is_float);
  // uint8, unchanged.
  static StoreTable identity();
};

// Writes the rows of one image. One owner, one thread; reused.
class SampleStore final : public RowSink {
 public:
  SampleStore(const SampleLayout& layout, const StoreTable& table, SimdLevel level);

  // Starts a sample at `destination` (layout.bytes() bytes). Rows come with `channels` channels: 1,
  // 3 or 4, fewer than the layout's are filled up (gray repeats, alpha is 255). `premultiplied`:
  // rows are RGBA multiplied by alpha and are to be divided again.
  void begin(uint8_t* destination, int channels, bool premultiplied);

  void accept(int y, const uint8_t* row) override;

 private:
  const uint8_t* fill_channels(const uint8_t* row);
  void store_interleaved(const uint8_t* row, uint8_t* out) const;
  void store_planes(int y, const uint8_t* row) const;

  SampleLayout layout_;
  const StoreTable& table_;
  const ImageKernels& kernels_;
  uint8_t* destination_ = nullptr;
  int channels_ = 0;
  bool premultiplied_ = false;
  Scratch row_;
};

}  // namespace pyloader
