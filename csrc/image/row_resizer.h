// Resizes an image whose rows come one after the other: only the rows that the filter still needs
// are kept.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/row_sink.h"
#include "base/scratch.h"
#include "image/kernels.h"
#include "image/resize_plan.h"

namespace pyloader {

// How the pixels of a row lie: one byte each; in three rows of one byte each, R, G and B; or four
// bytes each, R, G, B and alpha or filler.
enum class RowForm { kGray, kPlanes, kColor };

// One owner, one thread; reused from image to image. Memory grows with the width of the image and
// the height of the filter, never with the height of the image.
class RowResizer {
 public:
  explicit RowResizer(SimdLevel level) : kernels_(image_kernels(level)) {}

  // Starts an image whose rows come as `form`. `dst_channels` is what the sink gets: 1 for gray, 3
  // or 4 for colour (the fourth of planes is 255). `picked`: the rows consist of the plan's columns
  // (kNearest) already. The plan and the sink must outlive the image. Throws std::bad_alloc.
  void begin(const ResizePlan& plan, RowForm form, int dst_channels, RowSink& sink,
             bool picked = false);

  // The next `count` rows of the source, from its first row on, each with kRowSlack bytes behind
  // its pixels. Rows that the plan does not need may be null. `plane_stride`: from a row of R to
  // its G, and on to its B.
  void push(const uint8_t* const* rows, int count, ptrdiff_t plane_stride = 0);

  // True when every output row has reached the sink.
  bool done() const { return next_out_ == plan_->target.height; }

  // Lets go of unusually large memory after an image.
  void trim() { scratch_.shrink_to(kKeptScratch); }

 private:
  void push_copy(const uint8_t* row);
  void push_nearest(const uint8_t* row);
  void pick_columns(const uint8_t* row);
  void push_horizontal_first(const uint8_t* const* rows, int count);
  void push_vertical_first(const uint8_t* row);
  void copy_raw(const uint8_t* row, uint8_t* out) const;
  void run_horizontal(const uint8_t* const* src, ptrdiff_t src_segment, uint8_t* const* dst,
                      int rows);
  void emit_vertical();
  void flush_band();
  void emit(const uint8_t* row, ptrdiff_t segment, int channels);
  uint8_t* ring_row(int y) { return ring_ + static_cast<ptrdiff_t>(y % ring_rows_) * ring_stride_; }

  const ImageKernels& kernels_;
  const ResizePlan* plan_ = nullptr;
  RowSink* sink_ = nullptr;
  int planes_ = 1;        // 3 or 1
  int src_channels_ = 0;  // bytes of a pixel of a plane: 1 or 4
  int dst_channels_ = 0;
  bool picked_ = false;
  bool blanks_ = false;         // some columns of the plan are zero
  ptrdiff_t plane_stride_ = 0;  // of the rows being pushed
  // From one plane's row to the next one's inside a row of our own: before and after the horizontal
  // pass.
  ptrdiff_t raw_segment_ = 0;
  ptrdiff_t out_segment_ = 0;
  int next_in_ = 0;   // source rows seen
  int next_out_ = 0;  // output rows emitted

  Scratch scratch_;
  uint8_t* ring_ = nullptr;  // rows that wait for the vertical pass
  ptrdiff_t ring_stride_ = 0;
  int ring_rows_ = 0;
  uint8_t* out_row_ = nullptr;
  std::array<uint8_t*, kMaxRows> band_in_{};   // vertical first: rows that wait for the horizontal
  std::array<uint8_t*, kMaxRows> band_out_{};  // pass, and its results
  int band_count_ = 0;
  std::vector<const uint8_t*> window_;
};

}  // namespace pyloader
