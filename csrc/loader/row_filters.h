// What resized rows pass through on their way to a sink.
#pragma once

#include <cstdint>
#include <vector>

#include "base/cpu.h"
#include "base/pixels.h"
#include "base/row_sink.h"
#include "base/sample_layout.h"
#include "base/scratch.h"
#include "image/resize_plan.h"
#include "image/sample_store.h"

namespace pyloader {

// Rows of RGBA multiplied by alpha, divided again on their way to another sink.
class Unpremultiplier final : public RowSink {
 public:
  void begin(int width, RowSink& next);
  void accept(int y, const uint8_t* row) override;

 private:
  int width_ = 0;
  RowSink* next_ = nullptr;
  std::vector<uint8_t> row_;
};

// Rows of an image that fills a box of its frame only, completed to rows of the whole frame; zeros
// surround the box.
class Framer final : public RowSink {
 public:
  // Starts an image. Its rows have `row_channels` channels; where these are 1 and `channels` is 4,
  // they become opaque RGBA in the box, since the frame is not opaque.
  void begin(Size frame, const Box& box, int row_channels, int channels, RowSink& next);
  void accept(int y, const uint8_t* row) override;

 private:
  Size frame_;
  Box box_;
  int row_channels_ = 0;
  int channels_ = 0;
  RowSink* next_ = nullptr;
  std::vector<uint8_t> row_;  // of the frame, zero outside the box
};

// Rows on their way to a sink, kept as packed pixels besides.
class PixelKeeper final : public RowSink {
 public:
  // Images have the size and the channels of `layout`.
  PixelKeeper(const SampleLayout& layout, SimdLevel level);

  // Memory for the pixels of one image, with kRowSlack bytes behind them. Throws std::bad_alloc.
  uint8_t* memory() { return pixels_.require(layout_.bytes() + kRowSlack); }

  // Starts an image: arguments as for SampleStore.
  void begin(int channels, bool premultiplied, RowSink& next);
  void accept(int y, const uint8_t* row) override;

 private:
  const SampleLayout layout_;
  const StoreTable table_ = StoreTable::identity();
  SampleStore store_;
  Scratch pixels_;
  RowSink* next_ = nullptr;
};

}  // namespace pyloader
