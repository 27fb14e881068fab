#include "jpeg/memory_needed.h"

namespace pyloader {
namespace {

constexpr uint64_t kBlockBytes = DCTSIZE2 * sizeof(JCOEF);

// Bands of rows, in planes and out of them, grow with the width.
constexpr uint64_t kBytesPerColumn = 300;

// Coefficients of this many bytes are held only for files that can fill them.
constexpr uint64_t kUnquestionedCoefficients = uint64_t{64} << 20;

// The blocks whose coefficients libjpeg must hold: all of them in progressive and multi-scan files.
uint64_t blocks_held(const jpeg_decompress_struct& info) {
  if (!info.progressive_mode && info.comps_in_scan == info.num_components) return 0;
  uint64_t blocks = 0;
  for (int c = 0; c < info.num_components; ++c) {
    // Whole MCUs, at most.
    blocks += (uint64_t{info.comp_info[c].width_in_blocks} + 3) *
              (uint64_t{info.comp_info[c].height_in_blocks} + 3);
  }
  return blocks;
}

}  // namespace

uint64_t memory_needed(const jpeg_decompress_struct& info) {
  return blocks_held(info) * kBlockBytes + info.image_width * kBytesPerColumn;
}

bool promises_too_much(const jpeg_decompress_struct& info, uint64_t file_bytes) {
  const uint64_t blocks = blocks_held(info);
  return blocks * kBlockBytes > kUnquestionedCoefficients && file_bytes < blocks / 16;
}

}  // namespace pyloader
