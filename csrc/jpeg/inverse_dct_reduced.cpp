// Blocks of 4 x 4, 2 x 2 and 1 x 1 samples from the lowest frequencies of a block of 8 x 8: the
// picture at a half, a quarter and an eighth of its size. The orthonormal DCT of that many points,
// in single precision; equal on every processor.
#include <algorithm>
#include <cmath>

#include "jpeg/kernels.h"

namespace pyloader {
namespace {

using Four [[gnu::vector_size(16)]] = float;

constexpr float kCos1 = 0.6532814824f, kCos3 = 0.2705980501f;  // cos and sin of pi/8, over sqrt 2

Four load_four(const int16_t* at) {
  return Four{static_cast<float>(at[0]), static_cast<float>(at[1]), static_cast<float>(at[2]),
              static_cast<float>(at[3])};
}

// One dimension of four columns at once.
void transform(Four* x) {
  const Four sum = (x[0] + x[2]) * 0.5f, difference = (x[0] - x[2]) * 0.5f;
  const Four outer = x[1] * kCos1 + x[3] * kCos3, inner = x[1] * kCos3 - x[3] * kCos1;
  x[0] = sum + outer;
  x[1] = difference + inner;
  x[2] = difference - inner;
  x[3] = sum - outer;
}

void transpose(Four* x) {
  const Four a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
  const Four b = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
  const Four c = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
  const Four d = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
  x[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  x[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  x[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  x[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

uint8_t to_byte(float level) {
  return static_cast<uint8_t>(std::clamp(level + 128.5f, 0.0f, 255.0f));
}

bool inverse_dct_4x4(const int16_t* blocks, const uint8_t*, int count,
                     const Dequantiser& dequantiser, uint8_t* out, ptrdiff_t stride) {
  Four factors[4];
  for (int r = 0; r < 4; ++r) factors[r] = load_four(dequantiser.factors + 8 * r) * 0.5f;
  for (; count > 0; --count, blocks += 64, out += 4) {
    Four x[4];
    for (int r = 0; r < 4; ++r) x[r] = load_four(blocks + 8 * r) * factors[r];
    transform(x);
    transpose(x);
    transform(x);
    transpose(x);
    for (int y = 0; y < 4; ++y) {
      for (int c = 0; c < 4; ++c) out[y * stride + c] = to_byte(x[y][c]);
    }
  }
  return true;
}

bool inverse_dct_2x2(const int16_t* blocks, const uint8_t*, int count,
                     const Dequantiser& dequantiser, uint8_t* out, ptrdiff_t stride) {
  const auto value = [&](int i) {
    return static_cast<float>(blocks[i]) * static_cast<float>(dequantiser.factors[i]) * 0.125f;
  };
  for (; count > 0; --count, blocks += 64, out += 2) {
    const float mean = value(0), x = value(1), y = value(8), both = value(9);
    out[0] = to_byte(mean + x + y + both);
    out[1] = to_byte(mean - x + y - both);
    out[stride] = to_byte(mean + x - y - both);
    out[stride + 1] = to_byte(mean - x - y + both);
  }
  return true;
}

bool inverse_dct_1x1(const int16_t* blocks, const uint8_t*, int count,
                     const Dequantiser& dequantiser, uint8_t* out, ptrdiff_t) {
  const float factor = static_cast<float>(dequantiser.factors[0]) * 0.125f;
  for (int i = 0; i < count; ++i) out[i] = to_byte(static_cast<float>(blocks[64 * i]) * factor);
  return true;
}

}  // namespace

InverseDct* const kReducedInverseDcts[] = {inverse_dct_4x4, inverse_dct_2x2, inverse_dct_1x1};

}  // namespace pyloader
