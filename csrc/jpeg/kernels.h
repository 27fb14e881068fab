// Chroma upsampling and colour conversion exactly as libjpeg-turbo does them ("fancy" triangle
// filters, 16-bit fixed point), one table of functions per SIMD level. Private to jpeg/.
//
// Rows may be read and written kRowSlack bytes past their end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu.h"
#include "jpeg/column_picks.h"

namespace pyloader {

// Quantisation of one component, in natural order. Coefficients beyond a limit, which no encoder
// writes, are where implementations of the DCT begin to differ.
struct Dequantiser {
  alignas(64) int16_t factors[64];
  alignas(64) int16_t limits[64];
};

// Dequantises and transforms `count` blocks that lie side by side. `extents` has for each block the
// zig-zag position behind its last coefficient, 1 at least. Writes rows of whole blocks, and up to
// 8 bytes more. False when a value left the range in which every libjpeg gives the same: the
// samples are then worthless.
using InverseDct = bool(const int16_t* blocks, const uint8_t* extents, int count,
                        const Dequantiser& dequantiser, uint8_t* out, ptrdiff_t stride);

struct JpegKernels {
  // The accurate integer DCT to 8 x 8 samples, the same as libjpeg's.
  InverseDct* inverse_dct;
  // Twice the width: `count` (at least 1) samples to 2 * count.
  void (*upsample_h2v1)(const uint8_t* row, int count, uint8_t* out);
  // Twice the width of one output row between two chroma rows, `near` weighing 3, `far` 1. `sums`
  // is working memory for count + 2 values and slack.
  void (*upsample_h2v2)(const uint8_t* near, const uint8_t* far, int count, uint16_t* sums,
                        uint8_t* out);
  // The same without widening. `bias` rounds: 1 where `far` lies above, 2 below.
  void (*upsample_h1v2)(const uint8_t* near, const uint8_t* far, int count, int bias, uint8_t* out);
  // YCbCr samples to `rgb`, a row of each of R, G and B. In place is fine.
  void (*color_from_ycc)(const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int width,
                         uint8_t* const* rgb);
  // The columns of `row` that `picks` names, side by side. The row may be read kPickSlack bytes
  // past its end, `out` overwritten by kRowSlack.
  void (*pick)(const uint8_t* row, const ColumnPicks& picks, uint8_t* out);
};

const JpegKernels& jpeg_kernels(SimdLevel level);

InverseDct inverse_dct_scalar;
#if defined(__x86_64__)
InverseDct inverse_dct_avx2;
#endif

// To 4 x 4, 2 x 2 and 1 x 1 samples: halved once, twice, three times. Never false.
extern InverseDct* const kReducedInverseDcts[3];

extern const JpegKernels kScalarJpegKernels;
#if defined(__x86_64__)
extern const JpegKernels kAvx2JpegKernels;
extern const JpegKernels kAvx512JpegKernels;
#endif

}  // namespace pyloader
