// Pillow's conversions between pixel forms, a row at a time, in its integers.
#pragma once

#include <cstdint>

namespace pyloader {

// 4-byte pixels (R, G, B, 255) from inverted CMYK, as Adobe's JPEGs store it. In place is fine.
void color_from_inverted_cmyk(const uint8_t* src, uint8_t* dst, int width);

// 4-byte pixels (R, G, B, 255) from packed RGB. `dst` may not overlap `src`.
void color_from_rgb(const uint8_t* src, uint8_t* dst, int width);

// RGBA with its colours multiplied by alpha, and back: Pillow resizes in that form.
void premultiply(const uint8_t* src, uint8_t* dst, int width);
void unpremultiply(const uint8_t* src, uint8_t* dst, int width);

}  // namespace pyloader
