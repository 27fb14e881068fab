// Progressive files that lack scans, smoothed as Pillow's libjpeg-turbo does. Private to jpeg/.
//
// Note [smoothing]: where the first coefficients of blocks are missing or lack bits, libjpeg-turbo
// estimates them from the DC values around. Until 3.0.1 it took other neighbours at the edges of
// the image and of MCUs. So with an older one such a file is made anew: its coefficients are read,
// the estimates put in, and all written as a file that lacks nothing, which is then decoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "base/byte_source.h"
#include "base/limits.h"
#include "base/pixels.h"
#include "jpeg/libjpeg.h"

namespace pyloader {

// Whether libjpeg would smooth this file, and otherwise than Pillow's. After jpeg_start_decompress.
bool smooths_like_old_libjpeg(const jpeg_decompress_struct& info);

// A file in memory that C code made.
struct SmoothedFile {
  struct Free {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };
  std::unique_ptr<uint8_t, Free> data;
  size_t size = 0;

  std::span<const uint8_t> content() const { return {data.get(), size}; }
};

// Makes a smoothed file of the same pixels out of one with `size`. Empty where that cannot be done:
// the bytes cannot be read again or have changed, or the file would be larger than it may. Throws
// std::bad_alloc.
SmoothedFile smooth_anew(ByteSource& bytes, Size size, const ImageLimits& limits);

}  // namespace pyloader
