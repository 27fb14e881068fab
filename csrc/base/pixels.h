// Words for pixels that every room shares: colour modes, sizes, views of rows.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pyloader {

// What a batch holds per pixel. The value is the number of channels.
enum class ColorMode : int { kGrayscale = 1, kRgb = 3, kRgba = 4 };

constexpr int channels_of(ColorMode mode) { return static_cast<int>(mode); }

// Which pixels: those that Pillow gives, or approximations within a stated bound, sooner.
enum class Fidelity { kExact, kFast };

struct Size {
  int width = 0;
  int height = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

// A borrowed 8-bit image, rows of `width * channels` bytes, `stride` bytes apart.
struct ImageView {
  const uint8_t* data = nullptr;
  Size size;
  int channels = 0;
  ptrdiff_t stride = 0;

  const uint8_t* row(int y) const { return data + static_cast<ptrdiff_t>(y) * stride; }
};

// Kernels may read, and write, this many bytes past the last pixel of a row. Every row buffer has
// them; what they hold never reaches a result.
inline constexpr size_t kRowSlack = 64;

// Pillow refuses images above this many pixels (twice its MAX_IMAGE_PIXELS) as decompression bombs.
inline constexpr int64_t kMaxPixels = 2 * 89478485LL;

}  // namespace pyloader
