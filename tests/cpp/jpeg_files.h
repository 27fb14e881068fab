// JPEG files by libjpeg's encoder, with settings that recipes do not have, and at random.
#pragma once

#include <cstdint>
#include <cstdio>  // jpeglib.h needs it
#include <functional>
#include <vector>

#include <jpeglib.h>

#include "base/pixels.h"
#include "inputs.h"

namespace pyloader::testing {

using Setting = std::function<void(jpeg_compress_struct&)>;
// The byte at a column of bytes (three per pixel of a color image) and a row.
using Pattern = std::function<uint8_t(int x, int y)>;

std::vector<uint8_t> encode(Size size, bool gray, const Pattern& pattern, const Setting& set);

// `more`, behind the first component's sampling factors.
Setting with_sampling(int h, int v, const Setting& more);

// A code whose symbols are all of one length, or of lengths 1, 2, 3 ... 7 and 16, in random order.
void give_code(jpeg_compress_struct& info, JHUFF_TBL*& table, std::vector<uint8_t> symbols,
               bool deep, Random& random);

// What a file of 8-bit samples may need.
std::vector<uint8_t> dc_symbols();
std::vector<uint8_t> ac_symbols();

struct Photograph {
  std::vector<uint8_t> samples;  // packed rows, three bytes per pixel
  Size size;
};

// A small file of any kind: size, sampling, quality or odd steps, usual, optimized or odd codes,
// restarts; a few are progressive. Its samples are made, or cut out of a photograph.
std::vector<uint8_t> random_file(Random& random, const Photograph* photograph = nullptr);

}  // namespace pyloader::testing
