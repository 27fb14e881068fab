// The one scan of a baseline JPEG, from bytes to planes of samples: Huffman decoding and inverse
// DCT of our own. The same samples as libjpeg's for everything an encoder writes; whatever is
// unusual or damaged is refused, and libjpeg judges the file instead. Private to jpeg/.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/byte_source.h"
#include "base/scratch.h"
#include "jpeg/huffman.h"
#include "jpeg/kernels.h"
#include "jpeg/libjpeg.h"
#include "jpeg/scan_bytes.h"

namespace pyloader {

// Where one component's samples of a row of MCUs go; whole blocks are written, and up to a block
// more on the right. Blocks that are not wanted need not be.
struct PlaneTarget {
  uint8_t* data = nullptr;
  ptrdiff_t stride = 0;
  int halvings = 0;  // of the image's size: blocks of 8, 4, 2 or 1 samples on each side
  unsigned wanted_rows = ~0u;               // a bit per row of blocks
  const uint8_t* wanted_columns = nullptr;  // a byte per column of blocks (0: not wanted), or all
};

// One thread, reused from file to file; memory does not depend on the image.
class ScanDecoder {
 public:
  explicit ScanDecoder(SimdLevel level) : kernels_(jpeg_kernels(level)) {}

  // Whether the scan is one that this class decodes: sequential Huffman, all components at once, 1
  // or 3 of them. After jpeg_read_header; the source is at the scan's first byte. Throws
  // std::bad_alloc.
  bool begin(const jpeg_decompress_struct& info, ByteSource& source,
             std::span<const uint8_t> rest);

  // Decodes the next row of MCUs (of an image with one component: the rows of blocks that libjpeg
  // counts as one). Without `samples` nothing is written. False when this is not a clean scan.
  bool decode_group(std::span<const PlaneTarget, 3> targets, bool samples);

  // After the last row: whether the scan ended properly and the end of the image follows at once.
  bool ended_cleanly();

 private:
  static constexpr int kRunMcus = 8;     // decoded, then transformed
  static constexpr int kMaxBlocks = 10;  // of an MCU
  static constexpr int kBlock = 64;

  struct Bits {
    const uint8_t* at = nullptr;
    uint64_t bits = 0;  // the next ones at the top
    unsigned count = 0;
  };

  struct SlowCode {
    Bits bits;
    unsigned run = 0;
    int16_t value = 0;
    bool ends = false;
  };

  struct Component {
    int h = 1, v = 1;      // blocks of an MCU
    int columns = 0;       // blocks of a row that are part of the image
    int rows = 0;          // rows of blocks that are
    int16_t* blocks[4];    // a run's rows of blocks
    uint8_t* extents[4];
    Dequantiser dequantiser;
  };

  struct Slot {
    const DcTable* dc;
    const AcTable* ac;
    int component;
    int16_t* blocks;
    uint8_t* extents;
    int step;
  };

  bool take_tables(const jpeg_decompress_struct& info);
  void lay_out();
  bool decode_row(std::span<const PlaneTarget, 3> targets, bool samples, int first_row);
  bool decode_run(int mcus);
  bool decode_mcus(int first, int end);
  // A `Bits` without a place says that the scan is refused.
  Bits decode_block(Bits bits, const Slot& slot, int16_t* out, uint8_t& extent);
  static SlowCode slow_code(Bits bits, const AcTable& table, uint64_t entry);
  Bits past_mark(Bits bits);
  bool finish_segment();
  bool restart();

  const JpegKernels& kernels_;
  TableCache<DcTable, 6> dc_tables_;
  TableCache<AcTable, 6> ac_tables_;
  ScanBytes bytes_;
  Bits bits_;
  std::array<Component, 3> components_;
  int count_ = 0;
  std::array<Slot, kMaxBlocks> slots_;
  int slot_count_ = 0;
  std::array<int, 3> predictions_{};
  int mcu_columns_ = 0;
  int rows_per_group_ = 1;  // rows of MCUs
  int mcu_rows_ = 0;
  int next_row_ = 0;
  int restart_interval_ = 0;
  int until_restart_ = 0;
  int next_restart_ = 0;
  const DcTable* dc_used_[3] = {};
  const AcTable* ac_used_[3] = {};
  Scratch coefficients_;
};

}  // namespace pyloader
