// The last step of samples that were augmented or standardised: float32 rows become values of the
// batch's dtype in the batch's layout.
#pragma once

#include <cstdint>

#include "base/sample_layout.h"

namespace pyloader {

enum class FloatTarget { kFloat32, kFloat64, kFloat16, kUint8 };

class FloatStore {
 public:
  FloatStore(const SampleLayout& layout, FloatTarget target) : layout_(layout), target_(target) {}

  void begin(uint8_t* destination) { destination_ = destination; }

  // A whole sample in the batch's layout already.
  void whole(const float* values) const;

  // Row y: width * channels packed values. Conversions are NumPy's: integers truncate.
  void row(int y, const float* values) const;

 private:
  const SampleLayout layout_;
  const FloatTarget target_;
  uint8_t* destination_ = nullptr;
};

}  // namespace pyloader
