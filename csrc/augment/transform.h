// What Keras' augmentation parameters mean for one image, after the random draws.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>

namespace pyloader {

// Where samples outside the image come from; names and rules are SciPy's (ndimage).
enum class FillMode { kNearest, kConstant, kReflect, kWrap };

// Output pixel (r, c) samples the input at (y0 + r * yr + c * yc, x0 + r * xr + c * xc), in pixels.
struct AffineMap {
  double yr = 1, yc = 0, xr = 0, xc = 1;
  double y0 = 0, x0 = 0;
};

// One image's transform. The steps come in this order: warp, channel shift, flips, brightness.
struct SampleTransform {
  // Numbers of one transform where they travel as a row of doubles (see transform_from_row).
  static constexpr size_t kColumns = 11;

  bool warp = false;
  AffineMap map;
  bool shifts_channels = false;
  float channel_shift = 0;
  bool flip_horizontal = false;
  bool flip_vertical = false;
  bool changes_brightness = false;
  float brightness = 1;

  bool is_identity() const {
    return !warp && !shifts_channels && !flip_horizontal && !flip_vertical && !changes_brightness;
  }
};

// Columns: warp, yr, yc, xr, xc, y0, x0, channel shift (NaN: none), horizontal flip, vertical flip,
// brightness (NaN: none).
inline SampleTransform transform_from_row(std::span<const double, SampleTransform::kColumns> row) {
  return {.warp = row[0] != 0,
          .map = {row[1], row[2], row[3], row[4], row[5], row[6]},
          .shifts_channels = !std::isnan(row[7]),
          .channel_shift = static_cast<float>(row[7]),
          .flip_horizontal = row[8] != 0,
          .flip_vertical = row[9] != 0,
          .changes_brightness = !std::isnan(row[10]),
          .brightness = static_cast<float>(row[10])};
}

}  // namespace pyloader
