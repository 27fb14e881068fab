// The reference of the warp, in the very operations that the fast kernels do side by side.
#include <algorithm>
#include <cmath>

#include "augment/warp.h"

namespace pyloader {
namespace {

void locate(const AffineMap& map, int r, int width, int height, ptrdiff_t padded_width, bool clamp,
            WarpRow& row) {
  const double y_start = map.y0 + r * map.yr, x_start = map.x0 + r * map.xr;
  const double y_last = height - 1, x_last = width - 1;
  for (int c = 0; c < width; ++c) {
    const auto at = static_cast<size_t>(c);
    double y = y_start + c * map.yc, x = x_start + c * map.xc;
    if (clamp) {
      y = std::min(std::max(y, 0.0), y_last);
      x = std::min(std::max(x, 0.0), x_last);
    } else if (!(y >= 0 && y <= y_last && x >= 0 && x <= x_last)) {
      row.offset[at] = -1;
      continue;
    }
    const double top = std::floor(y), left = std::floor(x);
    row.offset[at] = static_cast<int32_t>((static_cast<ptrdiff_t>(top) + 1) * padded_width +
                                          static_cast<ptrdiff_t>(left) + 1);
    row.below[at] = y - top;
    row.right[at] = x - left;
  }
}

template <class Value>
void interpolate(const Value* padded, ptrdiff_t stride, const WarpRow& row, int width,
                 const WarpTarget& target) {
  float* out = target.first;
  for (int c = 0; c < width; ++c, out += target.step) {
    const int32_t offset = row.offset[static_cast<size_t>(c)];
    if (offset < 0) {
      std::fill_n(out, target.channels, target.outside * target.scale);
      continue;
    }
    const Value* upper = padded + ptrdiff_t{4} * offset;
    const Value* lower = upper + stride;
    const double below = row.below[static_cast<size_t>(c)], above = 1 - below;
    const double right = row.right[static_cast<size_t>(c)], left = 1 - right;
    for (int k = 0; k < target.channels; ++k) {
      double sum = upper[k] * above * left;
      sum += upper[k + 4] * above * right;
      sum += lower[k] * below * left;
      sum += lower[k + 4] * below * right;
      out[k] = static_cast<float>(sum) * target.scale;
    }
  }
}

}  // namespace

const WarpKernels kScalarWarpKernels = {
    .locate = locate,
    .interpolate_bytes = interpolate<uint8_t>,
    .interpolate_floats = interpolate<float>,
};

const WarpKernels& warp_kernels(SimdLevel level) {
#if defined(__x86_64__)
  // Eight doubles at a time (AVX-512) took a quarter longer than four.
  if (level >= SimdLevel::kAvx2) return kAvx2WarpKernels;
#endif
  (void)level;
  return kScalarWarpKernels;
}

}  // namespace pyloader
