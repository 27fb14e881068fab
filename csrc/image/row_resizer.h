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

// One owner, one thread; reused from image to image. Memory grows with the width of the image and
// the height of the filter, never with the height of the image.
class RowResizer {
 public:
  explicit RowResizer(SimdLevel level) : kernels_(image_kernels(level)) {}

  // Starts an image of gray (`src_channels` 1) or 4-byte pixels (4). `dst_channels` is what the
  // sink gets: 1 for gray, 3 or 4 for colour. The plan and the sink must outlive the image. Throws
  // std::bad_alloc.
  void begin(const ResizePlan& plan, int src_channels, int dst_channels, RowSink& sink);

  // The next `count` rows of the source, from its first row on, each with kRowSlack bytes behind
  // its pixels. Rows that the plan does not need may be null.
  void push(const uint8_t* const* rows, int count);

  // True when every output row has reached the sink.
  bool done() const { return next_out_ == plan_->target.height; }

  // Lets go of unusually large memory after an image.
  void trim() { scratch_.shrink_to(kKeptScratch); }

 private:
  void push_copy(const uint8_t* row);
  void push_nearest(const uint8_t* row);
  void push_horizontal_first(const uint8_t* const* rows, int count);
  void push_vertical_first(const uint8_t* row);
  void run_horizontal(const uint8_t* const* src, uint8_t* const* dst, int rows);
  void emit_vertical();
  void flush_band();
  void emit(const uint8_t* row) { sink_->accept(next_out_++, row); }
  void emit_packed(const uint8_t* row);
  uint8_t* ring_row(int y) { return ring_ + static_cast<ptrdiff_t>(y % ring_rows_) * ring_stride_; }

  const ImageKernels& kernels_;
  const ResizePlan* plan_ = nullptr;
  RowSink* sink_ = nullptr;
  int src_channels_ = 0;
  int dst_channels_ = 0;
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
