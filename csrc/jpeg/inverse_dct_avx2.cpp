// The inverse DCT of two blocks at a time, one in each half of the registers.
#if defined(__x86_64__)

#include <immintrin.h>

#include "jpeg/kernels.h"

#define PYLOADER_AVX2 __attribute__((target("avx2")))
#define PYLOADER_AVX2_INLINE __attribute__((target("avx2"), always_inline)) inline

namespace pyloader {
namespace {

PYLOADER_AVX2_INLINE __m256i pair(int low, int high) {
  return _mm256_set1_epi32(
      static_cast<int>(static_cast<uint32_t>(high) << 16 | (static_cast<uint32_t>(low) & 0xFFFF)));
}

// Zig-zag positions before this one lie in the first four rows and columns.
constexpr int kLowExtent = 10;

struct Half {
  __m256i v[8];
};

// One dimension for four of eight columns; see inverse_dct_scalar.cpp for the factors.
template <int kShift>
PYLOADER_AVX2_INLINE Half transform_half(__m256i p04, __m256i p26, __m256i p13, __m256i p57) {
  const __m256i half = _mm256_set1_epi32(1 << (kShift - 1));
  const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(p04, pair(8192, 8192)), half);
  const __m256i difference = _mm256_add_epi32(_mm256_madd_epi16(p04, pair(8192, -8192)), half);
  const __m256i outer = _mm256_madd_epi16(p26, pair(10703, 4433));
  const __m256i inner = _mm256_madd_epi16(p26, pair(4433, -10704));
  const __m256i even[4] = {_mm256_add_epi32(sum, outer), _mm256_add_epi32(difference, inner),
                           _mm256_sub_epi32(difference, inner), _mm256_sub_epi32(sum, outer)};
  const __m256i odd[4] = {_mm256_add_epi32(_mm256_madd_epi16(p13, pair(11363, 9633)),
                                           _mm256_madd_epi16(p57, pair(6437, 2260))),
                          _mm256_add_epi32(_mm256_madd_epi16(p13, pair(9633, -2259)),
                                           _mm256_madd_epi16(p57, pair(-11362, -6436))),
                          _mm256_add_epi32(_mm256_madd_epi16(p13, pair(6437, -11362)),
                                           _mm256_madd_epi16(p57, pair(2261, 9633))),
                          _mm256_add_epi32(_mm256_madd_epi16(p13, pair(2260, -6436)),
                                           _mm256_madd_epi16(p57, pair(9633, -11363)))};
  Half y;
  for (int i = 0; i < 4; ++i) {
    y.v[i] = _mm256_srai_epi32(_mm256_add_epi32(even[i], odd[i]), kShift);
    y.v[7 - i] = _mm256_srai_epi32(_mm256_sub_epi32(even[i], odd[i]), kShift);
  }
  return y;
}

// One dimension of all columns. Adds `bias` to every result and collects the bits in `seen`.
template <int kShift>
PYLOADER_AVX2_INLINE void transform(__m256i* x, __m256i bias, __m256i& seen) {
  const Half low =
      transform_half<kShift>(_mm256_unpacklo_epi16(x[0], x[4]), _mm256_unpacklo_epi16(x[2], x[6]),
                             _mm256_unpacklo_epi16(x[1], x[3]), _mm256_unpacklo_epi16(x[5], x[7]));
  const Half high =
      transform_half<kShift>(_mm256_unpackhi_epi16(x[0], x[4]), _mm256_unpackhi_epi16(x[2], x[6]),
                             _mm256_unpackhi_epi16(x[1], x[3]), _mm256_unpackhi_epi16(x[5], x[7]));
  for (int i = 0; i < 8; ++i) {
    x[i] = _mm256_packs_epi32(low.v[i], high.v[i]);
    seen = _mm256_or_si256(seen, _mm256_add_epi16(x[i], bias));
  }
}

PYLOADER_AVX2_INLINE void transpose(__m256i* x) {
  __m256i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      b[4 * i + 2 * j] = _mm256_unpacklo_epi32(a[4 * i + j], a[4 * i + 2 + j]);
      b[4 * i + 2 * j + 1] = _mm256_unpackhi_epi32(a[4 * i + j], a[4 * i + 2 + j]);
    }
  }
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = _mm256_unpacklo_epi64(b[i], b[4 + i]);
    x[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[4 + i]);
  }
}

// The same where only the four lowest frequencies of each dimension are there.
template <int kShift>
PYLOADER_AVX2_INLINE Half transform_low_half(__m256i p02, __m256i p13) {
  const __m256i half = _mm256_set1_epi32(1 << (kShift - 1));
  const __m256i even[4] = {
      _mm256_madd_epi16(p02, pair(8192, 10703)), _mm256_madd_epi16(p02, pair(8192, 4433)),
      _mm256_madd_epi16(p02, pair(8192, -4433)), _mm256_madd_epi16(p02, pair(8192, -10703))};
  const __m256i odd[4] = {
      _mm256_madd_epi16(p13, pair(11363, 9633)), _mm256_madd_epi16(p13, pair(9633, -2259)),
      _mm256_madd_epi16(p13, pair(6437, -11362)), _mm256_madd_epi16(p13, pair(2260, -6436))};
  Half y;
  for (int i = 0; i < 4; ++i) {
    const __m256i rounded = _mm256_add_epi32(even[i], half);
    y.v[i] = _mm256_srai_epi32(_mm256_add_epi32(rounded, odd[i]), kShift);
    y.v[7 - i] = _mm256_srai_epi32(_mm256_sub_epi32(rounded, odd[i]), kShift);
  }
  return y;
}

// The first four rows of x, of whose columns the last four are 0, to all of its columns.
PYLOADER_AVX2_INLINE void transform_low(__m256i* x, __m256i column_bias, __m256i& columns_seen,
                                        __m256i row_bias, __m256i& rows_seen) {
  const Half columns =
      transform_low_half<11>(_mm256_unpacklo_epi16(x[0], x[2]), _mm256_unpacklo_epi16(x[1], x[3]));
  __m256i a[4], b[4];
  for (int i = 0; i < 4; ++i) {
    // Two rows of four columns each, whose words are then put side by side.
    const __m256i rows = _mm256_packs_epi32(columns.v[2 * i], columns.v[2 * i + 1]);
    columns_seen = _mm256_or_si256(columns_seen, _mm256_add_epi16(rows, column_bias));
    a[i] = _mm256_unpacklo_epi16(rows, _mm256_unpackhi_epi64(rows, rows));
  }
  for (int i = 0; i < 2; ++i) {
    b[2 * i] = _mm256_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm256_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
  }
  const __m256i x0 = _mm256_unpacklo_epi64(b[0], b[2]), x1 = _mm256_unpackhi_epi64(b[0], b[2]);
  const __m256i x2 = _mm256_unpacklo_epi64(b[1], b[3]), x3 = _mm256_unpackhi_epi64(b[1], b[3]);
  const Half low =
      transform_low_half<18>(_mm256_unpacklo_epi16(x0, x2), _mm256_unpacklo_epi16(x1, x3));
  const Half high =
      transform_low_half<18>(_mm256_unpackhi_epi16(x0, x2), _mm256_unpackhi_epi16(x1, x3));
  for (int i = 0; i < 8; ++i) {
    x[i] = _mm256_packs_epi32(low.v[i], high.v[i]);
    rows_seen = _mm256_or_si256(rows_seen, _mm256_add_epi16(x[i], row_bias));
  }
}

// Two rows of both blocks.
PYLOADER_AVX2_INLINE void store_rows(__m256i rows, uint8_t* out, ptrdiff_t stride) {
  const __m256i ordered = _mm256_permute4x64_epi64(rows, 0xD8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(ordered));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + stride), _mm256_extracti128_si256(ordered, 1));
}

// Columns of words become rows of bytes.
PYLOADER_AVX2_INLINE void store_columns(const __m256i* x, uint8_t* out, ptrdiff_t stride) {
  const __m256i center = _mm256_set1_epi8(static_cast<char>(0x80));
  const __m256i x04 = _mm256_xor_si256(_mm256_packs_epi16(x[0], x[4]), center);
  const __m256i x26 = _mm256_xor_si256(_mm256_packs_epi16(x[2], x[6]), center);
  const __m256i x15 = _mm256_xor_si256(_mm256_packs_epi16(x[1], x[5]), center);
  const __m256i x37 = _mm256_xor_si256(_mm256_packs_epi16(x[3], x[7]), center);
  const __m256i x02 = _mm256_unpacklo_epi8(x04, x26), x46 = _mm256_unpackhi_epi8(x04, x26);
  const __m256i x13 = _mm256_unpacklo_epi8(x15, x37), x57 = _mm256_unpackhi_epi8(x15, x37);
  const __m256i left0 = _mm256_unpacklo_epi8(x02, x13), left4 = _mm256_unpackhi_epi8(x02, x13);
  const __m256i right0 = _mm256_unpacklo_epi8(x46, x57), right4 = _mm256_unpackhi_epi8(x46, x57);
  store_rows(_mm256_unpacklo_epi32(left0, right0), out, stride);
  store_rows(_mm256_unpackhi_epi32(left0, right0), out + 2 * stride, stride);
  store_rows(_mm256_unpacklo_epi32(left4, right4), out + 4 * stride, stride);
  store_rows(_mm256_unpackhi_epi32(left4, right4), out + 6 * stride, stride);
}

PYLOADER_AVX2_INLINE __m256i load_two(const int16_t* first, const int16_t* second) {
  return _mm256_inserti128_si256(
      _mm256_castsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(first))),
      _mm_load_si128(reinterpret_cast<const __m128i*>(second)), 1);
}

PYLOADER_AVX2_INLINE __m256i load_twice(const int16_t* at) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
}

// Both blocks are flat. False when out of range.
PYLOADER_AVX2_INLINE bool fill_two(int first, int second, uint8_t* out, ptrdiff_t stride) {
  const int levels[2] = {(first + 4) >> 3, (second + 4) >> 3};
  uint64_t bytes[2];
  bool in_range = true;
  for (int i = 0; i < 2; ++i) {
    in_range &= levels[i] >= -512 && levels[i] < 512;
    const int level = levels[i] + 128;
    const int clamped = level < 0 ? 0 : level > 255 ? 255 : level;
    bytes[i] = 0x0101010101010101u * static_cast<uint64_t>(clamped);
  }
  const __m128i row =
      _mm_set_epi64x(static_cast<int64_t>(bytes[1]), static_cast<int64_t>(bytes[0]));
  for (int y = 0; y < 8; ++y, out += stride) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), row);
  }
  return in_range;
}

}  // namespace

PYLOADER_AVX2 bool inverse_dct_avx2(const int16_t* blocks, const uint8_t* extents, int count,
                                    const Dequantiser& dequantiser, uint8_t* out,
                                    ptrdiff_t stride) {
  const __m256i column_bias = _mm256_set1_epi16(16384), row_bias = _mm256_set1_epi16(512);
  __m256i beyond = _mm256_setzero_si256(), columns_seen = beyond, rows_seen = beyond;
  bool in_range = true;
  for (int i = 0; i < count; i += 2, out += 16) {
    const int16_t* first = blocks + 64 * i;
    const bool alone = i + 1 == count;
    const int16_t* second = alone ? first : first + 64;
    if (extents[i] == 1 && (alone || extents[i + 1] == 1)) {
      const int factor = dequantiser.factors[0];
      in_range &= fill_two(*first * factor, *second * factor, out, stride);
      continue;
    }
    __m256i x[8];
    const bool low = extents[i] <= kLowExtent && (alone || extents[i + 1] <= kLowExtent);
    for (int r = 0; r < (low ? 4 : 8); ++r) {
      const __m256i coefficients = load_two(first + 8 * r, second + 8 * r);
      beyond = _mm256_or_si256(beyond, _mm256_cmpgt_epi16(_mm256_abs_epi16(coefficients),
                                                          load_twice(dequantiser.limits + 8 * r)));
      x[r] = _mm256_mullo_epi16(coefficients, load_twice(dequantiser.factors + 8 * r));
    }
    if (low) {
      transform_low(x, column_bias, columns_seen, row_bias, rows_seen);
    } else {
      transform<11>(x, column_bias, columns_seen);
      transpose(x);
      transform<18>(x, row_bias, rows_seen);
    }
    store_columns(x, out, stride);
  }
  const __m256i wrong = _mm256_or_si256(
      beyond, _mm256_or_si256(
                  _mm256_and_si256(columns_seen, _mm256_set1_epi16(static_cast<int16_t>(0x8000))),
                  _mm256_and_si256(rows_seen, _mm256_set1_epi16(static_cast<int16_t>(0xFC00)))));
  return in_range && _mm256_testz_si256(wrong, wrong) != 0;
}

}  // namespace pyloader

#endif
