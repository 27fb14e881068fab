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
      y = std::min(std::max(0.0, y), y_last);
      x = std::min(std::max(0.0, x), x_last);
    } else if (!(y >= 0 && y <= y_last && x >= 0 && x <= x_last)) {
      row.offset[at] = -1;
      continue;
    }
    const double top = std::floor(y), left = std::floor(x);
    row.offset[at] = static_cast<int32_t>((static_cast<ptrdiff_t>(top) + 1) * padded_width +
                                          static_cast<ptrdiff_t>(left) + 1);
    row.below[at] = y - top;
    row.right[at] = x - left;
    row.below_single[at] = static_cast<float>(row.below[at]);
    row.right_single[at] = static_cast<float>(row.right[at]);
  }
}

// SciPy's order: each sample times its vertical, then its horizontal weight, summed in turn.
template <class Value>
float exact(const Value (&corners)[4], double below, double right) {
  double sum = corners[0] * (1 - below) * (1 - right);
  sum += corners[1] * (1 - below) * right;
  sum += corners[2] * below * (1 - right);
  sum += corners[3] * below * right;
  return static_cast<float>(sum);
}

template <class Value>
float single(const Value (&corners)[4], float below, float right) {
  const auto a = static_cast<float>(corners[0]), b = static_cast<float>(corners[1]);
  const float first = a + below * (static_cast<float>(corners[2]) - a);
  const float second = b + below * (static_cast<float>(corners[3]) - b);
  return first + right * (second - first);
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
    const auto at = static_cast<size_t>(c);
    for (int k = 0; k < target.channels; ++k) {
      const Value corners[4] = {upper[k], upper[k + 4], lower[k], lower[k + 4]};
      const float value = target.exact
                              ? exact(corners, row.below[at], row.right[at])
                              : single(corners, row.below_single[at], row.right_single[at]);
      out[k] = value * target.scale;
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
