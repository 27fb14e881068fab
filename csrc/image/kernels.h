// The inner loops of resizing and storing, one table of functions per SIMD level. Every level gives
// the same bits; the scalar one is the reference.
//
// Pixels come in planes (gray, or one for each of R, G and B), 1 byte each, and as 4-byte pixels
// (R, G, B and a fourth byte that is alpha or filler). All row buffers have kRowSlack bytes behind
// their last pixel, which kernels may read and overwrite.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu.h"
#include "image/axis_plan.h"

namespace pyloader {

// Rows of 4-byte pixels that one call of a horizontal kernel takes at the most, and rows of planes.
inline constexpr int kMaxRows = 4;
inline constexpr int kMaxPlaneRows = 3 * kMaxRows;

struct ImageKernels {
  // Resamples `rows` (1 to kMaxPlaneRows) rows of planes along x.
  void (*horizontal_plane)(const uint8_t* const* src, uint8_t* const* dst, int rows,
                           const AxisPlan& plan);
  // The same for 1 to kMaxRows rows of 4-byte pixels; `dst_channels` (3 or 4) bytes of each are
  // written.
  void (*horizontal_color)(const uint8_t* const* src, uint8_t* const* dst, int rows,
                           const AxisPlan& plan, int dst_channels);
  // Output row `index` from `plan.count[index]` source rows: `bytes` bytes, any pixel form.
  void (*vertical)(const uint8_t* const* src, uint8_t* dst, int bytes, const AxisPlan& plan,
                   int index);
  // Pillow's conversion of RGB to L, from 4-byte pixels.
  void (*gray_from_color)(const uint8_t* src, uint8_t* dst, int width);
  // The same from planes.
  void (*gray_from_planes)(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst,
                           int width);
  // Planes to pixels of `dst_channels` (3 or 4) bytes; the fourth is 255.
  void (*interleave)(const uint8_t* r, const uint8_t* g, const uint8_t* b, uint8_t* dst, int width,
                     int dst_channels);
  // dst[i] = src[i] * scale in single precision. `past_cache`: straight to memory, for what will
  // have left the cache anyway before it is read.
  void (*store_float)(const uint8_t* src, float* dst, size_t count, float scale, bool past_cache);
  // The three planes of packed RGB: plane[c][i] = src[3 * i + c] * scale.
  void (*store_float_planes)(const uint8_t* src, float* const* planes, int width, float scale);
};

const ImageKernels& image_kernels(SimdLevel level);

// One table per level, each in a file of its own.
extern const ImageKernels kScalarImageKernels;
#if defined(__x86_64__)
extern const ImageKernels kAvx2ImageKernels;
extern const ImageKernels kAvx512ImageKernels;
#endif

}  // namespace pyloader
