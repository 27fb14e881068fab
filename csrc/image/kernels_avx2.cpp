// AVX2 kernels. A weight has 23 bits, a 16-bit multiply-add takes 16: each weight is split into a
// high and a low part (AxisPlan), both products are summed exactly in 32 bits, and
// (high << kLowBits) + low gives the very sum of the reference, so the same bits come out.
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "image/kernels.h"

#define PYLOADER_AVX2 __attribute__((target("avx2")))

namespace pyloader {
namespace {

PYLOADER_AVX2 inline __m256i finish(__m256i high, __m256i low) {
  const __m256i half = _mm256_set1_epi32(1 << (kWeightBits - 1));
  const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, kLowBits), low);
  return _mm256_srai_epi32(_mm256_add_epi32(sum, half), kWeightBits);
}

PYLOADER_AVX2 inline __m256i pair_at(const int16_t* weights) {
  int32_t pair;
  memcpy(&pair, weights, sizeof(pair));
  return _mm256_set1_epi32(pair);
}

PYLOADER_AVX2 inline __m256i load(const void* at) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(at));
}

// Sixteen bytes as words.
PYLOADER_AVX2 inline __m256i load_bytes(const uint8_t* at) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

// Output pixel x of two rows, one row in each 128-bit lane: a 32-bit value per channel. Four 4-byte
// pixels make 16 bytes; the shuffles turn pixels 0, 1 (and 2, 3) into 16-bit pairs per channel for
// the multiply-add. `pairs` is the number of two-tap steps.
PYLOADER_AVX2 inline __m256i color_pixel(const uint8_t* row0, const uint8_t* row1,
                                         const AxisPlan& plan, int x, int pairs) {
  const __m256i first_pair = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1));
  const __m256i second_pair = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1));
  const ptrdiff_t offset = static_cast<ptrdiff_t>(plan.first[static_cast<size_t>(x)]) * 4;
  const int16_t* high = plan.high.data() + static_cast<ptrdiff_t>(x) * plan.stride;
  const int16_t* low = plan.low.data() + static_cast<ptrdiff_t>(x) * plan.stride;
  __m256i sum_high = _mm256_setzero_si256();
  __m256i sum_low = _mm256_setzero_si256();
  for (int p = 0; p < pairs; p += 2) {
    const __m128i* at0 = reinterpret_cast<const __m128i*>(row0 + offset + 8 * p);
    const __m128i* at1 = reinterpret_cast<const __m128i*>(row1 + offset + 8 * p);
    const __m256i pixels = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(at0)),
                                                   _mm_loadu_si128(at1), 1);
    const __m256i pair01 = _mm256_shuffle_epi8(pixels, first_pair);
    sum_high = _mm256_add_epi32(sum_high, _mm256_madd_epi16(pair01, pair_at(high + 2 * p)));
    sum_low = _mm256_add_epi32(sum_low, _mm256_madd_epi16(pair01, pair_at(low + 2 * p)));
    if (p + 1 == pairs) break;
    const __m256i pair23 = _mm256_shuffle_epi8(pixels, second_pair);
    sum_high = _mm256_add_epi32(sum_high, _mm256_madd_epi16(pair23, pair_at(high + 2 * p + 2)));
    sum_low = _mm256_add_epi32(sum_low, _mm256_madd_epi16(pair23, pair_at(low + 2 * p + 2)));
  }
  return finish(sum_high, sum_low);
}

// kPairs: two-tap steps of every pixel, where the whole plan needs few; else 0, and each pixel
// takes its own number. A fixed number may read 3 * 16 bytes past a row.
template <int kPairs>
PYLOADER_AVX2 void color_rows(const uint8_t* const* src, uint8_t* const* dst, const AxisPlan& plan,
                              int dst_channels) {
  // Without its fourth byte, a pixel moves up to the one before.
  const __m256i packed = _mm256_broadcastsi128_si256(
      dst_channels == 3 ? _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)
                        : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  const int last = plan.out_size - 1;
  const auto pixel = [&](int x) PYLOADER_AVX2 {
    if (x > last) x = last;  // fills up the last four; lands in the slack
    return color_pixel(src[0], src[1], plan, x,
                       kPairs > 0 ? kPairs : (plan.count[static_cast<size_t>(x)] + 1) / 2);
  };
  for (int x = 0; x <= last; x += 4) {
    const __m256i front = _mm256_packs_epi32(pixel(x), pixel(x + 1));
    const __m256i back = _mm256_packs_epi32(pixel(x + 2), pixel(x + 3));
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_packus_epi16(front, back), packed);
    const ptrdiff_t to = static_cast<ptrdiff_t>(x) * dst_channels;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst[0] + to), _mm256_castsi256_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst[1] + to), _mm256_extracti128_si256(bytes, 1));
  }
}

PYLOADER_AVX2 void horizontal_color(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                    const AxisPlan& plan, int dst_channels) {
  for (int r = 0; r < rows; r += 2) {
    const int other = r + 1 < rows ? r + 1 : r;
    const uint8_t* const from[2] = {src[r], src[other]};
    uint8_t* const to[2] = {dst[r], dst[other]};
    switch ((plan.max_count + 1) / 2) {
      case 1: color_rows<1>(from, to, plan, dst_channels); break;
      case 2: color_rows<2>(from, to, plan, dst_channels); break;
      case 3: color_rows<3>(from, to, plan, dst_channels); break;
      case 4: color_rows<4>(from, to, plan, dst_channels); break;
      case 5: color_rows<5>(from, to, plan, dst_channels); break;
      case 6: color_rows<6>(from, to, plan, dst_channels); break;
      default: color_rows<0>(from, to, plan, dst_channels); break;
    }
  }
}

// One output at a time, eight taps a step: for windows that are wide.
PYLOADER_AVX2 void taps_of_rows(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                const AxisPlan& plan) {
  const __m128i half = _mm_set1_epi32(1 << (kWeightBits - 1));
  for (int r = 0; r < rows; ++r) {
    const int16_t* high = plan.high.data();
    const int16_t* low = plan.low.data();
    for (int x = 0; x < plan.out_size; ++x, high += plan.stride, low += plan.stride) {
      const uint8_t* window = src[r] + plan.first[static_cast<size_t>(x)];
      const int count = plan.count[static_cast<size_t>(x)];
      __m128i sum_high = _mm_setzero_si128();
      __m128i sum_low = _mm_setzero_si128();
      for (int t = 0; t < count; t += 8) {
        const __m128i pixels =
            _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(window + t)));
        const __m128i high8 = _mm_loadu_si128(reinterpret_cast<const __m128i*>(high + t));
        const __m128i low8 = _mm_loadu_si128(reinterpret_cast<const __m128i*>(low + t));
        sum_high = _mm_add_epi32(sum_high, _mm_madd_epi16(pixels, high8));
        sum_low = _mm_add_epi32(sum_low, _mm_madd_epi16(pixels, low8));
      }
      __m128i sum = _mm_add_epi32(_mm_slli_epi32(sum_high, kLowBits), sum_low);
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
      sum = _mm_srai_epi32(_mm_add_epi32(sum, half), kWeightBits);
      sum = _mm_packs_epi32(sum, sum);
      dst[r][x] = static_cast<uint8_t>(_mm_cvtsi128_si32(_mm_packus_epi16(sum, sum)));
    }
  }
}

// The weights of two taps of eight outputs.
struct Step {
  __m256i high, low;
};

struct Sums {
  __m256i high, low;
};

PYLOADER_AVX2 inline void add_step(Sums& sums, const uint8_t* left, const uint8_t* right,
                                   __m256i index, const Step& step) {
  const __m256i windows = _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(left))),
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(right)), 1);
  const __m256i taps = _mm256_shuffle_epi8(windows, index);
  sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(taps, step.high));
  sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(taps, step.low));
}

PYLOADER_AVX2 inline void store_eight(uint8_t* out, const Sums& sums) {
  const __m256i levels = finish(sums.high, sums.low);
  const __m256i words = _mm256_packs_epi32(levels, levels);
  const __m256i bytes = _mm256_packus_epi16(words, words);
  const __m128i eight =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), eight);
}

// Eight outputs at a time, two taps a step. kSteps: of every group, held in registers; or 0 to ask
// the table.
template <int kSteps>
PYLOADER_AVX2 void plane_rows(const uint8_t* const* src, uint8_t* const* dst, int rows,
                              const AxisPlan& plan) {
  const LaneTable& table = plan.lanes8;
  const int steps = kSteps > 0 ? kSteps : table.steps;
  const int16_t* weights = table.words.data();
  for (int g = 0; 8 * g < plan.out_size; ++g, weights += 32 * steps) {
    const auto group = static_cast<size_t>(g);
    const ptrdiff_t left = table.base[2 * group], right = table.base[2 * group + 1];
    const __m256i index = load(table.index.data() + 32 * group);
    Step held[kSteps > 0 ? kSteps : 1];
    for (int s = 0; s < kSteps; ++s)
      held[s] = {load(weights + 32 * s), load(weights + 32 * s + 16)};
    for (int r = 0; r < rows; ++r) {
      const uint8_t* row = src[r];
      Sums sums = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      for (int s = 0; s < kSteps; ++s) {
        add_step(sums, row + left + 2 * s, row + right + 2 * s, index, held[s]);
      }
      for (int s = kSteps; s < steps; ++s) {
        const Step step = {load(weights + 32 * s), load(weights + 32 * s + 16)};
        add_step(sums, row + left + 2 * s, row + right + 2 * s, index, step);
      }
      store_eight(dst[r] + 8 * g, sums);
    }
  }
}

PYLOADER_AVX2 void horizontal_plane(const uint8_t* const* src, uint8_t* const* dst, int rows,
                                    const AxisPlan& plan) {
  if (!plan.lanes8.fits) return taps_of_rows(src, dst, rows, plan);
  switch (plan.lanes8.steps) {
    case 1: return plane_rows<1>(src, dst, rows, plan);
    case 2: return plane_rows<2>(src, dst, rows, plan);
    case 3: return plane_rows<3>(src, dst, rows, plan);
    default: return plane_rows<0>(src, dst, rows, plan);
  }
}

PYLOADER_AVX2 void vertical(const uint8_t* const* src, uint8_t* dst, int bytes,
                            const AxisPlan& plan, int index) {
  const int count = plan.count[static_cast<size_t>(index)];
  const int16_t* high = plan.high.data() + static_cast<ptrdiff_t>(index) * plan.stride;
  const int16_t* low = plan.low.data() + static_cast<ptrdiff_t>(index) * plan.stride;
  const __m256i zero = _mm256_setzero_si256();
  for (int i = 0; i < bytes; i += 32) {
    __m256i high0 = zero, high1 = zero, high2 = zero, high3 = zero;
    __m256i low0 = zero, low1 = zero, low2 = zero, low3 = zero;
    for (int t = 0; t < count; t += 2) {
      // An odd last row is paired with itself; its second weight is zero.
      const uint8_t* other = t + 1 < count ? src[t + 1] : src[t];
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src[t] + i));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(other + i));
      const __m256i front = _mm256_unpacklo_epi8(a, b);
      const __m256i back = _mm256_unpackhi_epi8(a, b);
      const __m256i pairs0 = _mm256_unpacklo_epi8(front, zero);
      const __m256i pairs1 = _mm256_unpackhi_epi8(front, zero);
      const __m256i pairs2 = _mm256_unpacklo_epi8(back, zero);
      const __m256i pairs3 = _mm256_unpackhi_epi8(back, zero);
      const __m256i weight_high = pair_at(high + t);
      const __m256i weight_low = pair_at(low + t);
      high0 = _mm256_add_epi32(high0, _mm256_madd_epi16(pairs0, weight_high));
      high1 = _mm256_add_epi32(high1, _mm256_madd_epi16(pairs1, weight_high));
      high2 = _mm256_add_epi32(high2, _mm256_madd_epi16(pairs2, weight_high));
      high3 = _mm256_add_epi32(high3, _mm256_madd_epi16(pairs3, weight_high));
      low0 = _mm256_add_epi32(low0, _mm256_madd_epi16(pairs0, weight_low));
      low1 = _mm256_add_epi32(low1, _mm256_madd_epi16(pairs1, weight_low));
      low2 = _mm256_add_epi32(low2, _mm256_madd_epi16(pairs2, weight_low));
      low3 = _mm256_add_epi32(low3, _mm256_madd_epi16(pairs3, weight_low));
    }
    const __m256i words0 = _mm256_packs_epi32(finish(high0, low0), finish(high1, low1));
    const __m256i words1 = _mm256_packs_epi32(finish(high2, low2), finish(high3, low3));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + i), _mm256_packus_epi16(words0, words1));
  }
}

// 38470 does not fit a signed 16-bit factor: G * 38470 = G * 65536 - G * 27066.
PYLOADER_AVX2 void gray_from_color(const uint8_t* src, uint8_t* dst, int width) {
  const __m256i low_byte = _mm256_set1_epi16(0xFF);
  const __m256i red_blue = _mm256_set1_epi32((7471 << 16) | 19595);
  const __m256i green_only = _mm256_set1_epi32(static_cast<uint16_t>(-27066));
  const __m256i half = _mm256_set1_epi32(0x8000);
  for (int x = 0; x < width; x += 8) {
    const __m256i pixels = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + 4 * x));
    const __m256i rb = _mm256_and_si256(pixels, low_byte);  // R, B as 16-bit pairs
    const __m256i ga = _mm256_srli_epi16(pixels, 8);        // G, A
    __m256i sum =
        _mm256_add_epi32(_mm256_madd_epi16(rb, red_blue), _mm256_madd_epi16(ga, green_only));
    sum = _mm256_srai_epi32(_mm256_add_epi32(sum, half), 16);
    const __m256i green = _mm256_and_si256(ga, _mm256_set1_epi32(0xFFFF));
    sum = _mm256_add_epi32(sum, green);
    const __m256i words = _mm256_packs_epi32(sum, sum);
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const int part0 = _mm256_extract_epi32(bytes, 0);
    const int part1 = _mm256_extract_epi32(bytes, 4);
    memcpy(dst + x, &part0, 4);
    memcpy(dst + x + 4, &part1, 4);
  }
}

PYLOADER_AVX2 void gray_from_planes(const uint8_t* r, const uint8_t* g, const uint8_t* b,
                                    uint8_t* dst, int width) {
  const __m256i red_blue = _mm256_set1_epi32((7471 << 16) | 19595);
  const __m256i green_only = _mm256_set1_epi32(static_cast<uint16_t>(-27066));
  const __m256i half = _mm256_set1_epi32(0x8000), zero = _mm256_setzero_si256();
  for (int x = 0; x < width; x += 16) {
    const __m256i red = load_bytes(r + x), green = load_bytes(g + x), blue = load_bytes(b + x);
    const __m256i words = _mm256_packs_epi32(
        _mm256_srai_epi32(
            _mm256_add_epi32(
                half, _mm256_add_epi32(
                          _mm256_madd_epi16(_mm256_unpacklo_epi16(red, blue), red_blue),
                          _mm256_madd_epi16(_mm256_unpacklo_epi16(green, zero), green_only))),
            16),
        _mm256_srai_epi32(
            _mm256_add_epi32(
                half, _mm256_add_epi32(
                          _mm256_madd_epi16(_mm256_unpackhi_epi16(red, blue), red_blue),
                          _mm256_madd_epi16(_mm256_unpackhi_epi16(green, zero), green_only))),
            16));
    const __m256i sum = _mm256_add_epi16(words, green);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(sum, sum), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + x), _mm256_castsi256_si128(bytes));
  }
}

PYLOADER_AVX2 void interleave(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst,
                              int width, int dst_channels) {
  const __m128i opaque = _mm_set1_epi8(-1);
  const __m128i packed = dst_channels == 3
                             ? _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)
                             : _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (int x = 0; x < width; x += 16) {
    const __m128i red = _mm_loadu_si128(reinterpret_cast<const __m128i*>(r + x));
    const __m128i green = _mm_loadu_si128(reinterpret_cast<const __m128i*>(g + x));
    const __m128i blue = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + x));
    const __m128i rg0 = _mm_unpacklo_epi8(red, green), rg1 = _mm_unpackhi_epi8(red, green);
    const __m128i ba0 = _mm_unpacklo_epi8(blue, opaque), ba1 = _mm_unpackhi_epi8(blue, opaque);
    const __m128i fours[4] = {_mm_unpacklo_epi16(rg0, ba0), _mm_unpackhi_epi16(rg0, ba0),
                              _mm_unpacklo_epi16(rg1, ba1), _mm_unpackhi_epi16(rg1, ba1)};
    for (int q = 0; q < 4; ++q, dst += 4 * dst_channels) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm_shuffle_epi8(fours[q], packed));
    }
  }
}

PYLOADER_AVX2 inline __m256 eight_floats(const uint8_t* src, __m256 factor) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(src));
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), factor);
}

PYLOADER_AVX2 void store_float(const uint8_t* src, float* dst, size_t count, float scale,
                               bool past_cache) {
  const __m256 factor = _mm256_set1_ps(scale);
  size_t i = 0;
  if (past_cache && reinterpret_cast<uintptr_t>(dst) % sizeof(__m256) == 0) {
    for (; i + 8 <= count; i += 8) _mm256_stream_ps(dst + i, eight_floats(src + i, factor));
    _mm_sfence();
  }
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(dst + i, eight_floats(src + i, factor));
  for (; i < count; ++i) dst[i] = static_cast<float>(src[i]) * scale;
}

PYLOADER_AVX2 void store_float_planes(const uint8_t* src, float* const* planes, int width,
                                      float scale) {
  const __m256 factor = _mm256_set1_ps(scale);
  int x = 0;
  // Eight pixels are 24 bytes: two overlapping loads, then one shuffle per plane and half.
  const __m128i pick = _mm_setr_epi8(0, 3, 6, 9, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  for (; x + 8 <= width; x += 8) {
    const __m128i front = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + 3 * x));
    const __m128i back = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + 3 * x + 12));
    for (int c = 0; c < 3; ++c) {
      const __m128i shift = _mm_add_epi8(pick, _mm_set1_epi32(c * 0x01010101));
      const __m128i four0 = _mm_shuffle_epi8(front, shift);
      const __m128i four1 = _mm_shuffle_epi8(back, shift);
      const __m128i eight = _mm_unpacklo_epi32(four0, four1);
      const __m256 values = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight));
      _mm256_storeu_ps(planes[c] + x, _mm256_mul_ps(values, factor));
    }
  }
  for (; x < width; ++x) {
    for (int c = 0; c < 3; ++c) planes[c][x] = static_cast<float>(src[3 * x + c]) * scale;
  }
}

}  // namespace

const ImageKernels kAvx2ImageKernels = {
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
