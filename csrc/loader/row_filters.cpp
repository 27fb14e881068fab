#include "loader/row_filters.h"

#include <algorithm>
#include <cstring>

#include "image/color.h"

namespace pyloader {
namespace {

SampleLayout packed_layout(SampleLayout layout) {
  layout.item_size = 1;
  layout.channels_first = false;
  return layout;
}

}  // namespace

void Unpremultiplier::begin(int width, RowSink& next) {
  width_ = width;
  next_ = &next;
  row_.resize(static_cast<size_t>(width) * 4 + kRowSlack);
}

void Unpremultiplier::accept(int y, const uint8_t* row) {
  unpremultiply(row, row_.data(), width_);
  next_->accept(y, row_.data());
}

void Framer::begin(Size frame, const Box& box, int row_channels, int channels, RowSink& next) {
  frame_ = frame;
  box_ = box;
  row_channels_ = row_channels;
  channels_ = channels;
  next_ = &next;
  row_.assign(static_cast<size_t>(frame.width) * static_cast<size_t>(channels) + kRowSlack, 0);
}

void Framer::accept(int y, const uint8_t* row) {
  if (y == 0) {
    for (int above = 0; above < box_.top; ++above) next_->accept(above, row_.data());
  }
  const ptrdiff_t width = box_.right - box_.left;
  uint8_t* const out = row_.data() + ptrdiff_t{box_.left} * channels_;
  if (row_channels_ == channels_) {
    std::memcpy(out, row, static_cast<size_t>(width * channels_));
  } else {
    for (ptrdiff_t x = 0; x < width; ++x) {
      std::fill_n(out + 4 * x, 3, row[x]);
      out[4 * x + 3] = 255;
    }
  }
  next_->accept(box_.top + y, row_.data());
  if (box_.top + y + 1 < box_.bottom) return;
  std::fill_n(out, width * channels_, uint8_t{0});
  for (int below = box_.bottom; below < frame_.height; ++below) next_->accept(below, row_.data());
}

PixelKeeper::PixelKeeper(const SampleLayout& layout, SimdLevel level)
    : layout_(packed_layout(layout)), store_(layout_, table_, level) {}

void PixelKeeper::begin(int channels, bool premultiplied, RowSink& next) {
  store_.begin(memory(), channels, premultiplied);
  next_ = &next;
}

void PixelKeeper::accept(int y, const uint8_t* row) {
  store_.accept(y, row);
  next_->accept(y, row);
}

}  // namespace pyloader
