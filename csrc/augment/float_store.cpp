#include "augment/float_store.h"

#include <cstring>
#include <type_traits>

namespace pyloader {
namespace {

// `count` values, `step` apart, to adjacent values of another type.
template <class Value>
void convert(const float* src, ptrdiff_t step, uint8_t* out, size_t count) {
  if constexpr (std::is_same_v<Value, float>) {
    if (step == 1) {
      std::memcpy(out, src, count * sizeof(float));
      return;
    }
  }
  for (size_t i = 0; i < count; ++i, src += step) {
    Value value;
    if constexpr (std::is_same_v<Value, uint8_t>) {
      value = static_cast<uint8_t>(static_cast<int32_t>(*src));
    } else {
      value = static_cast<Value>(*src);
    }
    std::memcpy(out + i * sizeof(Value), &value, sizeof(Value));
  }
}

void convert(FloatTarget target, const float* src, ptrdiff_t step, uint8_t* out, size_t count) {
  switch (target) {
    case FloatTarget::kFloat32: return convert<float>(src, step, out, count);
    case FloatTarget::kFloat64: return convert<double>(src, step, out, count);
    case FloatTarget::kUint8: return convert<uint8_t>(src, step, out, count);
    case FloatTarget::kFloat16:
#if defined(__FLT16_MANT_DIG__)
      return convert<_Float16>(src, step, out, count);
#endif
      break;
  }
}

}  // namespace

void FloatStore::whole(const float* values) const {
  convert(target_, values, 1, destination_, layout_.values());
}

void FloatStore::row(int y, const float* values) const {
  const auto width = static_cast<size_t>(layout_.size.width);
  const auto channels = static_cast<size_t>(layout_.channels);
  if (!layout_.channels_first) {
    const size_t count = width * channels;
    convert(target_, values, 1, destination_ + static_cast<size_t>(y) * count * layout_.item_size,
            count);
    return;
  }
  const size_t plane = width * static_cast<size_t>(layout_.size.height) * layout_.item_size;
  uint8_t* out = destination_ + static_cast<size_t>(y) * width * layout_.item_size;
  for (size_t c = 0; c < channels; ++c, out += plane) {
    convert(target_, values + c, layout_.channels, out, width);
  }
}

}  // namespace pyloader
