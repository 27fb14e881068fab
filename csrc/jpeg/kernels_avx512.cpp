// What AVX-512 does better than AVX2: picking bytes out of two registers at once.
#if defined(__x86_64__)

// GCC 12 warns about its own headers (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "jpeg/kernels.h"

#define PYLOADER_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

namespace pyloader {
namespace {

// 32 outputs from 128 bytes.
PYLOADER_AVX512 void pick(const uint8_t* row, const ColumnPicks& picks, uint8_t* out) {
  const ColumnPicks::Table& table = picks.lanes32();
  if (!table.fits) return kScalarJpegKernels.pick(row, picks, out);
  const uint8_t* index = table.index.data();
  for (const int32_t base : table.base) {
    const __m512i shuffle =
        _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
    const __m512i picked = _mm512_permutex2var_epi8(_mm512_loadu_si512(row + base), shuffle,
                                                    _mm512_loadu_si512(row + base + 64));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(picked));
    index += 32;
    out += 32;
  }
}

void upsample_h2v1(const uint8_t* row, int count, uint8_t* out) {
  kAvx2JpegKernels.upsample_h2v1(row, count, out);
}

void upsample_h2v2(const uint8_t* near, const uint8_t* far, int count, uint16_t* sums,
                   uint8_t* out) {
  kAvx2JpegKernels.upsample_h2v2(near, far, count, sums, out);
}

void upsample_h1v2(const uint8_t* near, const uint8_t* far, int count, int bias, uint8_t* out) {
  kAvx2JpegKernels.upsample_h1v2(near, far, count, bias, out);
}

void color_from_ycc(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int width,
                    uint8_t* const* rgb) {
  kAvx2JpegKernels.color_from_ycc(y, cb, cr, width, rgb);
}

}  // namespace

const JpegKernels kAvx512JpegKernels = {
    .inverse_dct = inverse_dct_avx2,
    .upsample_h2v1 = upsample_h2v1,
    .upsample_h2v2 = upsample_h2v2,
    .upsample_h1v2 = upsample_h1v2,
    .color_from_ycc = color_from_ycc,
    .pick = pick,
};

}  // namespace pyloader

#endif
