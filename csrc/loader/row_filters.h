// What resized rows pass through on their way to a sink.
#pragma once

#include <cstdint>
#include <vector>

#include "base/cpu.h"
#include "base/row_sink.h"
#include "base/sample_layout.h"
#include "base/scratch.h"
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

// Where an image of unchanged shape lies in its frame, in pixels.
struct FittedPlace {
  int top = 0;
  int left = 0;
  Size size;  // no side is less than one pixel
};

// The largest place in the middle of `frame`, by TensorFlow's float32 arithmetic.
FittedPlace fitted_place(Size image, Size frame);

// Rows of a smaller image, framed with zeros on their way to another sink.
class Framer final : public RowSink {
 public:
  // Starts an image. Rows have place.size.width pixels of `channels` bytes, the framed ones
  // frame.width pixels of `framed_channels`: as many, or 4 for gray rows, with an alpha of 255
  // inside of the place and 0 around it.
  void begin(Size frame, const FittedPlace& place, int channels, int framed_channels,
             RowSink& next);
  void accept(int y, const uint8_t* row) override;
  void finish();  // after the last row

 private:
  void pass_zeros(int first, int last);

  Size frame_;
  FittedPlace place_;
  int channels_ = 0;
  int framed_channels_ = 0;
  RowSink* next_ = nullptr;
  std::vector<uint8_t> row_;  // zeros beside the place
};

}  // namespace pyloader
