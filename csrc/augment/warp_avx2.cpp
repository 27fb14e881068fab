// AVX2 kernels of the warp: four coordinates, or the four channels of a pixel, at a time.
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "augment/warp.h"

#define PYLOADER_AVX2 __attribute__((target("avx2")))

namespace pyloader {
namespace {

// Rows are padded to a multiple of four, so that the last step may write past the width.
PYLOADER_AVX2 void locate(const AffineMap& map, int r, int width, int height,
                          ptrdiff_t padded_width, bool clamp, WarpRow& row) {
  const auto padded = (static_cast<size_t>(width) + 3) / 4 * 4;
  row.resize(padded);
  const __m256d y_start = _mm256_set1_pd(map.y0 + r * map.yr);
  const __m256d x_start = _mm256_set1_pd(map.x0 + r * map.xr);
  const __m256d y_step = _mm256_set1_pd(map.yc), x_step = _mm256_set1_pd(map.xc);
  const __m256d zero = _mm256_setzero_pd();
  const __m256d y_last = _mm256_set1_pd(height - 1), x_last = _mm256_set1_pd(width - 1);
  const __m128i row_pixels = _mm_set1_epi32(static_cast<int>(padded_width));
  const __m128i one = _mm_set1_epi32(1);
  __m256d column = _mm256_setr_pd(0, 1, 2, 3);
  for (int c = 0; c < width; c += 4) {
    __m256d y = _mm256_add_pd(y_start, _mm256_mul_pd(column, y_step));
    __m256d x = _mm256_add_pd(x_start, _mm256_mul_pd(column, x_step));
    column = _mm256_add_pd(column, _mm256_set1_pd(4));
    const __m256d y_in = _mm256_min_pd(_mm256_max_pd(y, zero), y_last);
    const __m256d x_in = _mm256_min_pd(_mm256_max_pd(x, zero), x_last);
    // A clamped coordinate that changed lay outside.
    const __m256d inside =
        _mm256_and_pd(_mm256_cmp_pd(y, y_in, _CMP_EQ_OQ), _mm256_cmp_pd(x, x_in, _CMP_EQ_OQ));
    const __m256d top = _mm256_floor_pd(y_in), left = _mm256_floor_pd(x_in);
    const __m256d below = _mm256_sub_pd(y_in, top), right = _mm256_sub_pd(x_in, left);
    _mm256_storeu_pd(row.below.data() + c, below);
    _mm256_storeu_pd(row.right.data() + c, right);
    _mm_storeu_ps(row.below_single.data() + c, _mm256_cvtpd_ps(below));
    _mm_storeu_ps(row.right_single.data() + c, _mm256_cvtpd_ps(right));
    const __m128i line = _mm_add_epi32(_mm256_cvttpd_epi32(top), one);
    const __m128i pixel = _mm_add_epi32(_mm256_cvttpd_epi32(left), one);
    __m128i offset = _mm_add_epi32(_mm_mullo_epi32(line, row_pixels), pixel);
    if (!clamp) {
      // Four 64-bit masks to four 32-bit ones: outside becomes -1.
      const __m256i wide = _mm256_permutevar8x32_epi32(_mm256_castpd_si256(inside),
                                                       _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
      const __m128i keep = _mm256_castsi256_si128(wide);
      offset = _mm_or_si128(offset, _mm_xor_si128(keep, _mm_set1_epi32(-1)));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row.offset.data() + c), offset);
  }
}

// Two adjacent pixels, four channels each.
struct TwoPixels {
  __m256d left;
  __m256d right;
};

PYLOADER_AVX2 inline TwoPixels load_two(const uint8_t* pixels) {
  const __m256i values =
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels)));
  return {_mm256_cvtepi32_pd(_mm256_castsi256_si128(values)),
          _mm256_cvtepi32_pd(_mm256_extracti128_si256(values, 1))};
}

PYLOADER_AVX2 inline TwoPixels load_two(const float* pixels) {
  return {_mm256_cvtps_pd(_mm_loadu_ps(pixels)), _mm256_cvtps_pd(_mm_loadu_ps(pixels + 4))};
}

template <int kChannels>
PYLOADER_AVX2 inline void store_pixel(float* out, __m128 pixel) {
  if constexpr (kChannels == 4) {
    _mm_storeu_ps(out, pixel);
  } else {
    if constexpr (kChannels == 3) {
      _mm_storel_pi(reinterpret_cast<__m64*>(out), pixel);
      out += 2;
      pixel = _mm_movehl_ps(pixel, pixel);
    }
    _mm_store_ss(out, pixel);
  }
}

// Eight floats: the same two pixels.
PYLOADER_AVX2 inline __m256 load_singles(const uint8_t* pixels) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels))));
}

PYLOADER_AVX2 inline __m256 load_singles(const float* pixels) { return _mm256_loadu_ps(pixels); }

// SciPy's order: each sample times its vertical, then its horizontal weight, summed in turn.
template <class Value>
PYLOADER_AVX2 inline __m128 exact_pixel(const Value* upper_left, ptrdiff_t stride,
                                        const WarpRow& row, int c) {
  const __m256d one = _mm256_set1_pd(1);
  const TwoPixels upper = load_two(upper_left), lower = load_two(upper_left + stride);
  const __m256d below = _mm256_broadcast_sd(row.below.data() + c);
  const __m256d right = _mm256_broadcast_sd(row.right.data() + c);
  const __m256d above = _mm256_sub_pd(one, below), left = _mm256_sub_pd(one, right);
  __m256d sum = _mm256_mul_pd(_mm256_mul_pd(upper.left, above), left);
  sum = _mm256_add_pd(sum, _mm256_mul_pd(_mm256_mul_pd(upper.right, above), right));
  sum = _mm256_add_pd(sum, _mm256_mul_pd(_mm256_mul_pd(lower.left, below), left));
  sum = _mm256_add_pd(sum, _mm256_mul_pd(_mm256_mul_pd(lower.right, below), right));
  return _mm256_cvtpd_ps(sum);
}

template <class Value>
PYLOADER_AVX2 inline __m128 single_pixel(const Value* upper_left, ptrdiff_t stride,
                                         const WarpRow& row, int c) {
  const __m256 upper = load_singles(upper_left), lower = load_singles(upper_left + stride);
  const __m256 below = _mm256_broadcast_ss(row.below_single.data() + c);
  const __m256 both = _mm256_add_ps(upper, _mm256_mul_ps(below, _mm256_sub_ps(lower, upper)));
  const __m128 first = _mm256_castps256_ps128(both), second = _mm256_extractf128_ps(both, 1);
  const __m128 right = _mm_broadcast_ss(row.right_single.data() + c);
  return _mm_add_ps(first, _mm_mul_ps(right, _mm_sub_ps(second, first)));
}

template <int kChannels, bool kExact, class Value>
PYLOADER_AVX2 void interpolate_channels(const Value* padded, ptrdiff_t stride, const WarpRow& row,
                                        int width, const WarpTarget& target) {
  const __m128 scale = _mm_set1_ps(target.scale);
  const __m128 fill = _mm_mul_ps(_mm_set1_ps(target.outside), scale);
  const int32_t* offsets = row.offset.data();
  const ptrdiff_t step = target.step;
  float* out = target.first;
  for (int c = 0; c < width; ++c, out += step) {
    if (offsets[c] < 0) {
      store_pixel<kChannels>(out, fill);
      continue;
    }
    const Value* at = padded + ptrdiff_t{4} * offsets[c];
    const __m128 pixel =
        kExact ? exact_pixel(at, stride, row, c) : single_pixel(at, stride, row, c);
    store_pixel<kChannels>(out, _mm_mul_ps(pixel, scale));
  }
}

template <bool kExact, class Value>
PYLOADER_AVX2 void interpolate_as(const Value* padded, ptrdiff_t stride, const WarpRow& row,
                                  int width, const WarpTarget& target) {
  switch (target.channels) {
    case 1: return interpolate_channels<1, kExact>(padded, stride, row, width, target);
    case 3: return interpolate_channels<3, kExact>(padded, stride, row, width, target);
    default: return interpolate_channels<4, kExact>(padded, stride, row, width, target);
  }
}

template <class Value>
PYLOADER_AVX2 void interpolate(const Value* padded, ptrdiff_t stride, const WarpRow& row, int width,
                               const WarpTarget& target) {
  if (target.exact) return interpolate_as<true>(padded, stride, row, width, target);
  return interpolate_as<false>(padded, stride, row, width, target);
}

}  // namespace

const WarpKernels kAvx2WarpKernels = {
    .locate = locate,
    .interpolate_bytes = interpolate<uint8_t>,
    .interpolate_floats = interpolate<float>,
};

}  // namespace pyloader

#endif
