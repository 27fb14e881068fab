// How one axis is resampled: for every output position, which input positions count and how much.
// The arithmetic is Pillow's (libImaging/Resample.c, 8 bits per channel), so that results agree in
// every bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pyloader {

enum class Filter { kNearest, kBox, kBilinear, kHamming, kBicubic, kLanczos };

// Weights are fixed-point numbers of this many fractional bits.
inline constexpr int kWeightBits = 32 - 8 - 2;

// The fast kernels need the same weights in smaller pieces; see `AxisPlan::high`.
inline constexpr int kLowBits = 14;

struct AxisKey {
  int in_size = 0;  // samples of the whole source axis
  int begin = 0;    // the box: [begin, end) of the image is stretched over the output
  int end = 0;
  int out_size = 0;
  Filter filter = Filter::kBilinear;
  int halvings = 0;  // a sample stands for 2^halvings pixels, which are what the box counts
  friend bool operator==(const AxisKey&, const AxisKey&) = default;
};

// The weights of one axis for kernels that make neighbouring outputs side by side, `lanes` of them:
// a shuffle brings each lane its next few taps ("a step") out of one window of the row.
struct LaneTable {
  bool fits = false;           // whether the windows are wide enough; else the table is empty
  int steps = 0;               // of every group
  std::vector<int32_t> base;   // per group (per half group): where its window begins
  std::vector<uint8_t> index;  // the shuffle; what a lane does not need is harmless
  std::vector<int8_t> bytes;   // weights in the order in which the kernel takes them:
  std::vector<int16_t> words;  // one of the two
};

// Output i is sum over t < count[i] of weight(i, t) * input[first[i] + t], rounded and clipped to a
// byte. `first` and `first + count` never decrease. Rows of weights are `stride` long, a multiple
// of 8, and padded with zeros.
struct AxisPlan {
  int out_size = 0;
  int max_count = 0;
  int stride = 0;
  std::vector<int32_t> first;
  std::vector<int32_t> count;
  std::vector<int32_t> weights;
  // The same weights cut for 16-bit multiplies: weight = high * 2^kLowBits + low, 0 <= low.
  std::vector<int16_t> high;
  std::vector<int16_t> low;
  // And for 8-bit dot products: weight = byte2 * 2^16 + byte1 * 2^8 + byte0, all signed.
  std::vector<int8_t> byte0;
  std::vector<int8_t> byte1;
  std::vector<int8_t> byte2;
  // For 16 outputs from 64 input bytes, four taps a step: per group and step 64 indices, and 64
  // bytes each of byte0, byte1, byte2.
  LaneTable lanes16;
  // For 8 outputs, 4 from 16 input bytes and 4 from 16 others, two taps a step. The windows move on
  // by two bytes with each step, so a group has 32 indices; 16 words each of high and low per step.
  LaneTable lanes8;

  int last_end() const { return first.back() + count.back(); }
  size_t bytes() const;
};

// Weights of every filter but kNearest. Sizes must be positive; an empty box (begin == end) is
// allowed and gives what Pillow gives.
AxisPlan make_axis_plan(const AxisKey& key);

// kNearest: the input position of every output position, by Pillow's accumulated double; -1 where
// rounding leaves the image, which Pillow fills with zero.
std::vector<int32_t> make_nearest_positions(const AxisKey& key);

}  // namespace pyloader
