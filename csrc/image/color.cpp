#include "image/color.h"

#include <algorithm>
#include <cstddef>

namespace pyloader {
namespace {

// a * b / 255, rounded.
uint8_t scaled(int a, int b) {
  const int product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

}  // namespace

void color_from_inverted_cmyk(const uint8_t* src, uint8_t* dst, int width) {
  for (ptrdiff_t i = 0; i < ptrdiff_t{4} * width; i += 4) {
    const int light = src[i + 3];  // 255 - K
    for (ptrdiff_t c = 0; c < 3; ++c) {
      dst[i + c] = static_cast<uint8_t>(light - scaled(255 - src[i + c], light));
    }
    dst[i + 3] = 255;
  }
}

void color_from_rgb(const uint8_t* src, uint8_t* dst, int width) {
  for (ptrdiff_t x = 0; x < width; ++x) {
    dst[4 * x] = src[3 * x];
    dst[4 * x + 1] = src[3 * x + 1];
    dst[4 * x + 2] = src[3 * x + 2];
    dst[4 * x + 3] = 255;
  }
}

void premultiply(const uint8_t* src, uint8_t* dst, int width) {
  for (ptrdiff_t i = 0; i < ptrdiff_t{4} * width; i += 4) {
    const uint8_t alpha = src[i + 3];
    for (ptrdiff_t c = 0; c < 3; ++c) dst[i + c] = scaled(src[i + c], alpha);
    dst[i + 3] = alpha;
  }
}

void unpremultiply(const uint8_t* src, uint8_t* dst, int width) {
  for (ptrdiff_t i = 0; i < ptrdiff_t{4} * width; i += 4) {
    const int alpha = src[i + 3];
    for (ptrdiff_t c = 0; c < 3; ++c) {
      const bool as_is = alpha == 0 || alpha == 255;
      dst[i + c] =
          as_is ? src[i + c] : static_cast<uint8_t>(std::min(255 * src[i + c] / alpha, 255));
    }
    dst[i + 3] = static_cast<uint8_t>(alpha);
  }
}

}  // namespace pyloader
