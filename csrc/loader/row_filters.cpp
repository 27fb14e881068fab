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

FittedPlace fitted_place(Size image, Size frame) {
  const auto height = static_cast<float>(image.height), width = static_cast<float>(image.width);
  const auto frame_height = static_cast<float>(frame.height);
  const auto frame_width = static_cast<float>(frame.width);
  const float ratio = std::max(width / frame_width, height / frame_height);
  const float fitted_height = height / ratio, fitted_width = width / ratio;
  const auto middle = [](float side, float part) {
    return std::max(0, static_cast<int>((side - part) / 2));
  };
  return {.top = middle(frame_height, fitted_height),
          .left = middle(frame_width, fitted_width),
          .size = {.width = std::max(1, static_cast<int>(fitted_width)),
                   .height = std::max(1, static_cast<int>(fitted_height))}};
}

void Framer::begin(Size frame, const FittedPlace& place, int channels, int framed_channels,
                   RowSink& next) {
  frame_ = frame;
  place_ = place;
  channels_ = channels;
  framed_channels_ = framed_channels;
  next_ = &next;
  row_.assign(static_cast<size_t>(frame.width) * static_cast<size_t>(framed_channels) + kRowSlack,
              0);
  pass_zeros(0, place.top);
}

void Framer::pass_zeros(int first, int last) {
  for (int y = first; y < last; ++y) next_->accept(y, row_.data());
}

void Framer::accept(int y, const uint8_t* row) {
  uint8_t* const inside = row_.data() + ptrdiff_t{place_.left} * framed_channels_;
  const int width = place_.size.width;
  if (channels_ == framed_channels_) {
    std::memcpy(inside, row, static_cast<size_t>(width) * static_cast<size_t>(channels_));
  } else {
    for (ptrdiff_t x = 0; x < width; ++x) {
      inside[4 * x] = inside[4 * x + 1] = inside[4 * x + 2] = row[x];
      inside[4 * x + 3] = 255;
    }
  }
  next_->accept(place_.top + y, row_.data());
}

void Framer::finish() {
  std::fill(row_.begin(), row_.end(), uint8_t{0});
  pass_zeros(place_.top + place_.size.height, frame_.height);
}

}  // namespace pyloader
