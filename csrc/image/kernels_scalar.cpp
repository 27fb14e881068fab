// The reference: plain loops in Pillow's arithmetic. Fast kernels are judged against these.
#include <algorithm>

#include "image/kernels.h"

namespace pyloader {
namespace {

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

uint8_t clip_to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

const int32_t* weights_of(const AxisPlan& plan, int index) {
  return plan.weights.data() + static_cast<ptrdiff_t>(index) * plan.stride;
}

void horizontal(const uint8_t* src, uint8_t* dst, const AxisPlan& plan, int pixel, int channels) {
  for (int x = 0; x < plan.out_size; ++x) {
    const int32_t* weights = weights_of(plan, x);
    const uint8_t* window =
        src + static_cast<ptrdiff_t>(plan.first[static_cast<size_t>(x)]) * pixel;
    const int count = plan.count[static_cast<size_t>(x)];
    for (int c = 0; c < channels; ++c) {
      int32_t sum = kHalf;
      for (int t = 0; t < count; ++t) sum += weights[t] * window[t * pixel + c];
      dst[x * channels + c] = clip_to_byte(sum);
    }
  }
}

void horizontal_plane(const uint8_t* const* src, uint8_t* const* dst, int rows,
                      const AxisPlan& plan) {
  for (int r = 0; r < rows; ++r) horizontal(src[r], dst[r], plan, 1, 1);
}

void horizontal_color(const uint8_t* const* src, uint8_t* const* dst, int rows,
                      const AxisPlan& plan, int dst_channels) {
  for (int r = 0; r < rows; ++r) horizontal(src[r], dst[r], plan, 4, dst_channels);
}

void vertical(const uint8_t* const* src, uint8_t* dst, int bytes, const AxisPlan& plan, int index) {
  const int32_t* weights = weights_of(plan, index);
  const int count = plan.count[static_cast<size_t>(index)];
  for (int i = 0; i < bytes; ++i) {
    int32_t sum = kHalf;
    for (int t = 0; t < count; ++t) sum += weights[t] * src[t][i];
    dst[i] = clip_to_byte(sum);
  }
}

uint8_t gray_of(int r, int g, int b) {
  return static_cast<uint8_t>((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

void gray_from_color(const uint8_t* src, uint8_t* dst, int width) {
  for (int x = 0; x < width; ++x) dst[x] = gray_of(src[4 * x], src[4 * x + 1], src[4 * x + 2]);
}

void gray_from_planes(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst,
                      int width) {
  for (int x = 0; x < width; ++x) dst[x] = gray_of(r[x], g[x], b[x]);
}

void interleave(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst, int width,
                int dst_channels) {
  for (int x = 0; x < width; ++x, dst += dst_channels) {
    dst[0] = r[x];
    dst[1] = g[x];
    dst[2] = b[x];
    if (dst_channels == 4) dst[3] = 255;
  }
}

void store_float(const uint8_t* src, float* dst, size_t count, float scale, bool) {
  for (size_t i = 0; i < count; ++i) dst[i] = static_cast<float>(src[i]) * scale;
}

void store_float_planes(const uint8_t* src, float* const* planes, int width, float scale) {
  for (int x = 0; x < width; ++x) {
    for (int c = 0; c < 3; ++c) planes[c][x] = static_cast<float>(src[3 * x + c]) * scale;
  }
}

}  // namespace

const ImageKernels kScalarImageKernels = {
    .horizontal_plane = horizontal_plane,
    .horizontal_color = horizontal_color,
    .vertical = vertical,
    .gray_from_color = gray_from_color,
    .gray_from_planes = gray_from_planes,
    .interleave = interleave,
    .store_float = store_float,
    .store_float_planes = store_float_planes,
};

const ImageKernels& image_kernels(SimdLevel level) {
#if defined(__x86_64__)
  if (level == SimdLevel::kAvx512) return kAvx512ImageKernels;
  if (level == SimdLevel::kAvx2) return kAvx2ImageKernels;
#endif
  (void)level;
  return kScalarImageKernels;
}

}  // namespace pyloader
