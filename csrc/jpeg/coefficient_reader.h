// Huffman decoding of our own: the one scan of a baseline JPEG, from bytes to quantised
// coefficients, the same as jpeg_read_coefficients gives. What is unusual or damaged is refused.
// Private to jpeg/.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/byte_source.h"
#include "base/scratch.h"
#include "jpeg/huffman.h"
#include "jpeg/libjpeg.h"
#include "jpeg/scan_bytes.h"

namespace pyloader {

// One thread, reused from file to file; memory does not depend on the image.
class CoefficientReader {
 public:
  static constexpr int kRunMcus = 8;
  static constexpr int kBlock = 64;  // coefficients, in natural order

  // Whether the scan is one that this class decodes: sequential Huffman, all components at once, 1
  // or 3 of them. After jpeg_read_header; the source is at the scan's first byte, and no more is
  // taken from it before `read`. Throws std::bad_alloc.
  bool begin(const jpeg_decompress_struct& info, ByteSource& source, std::span<const uint8_t> rest);

  // Decodes the next MCUs, up to kRunMcus. False when this is not a clean scan.
  bool read(int mcus);

  // What the last `read` gave, by component and row of blocks of an MCU: blocks side by side, from
  // left to right, and for each the zig-zag position behind its last coefficient, 1 at least.
  const int16_t* blocks(int component, int row) const { return part(component).blocks[row]; }
  const uint8_t* extents(int component, int row) const { return part(component).extents[row]; }

  // Blocks of an MCU.
  int columns(int component) const { return part(component).h; }
  int rows(int component) const { return part(component).v; }

  // After the last MCU: whether the scan ended properly and the end of the image follows at once.
  bool ended_cleanly() { return finish_segment() && bytes_.marker() == JPEG_EOI; }

 private:
  static constexpr int kMaxBlocks = 10;  // of an MCU

  struct Bits {
    const uint8_t* at = nullptr;  // null: the scan is refused
    uint64_t bits = 0;            // the next ones at the top
    uint64_t count = 0;           // their number; between refills, in the lowest six bits
  };

  struct Component {
    int h = 1, v = 1;
    const HuffmanTables* tables = nullptr;
    int16_t* blocks[4] = {};
    uint8_t* extents[4] = {};
  };

  // One block of a run, in the order of the scan.
  struct alignas(64) Place {
    int16_t* out = nullptr;
    const HuffmanTables* tables = nullptr;
    const HuffmanEntry* ac = nullptr;
    const HuffmanEntry* next_dc = nullptr;
    size_t next_k = 0;  // where the next block begins
    uint8_t* extent = nullptr;
    int component = 0;
    uint8_t extent_found = 0;
  };

  struct Code {
    Bits bits;
    size_t run = 0;
    int16_t value = 0;
    bool ends = false;
  };

  const Component& part(int component) const { return components_[static_cast<size_t>(component)]; }
  bool take_tables(const jpeg_decompress_struct& info);
  void lay_out();
  bool read_blocks(Place* place, Place* end);
  static Code read_code(Bits bits, const HuffmanTables& tables, bool is_dc, HuffmanEntry entry);
  bool add_predictions(const Place* place, const Place* end);
  Bits refilled(Bits bits);
  Bits past_mark(Bits bits);
  bool finish_segment();
  bool restart();

  HuffmanTableCache tables_;
  ScanBytes bytes_;
  Bits bits_;
  std::array<Component, 3> components_;
  int count_ = 0;
  std::array<Place, kRunMcus * kMaxBlocks + 1> places_;
  int mcu_blocks_ = 0;
  std::array<int, 3> predictions_{};
  int restart_interval_ = 0;
  int until_restart_ = 0;
  int next_restart_ = 0;
  Scratch coefficients_;
};

}  // namespace pyloader
