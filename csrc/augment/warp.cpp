#include "augment/warp.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/pixels.h"

namespace pyloader {
namespace {

// A coordinate brought into the image as SciPy does it; -1 where kConstant has nothing there. The
// results of kReflect lie up to a pixel outside, where the padding repeats the edge.
double bring_inside(double at, int size, FillMode mode) {
  const int last = size - 1;
  if (at >= 0 && at <= last) return at;
  if (mode == FillMode::kConstant) return -1;
  if (mode == FillMode::kNearest) return at < 0 ? 0 : last;
  if (size <= 1) return 0;
  if (mode == FillMode::kWrap) {
    // The period is one less than the size.
    if (at < 0) return at + last * (std::trunc(-at / last) + 1);
    return at - last * std::trunc(at / last);
  }
  const double period = 2.0 * size;
  if (at < 0) {
    if (at < -period) at += period * std::trunc(-at / period);
    if (at < -size) return at + period;
    return (at > -1e-15 ? 1e-15 : -at) - 1;
  }
  at -= period * std::trunc(at / period);
  return at >= size ? period - at - 1 : at;
}

}  // namespace

template <class Value>
void PaddedImage<Value>::resize(int width, int height) {
  width_ = width;
  height_ = height;
  stride_ = (static_cast<ptrdiff_t>(width) + 2) * 4;
  const auto values = static_cast<size_t>(stride_) * (static_cast<size_t>(height) + 2);
  pixels_ = reinterpret_cast<Value*>(memory_.require(values * sizeof(Value) + kRowSlack));
}

template <class Value>
void PaddedImage<Value>::pad() {
  for (int y = 0; y < height_; ++y) {
    Value* first = row(y);
    std::copy_n(first, 4, first - 4);
    std::copy_n(first + ptrdiff_t{4} * (width_ - 1), 4, first + ptrdiff_t{4} * width_);
  }
  std::copy_n(row(0) - 4, stride_, row(-1) - 4);
  std::copy_n(row(height_ - 1) - 4, stride_, row(height_) - 4);
}

template class PaddedImage<uint8_t>;
template class PaddedImage<float>;

template <class Value>
void Warp::locate(const PaddedImage<Value>& image, const AffineMap& map, int r) {
  const int width = image.width(), height = image.height();
  const auto count = static_cast<size_t>(width);
  row_.resize(count);
  const ptrdiff_t padded_width = image.stride() / 4;
  const bool clamp = fill_mode_ == FillMode::kNearest;
  if (order_ == 1 && (clamp || fill_mode_ == FillMode::kConstant)) {
    kernels_.locate(map, r, width, height, padded_width, clamp, row_);
    return;
  }
  const double y_start = map.y0 + r * map.yr, x_start = map.x0 + r * map.xr;
  for (int c = 0; c < width; ++c) {
    const auto at = static_cast<size_t>(c);
    const double y = bring_inside(y_start + c * map.yc, height, fill_mode_);
    const double x = bring_inside(x_start + c * map.xc, width, fill_mode_);
    if (!(y > -1 && y < height && x > -1 && x < width)) {
      row_.offset[at] = -1;
      continue;
    }
    double top = std::floor(y), left = std::floor(x);
    if (order_ == 0) {
      // The edge repeats; staying inside keeps the neighbours, which weigh nothing, readable.
      top = std::clamp(std::floor(y + 0.5), 0.0, height - 1.0);
      left = std::clamp(std::floor(x + 0.5), 0.0, width - 1.0);
    }
    row_.offset[at] = static_cast<int32_t>((static_cast<ptrdiff_t>(top) + 1) * padded_width +
                                           static_cast<ptrdiff_t>(left) + 1);
    row_.below[at] = order_ == 0 ? 0.0 : y - top;
    row_.right[at] = order_ == 0 ? 0.0 : x - left;
    row_.below_single[at] = static_cast<float>(row_.below[at]);
    row_.right_single[at] = static_cast<float>(row_.right[at]);
  }
}

template <class Value>
void Warp::floats(const PaddedImage<Value>& image, const AffineMap& map, int r,
                  const WarpTarget& wanted, bool flip) {
  locate(image, map, r);
  const int width = image.width();
  WarpTarget target = wanted;
  target.outside = outside_;
  target.step = flip ? -wanted.channels : wanted.channels;
  if (flip) target.first += static_cast<ptrdiff_t>(wanted.channels) * (width - 1);
  const Value* padded = image.origin() - image.stride() - 4;
  if constexpr (sizeof(Value) == 1) {
    kernels_.interpolate_bytes(padded, image.stride(), row_, width, target);
  } else {
    kernels_.interpolate_floats(padded, image.stride(), row_, width, target);
  }
}

template void Warp::floats(const PaddedImage<uint8_t>&, const AffineMap&, int, const WarpTarget&,
                           bool);
template void Warp::floats(const PaddedImage<float>&, const AffineMap&, int, const WarpTarget&,
                           bool);

void Warp::bytes(const PaddedImage<uint8_t>& image, const AffineMap& map, int r, bool flip,
                 uint8_t* out) {
  locate(image, map, r);
  const int width = image.width();
  const uint8_t* padded = image.origin() - image.stride() - 4;
  const auto value = static_cast<uint8_t>(outside_);
  const uint8_t fill[4] = {value, value, value, value};
  for (int c = 0; c < width; ++c) {
    const int32_t offset = row_.offset[static_cast<size_t>(c)];
    const uint8_t* pixel = offset < 0 ? fill : padded + ptrdiff_t{4} * offset;
    std::memcpy(out + ptrdiff_t{4} * (flip ? width - 1 - c : c), pixel, 4);
  }
}

}  // namespace pyloader
