// AVX-512 kernels for processors with VNNI and VBMI: four taps in one 8-bit dot product. A weight
// is split into three signed bytes (AxisPlan); the three sums are exact in 32 bits and add up to
// the very sum of the reference.
#if defined(__x86_64__)

// GCC 12 warns about its own headers (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>
#include <string.h>

#include "image/kernels.h"

#define PYLOADER_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")))

namespace pyloader {
namespace {

struct Weights {
  const int8_t* byte0;
  const int8_t* byte1;
  const int8_t* byte2;
};

PYLOADER_AVX512 inline Weights weights_of(const AxisPlan& plan, int index) {
  const ptrdiff_t row = static_cast<ptrdiff_t>(index) * plan.stride;
  return {plan.byte0.data() + row, plan.byte1.data() + row, plan.byte2.data() + row};
}

PYLOADER_AVX512 inline __m512i quad_at(const int8_t* weights) {
  int32_t quad;
  memcpy(&quad, weights, sizeof(quad));
  return _mm512_set1_epi32(quad);
}

// The three sums put together, rounded; `sum0` started from a half.
PYLOADER_AVX512 inline __m512i finish(__m512i sum0, __m512i sum1, __m512i sum2) {
  const __m512i upper = _mm512_add_epi32(_mm512_slli_epi32(sum1, 8), _mm512_slli_epi32(sum2, 16));
  return _mm512_srai_epi32(_mm512_add_epi32(sum0, upper), kWeightBits);
}

struct FourRows {
  const uint8_t* row0;
  const uint8_t* row1;
  const uint8_t* row2;
  const uint8_t* row3;
};

// Output pixel x of four rows, one row in each 128-bit lane: a 32-bit value per channel. Four
// 4-byte pixels are 16 bytes; the shuffle gathers the four taps of each channel. `groups` is the
// number of four-tap steps.
PYLOADER_AVX512 inline __m512i color_pixel(const FourRows& src, const AxisPlan& plan, int x,
                                           int groups) {
  const __m512i by_channel =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const ptrdiff_t offset = static_cast<ptrdiff_t>(plan.first[static_cast<size_t>(x)]) * 4;
  const Weights weights = weights_of(plan, x);
  __m512i sum0 = _mm512_set1_epi32(1 << (kWeightBits - 1));
  __m512i sum1 = _mm512_setzero_si512(), sum2 = _mm512_setzero_si512();
  for (int g = 0; g < groups; ++g) {
    const ptrdiff_t at = offset + 16 * g;
    __m512i pixels =
        _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src.row0 + at)));
    pixels = _mm512_inserti32x4(
        pixels, _mm_loadu_si128(reinterpret_cast<const __m128i*>(src.row1 + at)), 1);
    pixels = _mm512_inserti32x4(
        pixels, _mm_loadu_si128(reinterpret_cast<const __m128i*>(src.row2 + at)), 2);
    pixels = _mm512_inserti32x4(
        pixels, _mm_loadu_si128(reinterpret_cast<const __m128i*>(src.row3 + at)), 3);
    const __m512i taps = _mm512_shuffle_epi8(pixels, by_channel);
    sum0 = _mm512_dpbusd_epi32(sum0, taps, quad_at(weights.byte0 + 4 * g));
    sum1 = _mm512_dpbusd_epi32(sum1, taps, quad_at(weights.byte1 + 4 * g));
    sum2 = _mm512_dpbusd_epi32(sum2, taps, quad_at(weights.byte2 + 4 * g));
  }
  return finish(sum0, sum1, sum2);
}

// kGroups: four-tap steps of every pixel, where the whole plan needs few; else 0, and each pixel
// takes its own number. A fixed number may read 3 * 16 bytes past a row.
template <int kGroups>
PYLOADER_AVX512 void color_rows(const FourRows& src, uint8_t* const* dst, int rows,
                                const AxisPlan& plan, int dst_channels) {
  // Without its fourth byte, a pixel moves up to the one before.
  const __m512i packed = _mm512_broadcast_i32x4(
      dst_channels == 3 ? _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)
                        : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const int last = plan.out_size - 1;
  const auto pixel = [&](int x) PYLOADER_AVX512 {
    if (x > last) x = last;  // fills up the last four; lands in the slack
    return color_pixel(src, plan, x,
                       kGroups > 0 ? kGroups : (plan.count[static_cast<size_t>(x)] + 3) / 4);
  };
  for (int x = 0; x <= last; x += 4) {
    const __m512i front = _mm512_packs_epi32(pixel(x), pixel(x + 1));
    const __m512i back = _mm512_packs_epi32(pixel(x + 2), pixel(x + 3));
    const __m512i bytes = _mm512_shuffle_epi8(_mm512_packus_epi16(front, back), packed);
    const ptrdiff_t to = static_cast<ptrdiff_t>(x) * dst_channels;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst[0] + to), _mm512_castsi512_si128(bytes));
    if (rows > 1) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst[1] + to),
                       _mm512_extracti32x4_epi32(bytes, 1));
    }
    if (rows > 2) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst[2] + to),
                       _mm512_extracti32x4_epi32(bytes, 2));
    }
    if (rows > 3) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst[3] + to),
                       _mm512_extracti32x4_epi32(bytes, 3));
    }
  }
}

PYLOADER_AVX512 void horizontal_color(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                      const AxisPlan& plan, int dst_channels) {
  const FourRows four = {src[0], src[rows > 1 ? 1 : 0], src[rows > 2 ? 2 : 0],
                         src[rows > 3 ? 3 : 0]};
  switch ((plan.max_count + 3) / 4) {
    case 1: return color_rows<1>(four, dst, rows, plan, dst_channels);
    case 2: return color_rows<2>(four, dst, rows, plan, dst_channels);
    case 3: return color_rows<3>(four, dst, rows, plan, dst_channels);
    default: return color_rows<0>(four, dst, rows, plan, dst_channels);
  }
}

PYLOADER_AVX512 void vertical(const uint8_t* const* src, uint8_t* dst, int bytes,
                              const AxisPlan& plan, int index) {
  const int count = plan.count[static_cast<size_t>(index)];
  const Weights weights = weights_of(plan, index);
  const __m512i zero = _mm512_setzero_si512();
  for (int i = 0; i < bytes; i += 64) {
    __m512i sum[3][4];
    for (int q = 0; q < 4; ++q) {
      sum[0][q] = _mm512_set1_epi32(1 << (kWeightBits - 1));
      sum[1][q] = sum[2][q] = zero;
    }
    for (int t = 0; t < count; t += 4) {
      // Rows past the last are paired with it; their weights are zero.
      const int last = count - 1;
      const __m512i a = _mm512_loadu_si512(src[t] + i);
      const __m512i b = _mm512_loadu_si512(src[t + 1 < last ? t + 1 : last] + i);
      const __m512i c = _mm512_loadu_si512(src[t + 2 < last ? t + 2 : last] + i);
      const __m512i d = _mm512_loadu_si512(src[t + 3 < last ? t + 3 : last] + i);
      const __m512i ab_front = _mm512_unpacklo_epi8(a, b);
      const __m512i ab_back = _mm512_unpackhi_epi8(a, b);
      const __m512i cd_front = _mm512_unpacklo_epi8(c, d);
      const __m512i cd_back = _mm512_unpackhi_epi8(c, d);
      const __m512i quads[4] = {
          _mm512_unpacklo_epi16(ab_front, cd_front), _mm512_unpackhi_epi16(ab_front, cd_front),
          _mm512_unpacklo_epi16(ab_back, cd_back), _mm512_unpackhi_epi16(ab_back, cd_back)};
      const __m512i weight[3] = {quad_at(weights.byte0 + t), quad_at(weights.byte1 + t),
                                 quad_at(weights.byte2 + t)};
      for (int part = 0; part < 3; ++part) {
        for (int q = 0; q < 4; ++q) {
          sum[part][q] = _mm512_dpbusd_epi32(sum[part][q], quads[q], weight[part]);
        }
      }
    }
    const __m512i words0 = _mm512_packs_epi32(finish(sum[0][0], sum[1][0], sum[2][0]),
                                              finish(sum[0][1], sum[1][1], sum[2][1]));
    const __m512i words1 = _mm512_packs_epi32(finish(sum[0][2], sum[1][2], sum[2][2]),
                                              finish(sum[0][3], sum[1][3], sum[2][3]));
    _mm512_storeu_si512(dst + i, _mm512_packus_epi16(words0, words1));
  }
}

// One output at a time, 64 taps a step: for windows that are wide.
PYLOADER_AVX512 void taps_of_rows(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                  const AxisPlan& plan) {
  const __m512i zero = _mm512_setzero_si512();
  for (int x = 0; x < plan.out_size; ++x) {
    const ptrdiff_t first = plan.first[static_cast<size_t>(x)];
    const int count = plan.count[static_cast<size_t>(x)];
    const Weights weights = weights_of(plan, x);
    for (int r = 0; r < rows; ++r) {
      __m512i sum0 = zero, sum1 = zero, sum2 = zero;
      for (int t = 0; t < count; t += 64) {
        const int left = count - t;
        const __mmask64 used = left >= 64 ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
        const __m512i taps = _mm512_maskz_loadu_epi8(used, src[r] + first + t);
        sum0 = _mm512_dpbusd_epi32(sum0, taps, _mm512_maskz_loadu_epi8(used, weights.byte0 + t));
        sum1 = _mm512_dpbusd_epi32(sum1, taps, _mm512_maskz_loadu_epi8(used, weights.byte1 + t));
        sum2 = _mm512_dpbusd_epi32(sum2, taps, _mm512_maskz_loadu_epi8(used, weights.byte2 + t));
      }
      // Parts may wrap around; the whole fits 32 bits.
      const __m512i sums = _mm512_add_epi32(
          sum0, _mm512_add_epi32(_mm512_slli_epi32(sum1, 8), _mm512_slli_epi32(sum2, 16)));
      const auto half = uint32_t{1} << (kWeightBits - 1);
      const auto sum =
          static_cast<int32_t>(static_cast<uint32_t>(_mm512_reduce_add_epi32(sums)) + half);
      const int level = sum >> kWeightBits;
      dst[r][x] = static_cast<uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
    }
  }
}

// A step of sixteen outputs: the shuffle of the window and the weights.
struct Step {
  __m512i index, byte0, byte1, byte2;
};

PYLOADER_AVX512 inline Step load_step(const uint8_t* index, const int8_t* weights) {
  return {_mm512_loadu_si512(index), _mm512_loadu_si512(weights), _mm512_loadu_si512(weights + 64),
          _mm512_loadu_si512(weights + 128)};
}

struct Sums {
  __m512i part0, part1, part2;
};

PYLOADER_AVX512 inline void add_step(Sums& sums, __m512i window, const Step& step) {
  const __m512i taps = _mm512_permutexvar_epi8(step.index, window);
  sums.part0 = _mm512_dpbusd_epi32(sums.part0, taps, step.byte0);
  sums.part1 = _mm512_dpbusd_epi32(sums.part1, taps, step.byte1);
  sums.part2 = _mm512_dpbusd_epi32(sums.part2, taps, step.byte2);
}

PYLOADER_AVX512 inline void store_sums(uint8_t* out, const Sums& sums) {
  const __m512i levels =
      _mm512_max_epi32(finish(sums.part0, sums.part1, sums.part2), _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtusepi32_epi8(levels));
}

// Sixteen outputs at a time, four taps a step. kSteps: of every group, held in registers; or 0 to
// ask the table.
template <int kSteps>
PYLOADER_AVX512 void plane_rows(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                const AxisPlan& plan) {
  const LaneTable& table = plan.lanes16;
  const int steps = kSteps > 0 ? kSteps : table.steps;
  const uint8_t* index = table.index.data();
  const int8_t* weights = table.bytes.data();
  const __m512i half = _mm512_set1_epi32(1 << (kWeightBits - 1));
  const __m512i zero = _mm512_setzero_si512();
  for (int g = 0; 16 * g < plan.out_size; ++g, index += 64 * steps, weights += 192 * steps) {
    const ptrdiff_t base = table.base[static_cast<size_t>(g)];
    Step held[kSteps > 0 ? kSteps : 1];
    for (int s = 0; s < kSteps; ++s) held[s] = load_step(index + 64 * s, weights + 192 * s);
    for (int r = 0; r < rows; ++r) {
      const __m512i window = _mm512_loadu_si512(src[r] + base);
      Sums sums = {half, zero, zero};
      for (int s = 0; s < kSteps; ++s) add_step(sums, window, held[s]);
      for (int s = kSteps; s < steps; ++s) {
        add_step(sums, window, load_step(index + 64 * s, weights + 192 * s));
      }
      store_sums(dst[r] + 16 * g, sums);
    }
  }
}

PYLOADER_AVX512 void horizontal_plane(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                      const AxisPlan& plan) {
  if (!plan.lanes16.fits) return taps_of_rows(src, dst, rows, plan);
  switch (plan.lanes16.steps) {
    case 1: return plane_rows<1>(src, dst, rows, plan);
    case 2: return plane_rows<2>(src, dst, rows, plan);
    case 3: return plane_rows<3>(src, dst, rows, plan);
    default: return plane_rows<0>(src, dst, rows, plan);
  }
}

void gray_from_color(const uint8_t* src, uint8_t* dst, int width) {
  kAvx2ImageKernels.gray_from_color(src, dst, width);
}

void gray_from_planes(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst,
                      int width) {
  kAvx2ImageKernels.gray_from_planes(r, g, b, dst, width);
}

void interleave(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst, int width,
                int dst_channels) {
  kAvx2ImageKernels.interleave(r, g, b, dst, width, dst_channels);
}

void store_float(const uint8_t* src, float* dst, size_t count, float scale, bool past_cache) {
  kAvx2ImageKernels.store_float(src, dst, count, scale, past_cache);
}

void store_float_planes(const uint8_t* src, float* const* planes, int width, float scale) {
  kAvx2ImageKernels.store_float_planes(src, planes, width, scale);
}

}  // namespace

// What VNNI does not speed up is the AVX2 kernel's.
const ImageKernels kAvx512ImageKernels = {
    .horizontal_plane = horizontal_plane,
    .horizontal_color = horizontal_color,
    .vertical = vertical,
    .gray_from_color = gray_from_color,
    .gray_from_planes = gray_from_planes,
    .interleave = interleave,
    .store_float = store_float,
    .store_float_planes = store_float_planes,
};

}  // namespace pyloader

#endif
