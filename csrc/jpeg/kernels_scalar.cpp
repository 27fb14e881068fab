// The reference for upsampling and colour; see libjpeg-turbo's jdsample.c and jdcolor.c for the
// formulas.
#include <algorithm>

#include "jpeg/kernels.h"

namespace pyloader {
namespace {

// Replicating the edge makes the triangle filter's border cases ordinary ones.
template <class Sample>
void widen(const Sample* row, int count, int even_bias, int odd_bias, int shift, uint8_t* out) {
  for (int i = 0; i < count; ++i) {
    const int here = 3 * row[i];
    const int left = row[std::max(i - 1, 0)];
    const int right = row[std::min(i + 1, count - 1)];
    out[2 * i] = static_cast<uint8_t>((here + left + even_bias) >> shift);
    out[2 * i + 1] = static_cast<uint8_t>((here + right + odd_bias) >> shift);
  }
}

void upsample_h2v1(const uint8_t* row, int count, uint8_t* out) { widen(row, count, 1, 2, 2, out); }

void upsample_h2v2(const uint8_t* near, const uint8_t* far, int count, uint16_t* sums,
                   uint8_t* out) {
  for (int i = 0; i < count; ++i) sums[i] = static_cast<uint16_t>(3 * near[i] + far[i]);
  widen(sums, count, 8, 7, 4, out);
}

void upsample_h1v2(const uint8_t* near, const uint8_t* far, int count, int bias, uint8_t* out) {
  for (int i = 0; i < count; ++i) out[i] = static_cast<uint8_t>((3 * near[i] + far[i] + bias) >> 2);
}

constexpr int fixed(double value) { return static_cast<int>(value * 65536 + 0.5); }

uint8_t clip(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

void color_from_ycc(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int width,
                    uint8_t* const* rgb) {
  constexpr int half = 1 << 15;
  for (int x = 0; x < width; ++x) {
    const int light = y[x], blue = cb[x] - 128, red = cr[x] - 128;
    rgb[0][x] = clip(light + ((fixed(1.40200) * red + half) >> 16));
    rgb[1][x] = clip(light + ((-fixed(0.34414) * blue - fixed(0.71414) * red + half) >> 16));
    rgb[2][x] = clip(light + ((fixed(1.77200) * blue + half) >> 16));
  }
}

void pick(const uint8_t* row, const ColumnPicks& picks, uint8_t* out) {
  for (const int32_t column : picks.columns()) *out++ = row[column];
}

}  // namespace

const JpegKernels kScalarJpegKernels = {
    .inverse_dct = inverse_dct_scalar,
    .upsample_h2v1 = upsample_h2v1,
    .upsample_h2v2 = upsample_h2v2,
    .upsample_h1v2 = upsample_h1v2,
    .color_from_ycc = color_from_ycc,
    .pick = pick,
};

const JpegKernels& jpeg_kernels(SimdLevel level) {
#if defined(__x86_64__)
  if (level == SimdLevel::kAvx512) return kAvx512JpegKernels;
  if (level == SimdLevel::kAvx2) return kAvx2JpegKernels;
#endif
  (void)level;
  return kScalarJpegKernels;
}

}  // namespace pyloader
