#include "image/sample_store.h"

#include <cstring>

#include "image/color.h"

namespace pyloader {
namespace {

constexpr size_t kLargeSample = size_t{256} << 10;

// Looks up `count` bytes, `step` bytes apart, into adjacent values of Item's size.
template <class Item>
void look_up(const std::vector<uint8_t>& table, const uint8_t* src, ptrdiff_t step, uint8_t* out,
             size_t count) {
  for (size_t i = 0; i < count; ++i, src += step) {
    std::memcpy(out + i * sizeof(Item), table.data() + *src * sizeof(Item), sizeof(Item));
  }
}

struct Wide {
  uint64_t parts[2];
};

void look_up(const StoreTable& table, const uint8_t* src, ptrdiff_t step, uint8_t* out,
             size_t count) {
  switch (table.item_size) {
    case 1: return look_up<uint8_t>(table.values, src, step, out, count);
    case 2: return look_up<uint16_t>(table.values, src, step, out, count);
    case 4: return look_up<uint32_t>(table.values, src, step, out, count);
    case 8: return look_up<uint64_t>(table.values, src, step, out, count);
    default: return look_up<Wide>(table.values, src, step, out, count);
  }
}

}  // namespace

StoreTable::StoreTable(std::span<const uint8_t> items, bool is_float)
    : item_size(items.size() / 256), values(items.begin(), items.end()) {
  is_identity = item_size == 1;
  for (size_t i = 0; i < 256 && is_identity; ++i) is_identity = values[i] == i;
  if (!is_float) return;
  std::memcpy(&scale, values.data() + sizeof(float), sizeof(float));
  is_linear_float = true;
  for (size_t i = 0; i < 256 && is_linear_float; ++i) {
    const float product = static_cast<float>(i) * scale;
    is_linear_float = std::memcmp(&product, values.data() + i * sizeof(float), sizeof(float)) == 0;
  }
}

StoreTable StoreTable::identity() {
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(i);
  return StoreTable(bytes, false);
}

SampleStore::SampleStore(const SampleLayout& layout, const StoreTable& table, SimdLevel level)
    : layout_(layout), table_(table), kernels_(image_kernels(level)) {
  row_.require(static_cast<size_t>(layout.size.width) * 4 + kRowSlack);
}

void SampleStore::begin(uint8_t* destination, int channels, bool premultiplied) {
  destination_ = destination;
  channels_ = channels;
  premultiplied_ = premultiplied;
}

// The row with all of the layout's channels: the row itself where it has them.
const uint8_t* SampleStore::fill_channels(const uint8_t* row) {
  const int width = layout_.size.width;
  if (premultiplied_) {
    uint8_t* out = row_.require(0);
    unpremultiply(row, out, width);
    return out;
  }
  if (channels_ == layout_.channels) return row;
  uint8_t* out = row_.require(0);
  const bool from_gray = channels_ == 1;
  for (int x = 0; x < width; ++x) {
    const uint8_t* pixel = row + x * channels_;
    uint8_t* to = out + x * layout_.channels;
    to[0] = pixel[0];
    to[1] = pixel[from_gray ? 0 : 1];
    to[2] = pixel[from_gray ? 0 : 2];
    if (layout_.channels == 4) to[3] = 255;
  }
  return out;
}

void SampleStore::accept(int y, const uint8_t* row) {
  row = fill_channels(row);
  if (layout_.channels_first && layout_.channels > 1) return store_planes(y, row);
  const size_t row_bytes = static_cast<size_t>(layout_.size.width) *
                           static_cast<size_t>(layout_.channels) * layout_.item_size;
  store_interleaved(row, destination_ + static_cast<size_t>(y) * row_bytes);
}

void SampleStore::store_interleaved(const uint8_t* row, uint8_t* out) const {
  const size_t count =
      static_cast<size_t>(layout_.size.width) * static_cast<size_t>(layout_.channels);
  if (table_.is_identity) {
    std::memcpy(out, row, count);
  } else if (table_.is_linear_float) {
    // A few batches of such samples are more than a cache holds.
    const bool past_cache = layout_.bytes() >= kLargeSample;
    kernels_.store_float(row, reinterpret_cast<float*>(out), count, table_.scale, past_cache);
  } else {
    look_up(table_, row, 1, out, count);
  }
}

void SampleStore::store_planes(int y, const uint8_t* row) const {
  const auto width = static_cast<size_t>(layout_.size.width);
  const size_t plane_bytes = width * static_cast<size_t>(layout_.size.height) * layout_.item_size;
  uint8_t* out = destination_ + static_cast<size_t>(y) * width * layout_.item_size;
  if (table_.is_linear_float && layout_.channels == 3) {
    float* const planes[3] = {reinterpret_cast<float*>(out),
                              reinterpret_cast<float*>(out + plane_bytes),
                              reinterpret_cast<float*>(out + 2 * plane_bytes)};
    kernels_.store_float_planes(row, planes, layout_.size.width, table_.scale);
    return;
  }
  for (int c = 0; c < layout_.channels; ++c, out += plane_bytes) {
    look_up(table_, row + c, layout_.channels, out, width);
  }
}

}  // namespace pyloader
