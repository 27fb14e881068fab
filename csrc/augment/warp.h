// One affine resampling of an image: rotation, shift, shear and zoom in a single pass, with the
// arithmetic of scipy.ndimage.affine_transform for orders 0 and 1. Coordinates are doubles in the
// same order of operations. Order 1 interpolates in single precision, which differs from SciPy's
// results by less than 1e-4 levels, or, where that could show (brightness truncates), in doubles
// that agree in every bit.
#pragma once

#include <cstdint>
#include <vector>

#include "augment/transform.h"
#include "base/cpu.h"
#include "base/scratch.h"

namespace pyloader {

// An image of 4 interleaved channels (what is not used is filler) with its edge repeated by one
// pixel on every side, so that interpolation needs no special case there.
template <class Value>
class PaddedImage {
 public:
  // Takes memory for an image, in pixels. Throws std::bad_alloc.
  void resize(int width, int height);
  // Pixel (y, x), 0 <= y < height; the four channels of x, x + 1, ... follow.
  Value* row(int y) { return pixels_ + (static_cast<ptrdiff_t>(y) + 1) * stride_ + 4; }
  // Repeats the edges; once all rows are written.
  void pad();

  int width() const { return width_; }
  int height() const { return height_; }
  const Value* origin() const { return pixels_ + stride_ + 4; }  // pixel (0, 0)
  ptrdiff_t stride() const { return stride_; }                   // values between rows
  void trim() {
    memory_.shrink_to(kKeptScratch);
    if (memory_.capacity() == 0) pixels_ = nullptr;
  }

 private:
  Scratch memory_;
  Value* pixels_ = nullptr;
  ptrdiff_t stride_ = 0;
  int width_ = 0;
  int height_ = 0;
};

// The samples that one output row takes: for each pixel its upper left source pixel and how far the
// sample lies right of and below it.
struct WarpRow {
  std::vector<int32_t> offset;  // in pixels from pixel (-1, -1) of the padded image; -1: outside
  std::vector<double> right;    // in [0, 1)
  std::vector<double> below;
  std::vector<float> right_single;  // the same, rounded
  std::vector<float> below_single;

  void resize(size_t count) {
    offset.resize(count);
    right.resize(count);
    below.resize(count);
    right_single.resize(count);
    below_single.resize(count);
  }
};

// Where a warped row goes: `channels` (1, 3 or 4) floats a pixel, each times `scale`, the pixels
// `step` floats apart (negative: right to left). Nothing else is written.
struct WarpTarget {
  float* first = nullptr;  // the place of column 0
  ptrdiff_t step = 4;
  int channels = 4;
  float scale = 1;
  float outside = 0;   // the value of samples outside, before scaling
  bool exact = false;  // interpolate in doubles, as SciPy does
};

struct WarpKernels {
  // Order 1 with clamped coordinates, or with samples outside marked (kConstant).
  void (*locate)(const AffineMap& map, int r, int width, int height, ptrdiff_t padded_width,
                 bool clamp, WarpRow& row);
  // Interpolates one row. `out` says where and how.
  void (*interpolate_bytes)(const uint8_t* padded, ptrdiff_t stride, const WarpRow& row, int width,
                            const WarpTarget& out);
  void (*interpolate_floats)(const float* padded, ptrdiff_t stride, const WarpRow& row, int width,
                             const WarpTarget& out);
};

const WarpKernels& warp_kernels(SimdLevel level);

extern const WarpKernels kScalarWarpKernels;
#if defined(__x86_64__)
extern const WarpKernels kAvx2WarpKernels;
#endif

// Warps row by row. One owner, one thread.
class Warp {
 public:
  Warp(FillMode fill_mode, int order, double outside, SimdLevel level)
      : fill_mode_(fill_mode),
        order_(order),
        outside_(static_cast<float>(outside)),
        kernels_(warp_kernels(level)) {}

  // Output row r into packed pixels from target.first on, reversed where `flip` says so. Of
  // `target`, `step` and `outside` are set here.
  template <class Value>
  void floats(const PaddedImage<Value>& image, const AffineMap& map, int r,
              const WarpTarget& target, bool flip);

  // The same as bytes; order 0 only.
  void bytes(const PaddedImage<uint8_t>& image, const AffineMap& map, int r, bool flip,
             uint8_t* out);

 private:
  template <class Value>
  void locate(const PaddedImage<Value>& image, const AffineMap& map, int r);

  const FillMode fill_mode_;
  const int order_;
  const float outside_;
  const WarpKernels& kernels_;
  WarpRow row_;
};

}  // namespace pyloader
