#include "loader/row_filters.h"

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
