// Whole files through the decoder and through libjpeg itself, and every way to store an image.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "inputs.h"
#include "jpeg/decoder.h"

namespace pyloader::testing {

struct Pixels {
  Status status;
  JpegHeader header;
  std::vector<uint8_t> bytes;  // packed rows
};

size_t row_bytes(const JpegHeader& header);

// Row `r` of a band, of `width` pixels, planes as 4-byte pixels.
void pack_row(const RowBand& band, int r, JpegPixels form, size_t width, uint8_t* out);

// All rows of one file, which stays open; rows that are not wanted stay zero.
Pixels decode(JpegDecoder& decoder, ByteSource& source, std::span<const uint8_t> wanted = {});

// Content in memory, at the end of a heap block; closes the file.
Pixels decode(JpegDecoder& decoder, std::span<const uint8_t> content);

// What libjpeg itself makes of the content, with nothing clever in between; empty on any error.
std::vector<uint8_t> reference_pixels(std::span<const uint8_t> content, const JpegHeader& header);

// Whether these are libjpeg's own pixels; true for progressive files that lack scans, which only
// newer ones smooth like Pillow's (see jpeg/smoothing.h).
bool is_as_libjpeg(std::span<const uint8_t> content, const Pixels& pixels);

struct Planes {
  Status status;
  JpegHeader header;
  int restarts = 0;
  std::array<std::vector<uint8_t>, 3> samples;  // packed
  std::array<Size, 3> sizes;
};

// All planes of one file, which stays open; nothing where the header has none.
Planes decode_planes(JpegDecoder& decoder, ByteSource& source, std::array<int, 3> halvings,
                     bool luma_only = false);

// Content in memory, at the end of a heap block; closes the file.
Planes decode_planes(JpegDecoder& decoder, std::span<const uint8_t> content,
                     std::array<int, 3> halvings, bool luma_only = false);

std::string name_of(const JpegRecipe& recipe);

// Every sampling, process and color for an image of this size.
std::vector<JpegRecipe> recipes_of(Size size);

}  // namespace pyloader::testing
