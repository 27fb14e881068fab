// Progressive files that lack scans, smoothed as Pillow's libjpeg-turbo does. Private to jpeg/.
//
// Note [smoothing]: where the first coefficients of blocks are missing or lack bits, libjpeg-turbo
// estimates them from the DC values around. Until 3.0.1 it took other neighbours at the edges of
// the image and of MCUs. So with an older one such a file is made anew: its coefficients are read,
// the estimates put in, and all written as a file that lacks nothing, which is then decoded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "jpeg/libjpeg.h"

namespace pyloader {

// What was sent of the first coefficients, in zigzag order, when the last scan had been read: -1
// for nothing, else how many low bits are missing.
struct SentCoefficients {
  static constexpr int kFirst = 10;
  using Bits = std::array<int, kFirst>;
  std::array<Bits, MAX_COMPS_IN_SCAN> bits;
  std::array<Bits, MAX_COMPS_IN_SCAN> bits_before;  // the last scan
  int last_good_row;                                // of MCUs that the last scan had data for
};

// Whether libjpeg would smooth this file, and otherwise than Pillow's. After jpeg_start_decompress;
// fills `sent`.
bool smooths_like_old_libjpeg(const jpeg_decompress_struct& info, const LibjpegErrors& errors,
                              SentCoefficients& sent);

// A file in memory that C code made.
struct SmoothedFile {
  struct Free {
    void operator()(uint8_t* data) const { std::free(data); }
  };
  std::unique_ptr<uint8_t, Free> data;
  size_t size = 0;

  std::span<const uint8_t> content() const { return {data.get(), size}; }
};

// Makes a smoothed file of the same pixels. Empty where that cannot be done: the bytes cannot be
// read again, or hold coefficients that no file of one scan can, or more than it may take. Throws
// std::bad_alloc.
SmoothedFile smooth_anew(ByteSource& bytes, const SentCoefficients& sent);

}  // namespace pyloader
