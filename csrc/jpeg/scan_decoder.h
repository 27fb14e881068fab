// The one scan of a baseline JPEG, from bytes to planes of samples: Huffman decoding and inverse
// DCT of our own. The same samples as libjpeg's for everything an encoder writes; whatever is
// unusual or damaged is refused, and libjpeg judges the file instead. Private to jpeg/.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/byte_source.h"
#include "jpeg/coefficient_reader.h"
#include "jpeg/kernels.h"
#include "jpeg/libjpeg.h"

namespace pyloader {

// Where one component's samples of a row of MCUs go; whole blocks are written, and up to a block
// more on the right. Blocks that are not wanted need not be.
struct PlaneTarget {
  uint8_t* data = nullptr;
  ptrdiff_t stride = 0;
  int halvings = 0;            // of the image's size: blocks of 8, 4, 2 or 1 samples on each side
  unsigned wanted_rows = ~0u;  // a bit per row of blocks
  const uint8_t* wanted_columns = nullptr;  // a byte per column of blocks (0: not wanted), or all
};

// One thread, reused from file to file; memory does not depend on the image.
class ScanDecoder {
 public:
  explicit ScanDecoder(SimdLevel level) : kernels_(jpeg_kernels(level)) {}

  // Whether the scan is one that this class decodes: sequential Huffman, all components at once, 1
  // or 3 of them. After jpeg_read_header; the source is at the scan's first byte. Throws
  // std::bad_alloc.
  bool begin(const jpeg_decompress_struct& info, ByteSource& source, std::span<const uint8_t> rest);

  // Decodes the next row of MCUs (of an image with one component: the rows of blocks that libjpeg
  // counts as one). Without `samples` nothing is written. False when this is not a clean scan.
  bool decode_group(std::span<const PlaneTarget, 3> targets, bool samples);

  // After the last row: whether the scan ended properly and the end of the image follows at once.
  bool ended_cleanly();

 private:
  struct Component {
    int h = 1, v = 1;  // blocks of an MCU
    int columns = 0;   // blocks of a row that are part of the image
    int rows = 0;      // rows of blocks that are
    Dequantiser dequantiser;
  };

  static bool take_quantisation(const JQUANT_TBL& from, Dequantiser& dequantiser);
  bool decode_row(std::span<const PlaneTarget, 3> targets, bool samples, int first_row);

  const JpegKernels& kernels_;
  CoefficientReader coefficients_;
  std::array<Component, 3> components_;
  int count_ = 0;
  int mcu_columns_ = 0;
  int rows_per_group_ = 1;  // rows of MCUs
  int mcu_rows_ = 0;
  int next_row_ = 0;
};

}  // namespace pyloader
