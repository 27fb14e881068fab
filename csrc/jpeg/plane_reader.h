// Gray and YCbCr images from raw planes, libjpeg's or our own: upsampling and colour conversion of
// our own, on rows that stay in the cache, of the pixels that are wanted. The same bytes as
// libjpeg's, in a fraction of the time. Private to jpeg/.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/scratch.h"
#include "jpeg/kernels.h"
#include "jpeg/libjpeg.h"
#include "jpeg/scan_decoder.h"

namespace pyloader {

// One owner, one thread; reused from file to file.
class PlaneReader {
 public:
  explicit PlaneReader(SimdLevel level) : kernels_(jpeg_kernels(level)) {}

  // Whether this file is gray, or its sampling one of 4:4:4, 4:2:2, 4:4:0 and 4:2:0 in YCbCr. Other
  // files go through libjpeg's own scanlines. After jpeg_read_header.
  static bool supports(const jpeg_decompress_struct& info);

  // What is wanted of the next file: see JpegDecoder.
  void want(std::span<const uint8_t> rows, std::span<const int32_t> columns);
  void want_planes(const std::array<int, 3>& halvings, bool luma_only);

  // After jpeg_read_header and before jpeg_start_decompress: asks libjpeg for planes, takes memory.
  // Throws std::bad_alloc.
  void begin(jpeg_decompress_struct& info);

  // Inside the wall, after jpeg_start_decompress: reads the planes of the next row of MCUs. False
  // when libjpeg has no more bytes.
  bool read_planes(jpeg_decompress_struct& info);

  // The same from a decoder of our own; `samples` false: only to get past them.
  bool read_planes(ScanDecoder& scan, bool samples);

  // Whether wanted rows depend on the next row of MCUs.
  bool next_group_matters() const;

  // Rows of MCUs read so far, and rows of pixels passed on. `resume` goes back to such a state once
  // the planes were begun and read again.
  int groups_read() const { return groups_read_; }
  int next_row() const { return next_row_; }
  void resume(int next_row) { next_row_ = next_row; }

  // Outside the wall: pixels of all rows that are complete. `rows` gets a pointer per row, null for
  // rows that are not wanted. At least one row after two `read_planes`.
  void convert(std::vector<const uint8_t*>& rows);

  // Whether planes are wanted as they are, and whether some are to be halved.
  bool gives_planes() const { return gives_planes_; }
  bool halves() const { return halvings_ != std::array<int, 3>{}; }

  // The rows of plane `c` that the last `read_planes` has read.
  void take_rows(int c, std::vector<const uint8_t*>& rows) const;

  // From a row of R to its G, and on to its B.
  ptrdiff_t plane_stride() const { return plane_stride_; }

  void convert_to_rgb(const uint8_t* const* ycc, int width, uint8_t* const* rgb) const {
    kernels_.color_from_ycc(ycc[0], ycc[1], ycc[2], width, rgb);
  }

  bool done() const { return next_row_ == height_; }
  bool all_read() const { return groups_read_ * planes_[0].group_rows >= height_; }
  void trim() { scratch_.shrink_to(kKeptScratch); }

 private:
  // One component's rows of two consecutive MCU rows, in turn: the older one's last row is still
  // needed when the newer one has come.
  struct Plane {
    uint8_t* data = nullptr;
    ptrdiff_t stride = 0;
    int group_rows = 0;                   // rows per MCU row
    std::vector<uint8_t> wanted_columns;  // of blocks; empty for all

    uint8_t* row(int y) const {
      return data + static_cast<ptrdiff_t>(y % (2 * group_rows)) * stride;
    }
  };

  bool wants_any(int first_row, int end_row) const;
  void choose_blocks();
  unsigned wanted_block_rows(const Plane& plane) const;
  const uint8_t* upsampled_chroma(int c, int y);
  void convert_row(int y, uint8_t* out);

  const JpegKernels& kernels_;
  Scratch scratch_;
  int width_ = 0;
  int height_ = 0;
  int count_ = 0;      // planes
  bool wide_ = false;  // chroma has half the columns
  bool tall_ = false;  // chroma has half the rows
  int chroma_width_ = 0;
  int chroma_height_ = 0;
  int groups_read_ = 0;
  int next_row_ = 0;
  Plane planes_[3];
  std::span<const uint8_t> wanted_rows_;  // empty for all
  ColumnPicks picks_;                     // empty for all columns
  bool gives_planes_ = false;
  bool luma_only_ = false;
  std::array<int, 3> halvings_{};
  uint8_t* upsampled_[2] = {};
  uint16_t* sums_ = nullptr;
  uint8_t* pixels_ = nullptr;
  ptrdiff_t plane_stride_ = 0;
};

}  // namespace pyloader
