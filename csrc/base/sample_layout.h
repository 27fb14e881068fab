// The place of one sample inside a batch.
#pragma once

#include <cstddef>

#include "base/pixels.h"

namespace pyloader {

// What one sample looks like inside a batch.
struct SampleLayout {
  Size size;
  int channels = 3;
  bool channels_first = false;
  size_t item_size = 1;  // bytes of one value: 1, 2, 4, 8 or 16

  size_t values() const {
    return static_cast<size_t>(size.width) * static_cast<size_t>(size.height) *
           static_cast<size_t>(channels);
  }
  size_t bytes() const { return values() * item_size; }
};

}  // namespace pyloader
