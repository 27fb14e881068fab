// AVX2 kernels for upsampling and colour, sixteen samples at a time.
#if defined(__x86_64__)

#include <immintrin.h>

#include "jpeg/kernels.h"

#define PYLOADER_AVX2 __attribute__((target("avx2")))

namespace pyloader {
namespace {

PYLOADER_AVX2 inline __m256i load_bytes(const uint8_t* at) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

PYLOADER_AVX2 inline __m256i load_words(const uint16_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

// Sixteen samples become 32: even results in the low byte of each word, odd ones in the high byte.
template <int kShift>
PYLOADER_AVX2 inline __m256i widen(__m256i left, __m256i here, __m256i right, int even_bias,
                                   int odd_bias) {
  const __m256i three = _mm256_add_epi16(here, _mm256_add_epi16(here, here));
  const __m256i even = _mm256_add_epi16(_mm256_add_epi16(three, left),
                                        _mm256_set1_epi16(static_cast<int16_t>(even_bias)));
  const __m256i odd = _mm256_add_epi16(_mm256_add_epi16(three, right),
                                       _mm256_set1_epi16(static_cast<int16_t>(odd_bias)));
  return _mm256_or_si256(_mm256_srli_epi16(even, kShift),
                         _mm256_slli_epi16(_mm256_srli_epi16(odd, kShift), 8));
}

// Both kernels compute every sample as if it had neighbours; the two outermost results, which read
// outside the row, are then set by the border rule (the edge repeats).
PYLOADER_AVX2 void upsample_h2v1(const uint8_t* row, int count, uint8_t* out) {
  const uint8_t first = row[0], last = row[count - 1];
  for (int i = 0; i < count; i += 16) {
    const __m256i here = load_bytes(row + i);
    // The first step has no left neighbour in memory: its left samples are here, moved up by one.
    const __m256i left = i > 0 ? load_bytes(row + i - 1)
                               : _mm256_cvtepu8_epi16(_mm_slli_si128(
                                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(row)), 1));
    const __m256i pixels = widen<2>(left, here, load_bytes(row + i + 1), 1, 2);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i), pixels);
  }
  out[0] = first;
  out[2 * count - 1] = last;
}

PYLOADER_AVX2 void upsample_h2v2(const uint8_t* near, const uint8_t* far, int count, uint16_t* sums,
                                 uint8_t* out) {
  // sums[0] and sums[count + 1] repeat the edges.
  uint16_t* inner = sums + 1;
  for (int i = 0; i < count; i += 16) {
    const __m256i a = load_bytes(near + i);
    const __m256i sum =
        _mm256_add_epi16(_mm256_add_epi16(a, _mm256_add_epi16(a, a)), load_bytes(far + i));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(inner + i), sum);
  }
  sums[0] = inner[0];
  inner[count] = inner[count - 1];
  for (int i = 0; i < count; i += 16) {
    const __m256i pixels =
        widen<4>(load_words(inner + i - 1), load_words(inner + i), load_words(inner + i + 1), 8, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 2 * i), pixels);
  }
}

PYLOADER_AVX2 void upsample_h1v2(const uint8_t* near, const uint8_t* far, int count, int bias,
                                 uint8_t* out) {
  const __m256i rounding = _mm256_set1_epi16(static_cast<int16_t>(bias));
  for (int i = 0; i < count; i += 16) {
    const __m256i a = load_bytes(near + i);
    const __m256i three = _mm256_add_epi16(a, _mm256_add_epi16(a, a));
    const __m256i sum = _mm256_add_epi16(_mm256_add_epi16(three, load_bytes(far + i)), rounding);
    const __m256i words = _mm256_srli_epi16(sum, 2);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm256_castsi256_si128(bytes));
  }
}

// (c * FIX(f) + half) >> 16 in 16-bit steps: mulhi(2 * c, FIX(f)) keeps one bit more than needed,
// and adding 1 before dropping it rounds exactly like the 32-bit formula.
PYLOADER_AVX2 inline __m256i scaled(__m256i twice, int16_t factor) {
  const __m256i product = _mm256_mulhi_epi16(twice, _mm256_set1_epi16(factor));
  return _mm256_srai_epi16(_mm256_add_epi16(product, _mm256_set1_epi16(1)), 1);
}

// Sixteen bytes of each half, in order.
PYLOADER_AVX2 inline void store_bytes(uint8_t* out, __m256i front, __m256i back) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      _mm256_permute4x64_epi64(_mm256_packus_epi16(front, back), 0xD8));
}

struct Rgb {
  __m256i r, g, b;
};

// Sixteen pixels as words, not clipped yet.
PYLOADER_AVX2 inline Rgb rgb_of(__m256i light, __m256i cb, __m256i cr) {
  // Factors above a half of 65536 are taken as 1 - f or 2 - f, so that they fit 16 bits:
  // R = Y + Cr + 0.402 Cr, B = Y + 2 Cb - 0.228 Cb, G = Y - Cr - 0.34414 Cb + 0.28586 Cr.
  const __m256i green_factors = _mm256_set1_epi32(
      static_cast<int>((static_cast<uint32_t>(18734) << 16) | static_cast<uint16_t>(-22554)));
  const __m256i half = _mm256_set1_epi32(1 << 15);
  const __m256i center = _mm256_set1_epi16(128);
  const __m256i blue = _mm256_sub_epi16(cb, center), red = _mm256_sub_epi16(cr, center);
  const __m256i twice_blue = _mm256_add_epi16(blue, blue);
  const __m256i twice_red = _mm256_add_epi16(red, red);
  const __m256i green0 = _mm256_srai_epi32(
      _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(blue, red), green_factors), half),
      16);
  const __m256i green1 = _mm256_srai_epi32(
      _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(blue, red), green_factors), half),
      16);
  return {_mm256_add_epi16(_mm256_add_epi16(light, red), scaled(twice_red, 26345)),
          _mm256_add_epi16(_mm256_sub_epi16(light, red), _mm256_packs_epi32(green0, green1)),
          _mm256_add_epi16(_mm256_add_epi16(light, twice_blue), scaled(twice_blue, -14942))};
}

PYLOADER_AVX2 void color_from_ycc(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int width,
                                  uint8_t* const* rgb) {
  for (int x = 0; x < width; x += 32) {
    const Rgb front = rgb_of(load_bytes(y + x), load_bytes(cb + x), load_bytes(cr + x));
    const Rgb back =
        rgb_of(load_bytes(y + x + 16), load_bytes(cb + x + 16), load_bytes(cr + x + 16));
    store_bytes(rgb[0] + x, front.r, back.r);
    store_bytes(rgb[1] + x, front.g, back.g);
    store_bytes(rgb[2] + x, front.b, back.b);
  }
}

// Eight outputs from sixteen bytes.
PYLOADER_AVX2 void pick(const uint8_t* row, const ColumnPicks& picks, uint8_t* out) {
  const ColumnPicks::Table& table = picks.lanes8();
  if (!table.fits) return kScalarJpegKernels.pick(row, picks, out);
  const uint8_t* index = table.index.data();
  for (const int32_t base : table.base) {
    const __m128i window = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + base));
    const __m128i shuffle = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(index));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(window, shuffle));
    index += 8;
    out += 8;
  }
}

}  // namespace

const JpegKernels kAvx2JpegKernels = {
    .inverse_dct = inverse_dct_avx2,
    .upsample_h2v1 = upsample_h2v1,
    .upsample_h2v2 = upsample_h2v2,
    .upsample_h1v2 = upsample_h1v2,
    .color_from_ycc = color_from_ycc,
    .pick = pick,
};

}  // namespace pyloader

#endif
