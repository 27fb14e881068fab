// What a single image may ask for.
#pragma once

#include <cstdint>

#include "base/pixels.h"

namespace pyloader {

struct ImageLimits {
  int64_t pixels = kMaxPixels;
  int scans = 500;  // of a JPEG; libjpeg decodes every one of them over the whole image
};

}  // namespace pyloader
