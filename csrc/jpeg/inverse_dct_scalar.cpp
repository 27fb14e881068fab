// The reference for the inverse DCT: Loeffler, Ligtenberg and Moschytz' eleven multiplications,
// with 13 bits of fraction in the factors and 2 in the columns' results, as the IJG's accurate
// integer method rounds them. Written out as sums of products, which are the same integers.
#include <algorithm>

#include "jpeg/kernels.h"

namespace pyloader {
namespace {

struct Eight {
  int v[8];
};

Eight transform(const int* x, ptrdiff_t step, int shift) {
  const int x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step];
  const int x4 = x[4 * step], x5 = x[5 * step], x6 = x[6 * step], x7 = x[7 * step];
  const int half = 1 << (shift - 1);
  const int sum = (x0 + x4) * 8192 + half, difference = (x0 - x4) * 8192 + half;
  const int outer = x2 * 10703 + x6 * 4433, inner = x2 * 4433 - x6 * 10704;
  const int even[4] = {sum + outer, difference + inner, difference - inner, sum - outer};
  const int odd[4] = {x1 * 11363 + x3 * 9633 + x5 * 6437 + x7 * 2260,
                      x1 * 9633 - x3 * 2259 - x5 * 11362 - x7 * 6436,
                      x1 * 6437 - x3 * 11362 + x5 * 2261 + x7 * 9633,
                      x1 * 2260 - x3 * 6436 + x5 * 9633 - x7 * 11363};
  Eight y;
  for (int i = 0; i < 4; ++i) {
    y.v[i] = (even[i] + odd[i]) >> shift;
    y.v[7 - i] = (even[i] - odd[i]) >> shift;
  }
  return y;
}

bool transform_block(const int16_t* block, const Dequantiser& dequantiser, uint8_t* out,
                     ptrdiff_t stride) {
  int values[64];
  bool in_range = true;
  for (int i = 0; i < 64; ++i) {
    const int limit = dequantiser.limits[i];
    in_range &= block[i] <= limit && block[i] >= -limit;
    values[i] = block[i] * dequantiser.factors[i];
  }
  if (!in_range) return false;
  for (int x = 0; x < 8; ++x) {
    const Eight column = transform(values + x, 8, 11);
    for (int y = 0; y < 8; ++y) {
      in_range &= column.v[y] >= -16384 && column.v[y] < 16384;
      values[8 * y + x] = column.v[y];
    }
  }
  if (!in_range) return false;
  for (int y = 0; y < 8; ++y, out += stride) {
    const Eight row = transform(values + 8 * y, 1, 18);
    for (int x = 0; x < 8; ++x) {
      in_range &= row.v[x] >= -512 && row.v[x] < 512;
      out[x] = static_cast<uint8_t>(std::clamp(row.v[x] + 128, 0, 255));
    }
  }
  return in_range;
}

}  // namespace

bool inverse_dct_scalar(const int16_t* blocks, const uint8_t*, int count,
                        const Dequantiser& dequantiser, uint8_t* out, ptrdiff_t stride) {
  bool in_range = true;
  for (int i = 0; i < count; ++i) {
    in_range &= transform_block(blocks + 64 * i, dequantiser, out + 8 * i, stride);
  }
  return in_range;
}

}  // namespace pyloader
