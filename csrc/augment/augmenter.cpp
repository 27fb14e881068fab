#include "augment/augmenter.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pyloader {
namespace {

bool is_byte(double value) { return value >= 0 && value <= 255; }

// Pillow's enhancement: the product in single precision, clipped, truncated.
uint8_t brighten(uint8_t value, float factor) {
  return static_cast<uint8_t>(std::clamp(static_cast<float>(value) * factor, 0.0f, 255.0f));
}

}  // namespace

Augmenter::Augmenter(const SampleLayout& layout, const AugmentSpec& spec, FloatTarget target,
                     SimdLevel level)
    : layout_(layout),
      spec_(spec),
      warp_(spec.fill_mode, spec.order, spec.cval, level),
      store_(layout, target),
      row_values_(static_cast<size_t>(layout.size.width) * static_cast<size_t>(layout.channels)) {
  byte_row_.resize(static_cast<size_t>(layout.size.width) * 4 + kRowSlack);
  warped_row_.resize(static_cast<size_t>(layout.size.width) * 4 + 4);
}

Augmenter::Path Augmenter::choose_path(const SampleTransform& transform) const {
  if (transform.shifts_channels || spec_.standardises()) return Path::kFloats;
  if (!transform.warp) return Path::kStreamBytes;
  const bool outside_is_byte = is_byte(spec_.cval) && spec_.cval == std::floor(spec_.cval);
  return spec_.order == 0 && outside_is_byte ? Path::kBytes : Path::kFloats;
}

void Augmenter::begin(const SampleTransform& transform, int channels, int row_channels,
                      RowSink& bytes_sink, uint8_t* destination) {
  transform_ = transform;
  channels_ = channels;
  row_channels_ = row_channels;
  is_bytes_ = true;
  bytes_sink_ = &bytes_sink;
  path_ = choose_path(transform);
  store_.begin(destination);
  if (transform.changes_brightness) {
    for (size_t i = 0; i < 256; ++i) {
      brightness_table_[i] = brighten(static_cast<uint8_t>(i), transform.brightness);
    }
  }
  if (path_ != Path::kStreamBytes) {
    byte_image_.resize(layout_.size.width, layout_.size.height);
  }
}

void Augmenter::accept(int y, const uint8_t* row) {
  const int width = layout_.size.width;
  if (path_ == Path::kStreamBytes) {
    if (!transform_.flip_horizontal) {
      std::memcpy(byte_row_.data(), row, static_cast<size_t>(width * channels_));
    } else {
      for (int x = 0; x < width; ++x) {
        const uint8_t* pixel = row + ptrdiff_t{channels_} * (width - 1 - x);
        for (int c = 0; c < channels_; ++c) {
          byte_row_[static_cast<size_t>(x * channels_ + c)] = pixel[c];
        }
      }
    }
    emit_bytes(y, byte_row_.data());
    return;
  }
  uint8_t* out = byte_image_.row(y);
  if (row_channels_ == 4) {
    std::memcpy(out, row, static_cast<size_t>(width) * 4);
  } else if (row_channels_ == 3) {
    // The fourth byte, the next pixel's first, is filler; the last one comes from the row's slack.
    for (ptrdiff_t x = 0; x < width; ++x) std::memcpy(out + 4 * x, row + 3 * x, 4);
  } else {
    for (ptrdiff_t x = 0; x < width; ++x) std::memset(out + 4 * x, row[x], 4);
  }
}

// A finished row of packed bytes, but for its brightness and its place.
void Augmenter::emit_bytes(int y, uint8_t* row) {
  const int width = layout_.size.width;
  if (transform_.changes_brightness) {
    const int colors = std::min(channels_, 3);  // alpha stays
    for (int x = 0; x < width; ++x) {
      uint8_t* pixel = row + ptrdiff_t{channels_} * x;
      for (int c = 0; c < colors; ++c) pixel[c] = brightness_table_[pixel[c]];
    }
  }
  bytes_sink_->accept(transform_.flip_vertical ? layout_.size.height - 1 - y : y, row);
}

void Augmenter::finish() {
  if (path_ == Path::kStreamBytes) return;
  byte_image_.pad();
  if (path_ == Path::kFloats) return make_floats();
  const int width = layout_.size.width;
  std::vector<uint8_t>& row = byte_row_;
  for (int y = 0; y < layout_.size.height; ++y) {
    warp_.bytes(byte_image_, transform_.map, y, transform_.flip_horizontal, row.data());
    for (ptrdiff_t x = 0; channels_ < 4 && x < width; ++x) {
      std::memmove(row.data() + channels_ * x, row.data() + 4 * x, static_cast<size_t>(channels_));
    }
    emit_bytes(y, row.data());
  }
}

void Augmenter::run(const SampleTransform& transform, const float* image, uint8_t* destination) {
  transform_ = transform;
  is_bytes_ = false;
  source_ = image;
  store_.begin(destination);
  if (!transform.is_identity() || spec_.standardises()) return make_floats();
  if (spec_.rescale == 0) return store_.whole(image);
  whole_.resize(layout_.values());
  for (size_t i = 0; i < whole_.size(); ++i) whole_[i] = image[i] * spec_.rescale;
  store_.whole(whole_.data());
}

// Four channels of the float image, from `first_channel` on, made ready for the warp.
void Augmenter::load_channels(int first_channel) {
  const ptrdiff_t width = layout_.size.width, height = layout_.size.height;
  const ptrdiff_t channels = layout_.channels;
  const ptrdiff_t pixel_step = layout_.channels_first ? 1 : channels;
  const ptrdiff_t channel_step = layout_.channels_first ? width * height : 1;
  const int count = std::min(layout_.channels - first_channel, 4);
  float_image_.resize(layout_.size.width, layout_.size.height);
  for (ptrdiff_t y = 0; y < height; ++y) {
    float* out = float_image_.row(static_cast<int>(y));
    const float* row = source_ + y * width * pixel_step + first_channel * channel_step;
    for (ptrdiff_t x = 0; x < width; ++x) {
      for (int c = 0; c < 4; ++c) {
        out[4 * x + c] = c < count ? row[x * pixel_step + c * channel_step] : 0.0f;
      }
    }
  }
  float_image_.pad();
}

// Up to four channels of output row y (before its vertical flip) into packed values.
template <class Value>
void Augmenter::fill_row(PaddedImage<Value>& image, int y, int first_channel, float* out) {
  const int width = layout_.size.width;
  float* warped = warped_row_.data();
  if (transform_.warp) {
    warp_.floats(image, transform_.map, y,
                 {.first = warped, .exact = spec_.exact || transform_.changes_brightness},
                 transform_.flip_horizontal);
  } else {
    const Value* row = image.row(y);
    for (int x = 0; x < width; ++x) {
      const Value* pixel = row + ptrdiff_t{4} * (transform_.flip_horizontal ? width - 1 - x : x);
      for (int c = 0; c < 4; ++c) warped[4 * x + c] = static_cast<float>(pixel[c]);
    }
  }
  const int channels = layout_.channels;
  const int count = std::min(channels - first_channel, 4);
  out += first_channel;
  for (ptrdiff_t x = 0; x < width; ++x) {
    for (int c = 0; c < count; ++c) out[x * channels + c] = warped[4 * x + c];
  }
  // An image whose gray or colour was widened to more channels by the layout: alpha is opaque.
  if (is_bytes_ && channels == 4 && channels_ < 4) {
    for (ptrdiff_t x = 0; x < width; ++x) out[x * channels + 3] = 255.0f;
  }
}

bool Augmenter::needs_whole_image() const {
  const bool range_unknown = !is_bytes_ || !is_byte(spec_.cval);
  return transform_.shifts_channels || spec_.samplewise_center || spec_.samplewise_std ||
         (transform_.changes_brightness && range_unknown) || layout_.channels > 4;
}

// Whether the warp alone, with its scaling, makes finished rows.
bool Augmenter::warp_finishes() const {
  const bool opaque_alpha = is_bytes_ && layout_.channels == 4 && channels_ < 4;
  return transform_.warp && !transform_.changes_brightness && !spec_.standardises() &&
         layout_.channels != 2 && !opaque_alpha && !needs_whole_image();
}

void Augmenter::warp_rows() {
  const float scale = spec_.rescale != 0 ? spec_.rescale : 1.0f;
  const int height = layout_.size.height;
  if (!is_bytes_) load_channels(0);
  // Pixels are gathered in a row that stays in the cache: the batch itself does not.
  whole_.resize(row_values_);
  for (int y = 0; y < height; ++y) {
    const auto warp = [&](const auto& image) {
      warp_.floats(image, transform_.map, y,
                   {.first = whole_.data(),
                    .channels = layout_.channels,
                    .scale = scale,
                    .exact = spec_.exact},
                   transform_.flip_horizontal);
    };
    if (is_bytes_) {
      warp(byte_image_);
    } else {
      warp(float_image_);
    }
    store_.row(transform_.flip_vertical ? height - 1 - y : y, whole_.data());
  }
}

void Augmenter::make_floats() {
  if (warp_finishes()) return warp_rows();
  const int height = layout_.size.height;
  const bool whole = needs_whole_image();
  whole_.resize(whole ? row_values_ * static_cast<size_t>(height) : row_values_);
  for (int first = 0; first < layout_.channels; first += 4) {
    if (!is_bytes_) load_channels(first);
    for (int y = 0; y < height; ++y) {
      const int to = transform_.flip_vertical ? height - 1 - y : y;
      float* row = whole_.data() + (whole ? row_values_ * static_cast<size_t>(to) : 0);
      if (is_bytes_) {
        fill_row(byte_image_, y, first, row);
      } else {
        fill_row(float_image_, y, first, row);
      }
      if (!whole) finish_row(to, row);
    }
  }
  if (whole) finish_whole();
}

void Augmenter::brighten_in_range(float* values, size_t count) const {
  const bool has_alpha = layout_.channels == 4;
  for (size_t i = 0; i < count; ++i) {
    const auto truncated = static_cast<uint8_t>(values[i]);
    const bool is_alpha = has_alpha && i % 4 == 3;
    values[i] = is_alpha ? truncated : brighten(truncated, transform_.brightness);
  }
}

// Values outside [0, 255] are stretched over it for the enhancement and brought back afterwards.
void Augmenter::brighten_stretched(float low, float high) {
  const float span = high - low;
  for (float& value : whole_) {
    value -= low;
    if (span != 0) value = value / span;
    value *= 255.0f;
  }
  brighten_in_range(whole_.data(), whole_.size());
  for (float& value : whole_) value = value / 255.0f * span + low;
}

// What comes after the flips, for a row that needs no other: brightness, rescale, statistics.
void Augmenter::finish_row(int y, float* row) {
  if (transform_.changes_brightness && !needs_whole_image()) brighten_in_range(row, row_values_);
  if (spec_.rescale != 0 && !needs_whole_image()) {
    for (size_t i = 0; i < row_values_; ++i) row[i] *= spec_.rescale;
  }
  standardise(y, row);
  store_.row(y, row);
}

// Feature-wise statistics of row y. Doubles, rounded once: the very float32 results of NumPy.
void Augmenter::standardise(int y, float* row) const {
  const auto channels = static_cast<size_t>(layout_.channels);
  const auto value_of = [&](const std::vector<double>& statistics, size_t i) {
    return statistics.size() == channels ? statistics[i % channels]
                                         : statistics[static_cast<size_t>(y) * row_values_ + i];
  };
  if (!spec_.mean.empty()) {
    for (size_t i = 0; i < row_values_; ++i) {
      row[i] = static_cast<float>(row[i] - value_of(spec_.mean, i));
    }
  }
  if (!spec_.std.empty()) {
    for (size_t i = 0; i < row_values_; ++i) {
      row[i] = static_cast<float>(row[i] / value_of(spec_.std, i));
    }
  }
}

void Augmenter::finish_whole() {
  const auto range = [this] { return std::minmax_element(whole_.begin(), whole_.end()); };
  if (transform_.shifts_channels) {
    const auto [low_at, high_at] = range();
    const float low = *low_at, high = *high_at;
    for (float& value : whole_) value = std::clamp(value + transform_.channel_shift, low, high);
  }
  if (transform_.changes_brightness) {
    const auto [low_at, high_at] = range();
    const float low = *low_at, high = *high_at;
    if (low < 0 || high > 255) {
      brighten_stretched(low, high);
    } else {
      brighten_in_range(whole_.data(), whole_.size());
    }
  }
  if (spec_.rescale != 0) {
    for (float& value : whole_) value *= spec_.rescale;
  }
  const auto mean_of = [this] {
    double sum = 0;
    for (const float value : whole_) sum += value;
    return sum / static_cast<double>(whole_.size());
  };
  if (spec_.samplewise_center) {
    const auto mean = static_cast<float>(mean_of());
    for (float& value : whole_) value -= mean;
  }
  if (spec_.samplewise_std) {
    const double mean = mean_of();
    double squares = 0;
    for (const float value : whole_) squares += (value - mean) * (value - mean);
    const auto deviation =
        static_cast<float>(std::sqrt(squares / static_cast<double>(whole_.size()))) + 1e-6f;
    for (float& value : whole_) value /= deviation;
  }
  for (int y = 0; y < layout_.size.height; ++y) {
    finish_row(y, whole_.data() + row_values_ * static_cast<size_t>(y));
  }
}

void Augmenter::trim() {
  byte_image_.trim();
  float_image_.trim();
  if (whole_.capacity() * sizeof(float) > kKeptScratch) std::vector<float>().swap(whole_);
}

}  // namespace pyloader
