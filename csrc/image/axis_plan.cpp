#include "image/axis_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/pixels.h"

namespace pyloader {
namespace {

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double bilinear(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double hamming(double x) {
  x = std::fabs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  x *= std::numbers::pi;
  // The window's constants are single precision in Pillow, and so in its results.
  return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

struct FilterShape {
  double (*weight)(double);
  double support;  // in output pixels (or input pixels where the axis grows)
};

FilterShape shape_of(Filter filter) {
  switch (filter) {
    case Filter::kBox: return {box, 0.5};
    case Filter::kHamming: return {hamming, 1.0};
    case Filter::kBicubic: return {bicubic, 2.0};
    case Filter::kLanczos: return {lanczos, 3.0};
    case Filter::kBilinear:
    case Filter::kNearest: break;
  }
  return {bilinear, 1.0};
}

int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << kWeightBits);
  return static_cast<int32_t>(weight < 0 ? -0.5 + scaled : 0.5 + scaled);
}

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

// Fills the cut copies of the weights.
void cut_weights(AxisPlan& plan) {
  const size_t total = plan.weights.size();
  plan.high.resize(total);
  plan.low.resize(total);
  plan.byte0.resize(total);
  plan.byte1.resize(total);
  plan.byte2.resize(total);
  for (size_t i = 0; i < total; ++i) {
    const int32_t weight = plan.weights[i];
    plan.high[i] = static_cast<int16_t>(weight >> kLowBits);
    plan.low[i] = static_cast<int16_t>(weight & ((1 << kLowBits) - 1));
    const auto byte0 = static_cast<int8_t>(weight & 0xFF);
    const int32_t rest = (weight - byte0) >> 8;
    const auto byte1 = static_cast<int8_t>(rest & 0xFF);
    plan.byte0[i] = byte0;
    plan.byte1[i] = byte1;
    plan.byte2[i] = static_cast<int8_t>((rest - byte1) >> 8);
  }
}

size_t bytes_of(const LaneTable& table) {
  return table.base.size() * sizeof(int32_t) + table.index.size() + table.bytes.size() +
         table.words.size() * sizeof(int16_t);
}

// Lanes past the last output, and taps past a lane's last, get weight 0 and some input inside the
// window.
void lay_out_lanes16(AxisPlan& plan) {
  constexpr int kLanes = 16, kTaps = 4, kWindow = 64;
  LaneTable& table = plan.lanes16;
  const int groups = round_up(plan.out_size, kLanes) / kLanes;
  for (int g = 0; g < groups; ++g) {
    const auto begin = static_cast<size_t>(g * kLanes);
    const auto last = static_cast<size_t>(std::min((g + 1) * kLanes, plan.out_size) - 1);
    if (plan.first[last] + plan.count[last] - plan.first[begin] > kWindow) return;
    table.base.push_back(plan.first[begin]);
  }
  table.fits = true;
  table.steps = (plan.max_count + kTaps - 1) / kTaps;
  for (int g = 0; g < groups; ++g) {
    for (int step = 0; step < table.steps; ++step) {
      const size_t at = table.bytes.size();
      table.bytes.resize(at + 3 * kWindow);
      for (int lane = 0; lane < kLanes; ++lane) {
        const int x = g * kLanes + lane;
        for (int t = 0; t < kTaps; ++t) {
          const int tap = step * kTaps + t;
          const bool used = x < plan.out_size && tap < plan.count[static_cast<size_t>(x)];
          const int offset =
              used ? plan.first[static_cast<size_t>(x)] + tap - table.base[static_cast<size_t>(g)]
                   : 0;
          table.index.push_back(static_cast<uint8_t>(offset));
          if (!used) continue;
          const auto weight = static_cast<size_t>(x * plan.stride + tap);
          const size_t to = at + static_cast<size_t>(lane * kTaps + t);
          table.bytes[to] = plan.byte0[weight];
          table.bytes[to + kWindow] = plan.byte1[weight];
          table.bytes[to + 2 * kWindow] = plan.byte2[weight];
        }
      }
    }
  }
}

void lay_out_lanes8(AxisPlan& plan) {
  constexpr int kLanes = 8, kHalf = 4, kTaps = 2, kWindow = 16;
  LaneTable& table = plan.lanes8;
  const int halves = round_up(plan.out_size, kLanes) / kHalf;
  table.steps = (plan.max_count + kTaps - 1) / kTaps;
  const int reach = (table.steps - 1) * kTaps + kWindow;
  for (int h = 0; h < halves; ++h) {
    const auto begin = static_cast<size_t>(std::min(h * kHalf, plan.out_size - 1));
    const auto last = static_cast<size_t>(std::min((h + 1) * kHalf, plan.out_size) - 1);
    const bool inside = plan.first[begin] + reach <= plan.last_end() + static_cast<int>(kRowSlack);
    if (!inside || plan.first[last] + kTaps - plan.first[begin] > kWindow) return;
    table.base.push_back(plan.first[begin]);
  }
  table.fits = true;
  constexpr uint8_t kZero = 0x80;  // the shuffle's word for a byte of 0
  for (int h = 0; h < halves; ++h) {
    for (int lane = 0; lane < kHalf; ++lane) {
      const int x = std::min(h * kHalf + lane, plan.out_size - 1);
      const int offset = plan.first[static_cast<size_t>(x)] - table.base[static_cast<size_t>(h)];
      const auto at = static_cast<uint8_t>(offset);
      table.index.insert(table.index.end(), {at, kZero, static_cast<uint8_t>(at + 1), kZero});
    }
  }
  for (int g = 0; g < halves / 2; ++g) {
    for (int step = 0; step < table.steps; ++step) {
      for (const auto* weights : {&plan.high, &plan.low}) {
        for (int i = 0; i < kLanes * kTaps; ++i) {
          const int x = g * kLanes + i / kTaps, tap = step * kTaps + i % kTaps;
          const bool used = x < plan.out_size && tap < plan.stride;
          table.words.push_back(used ? (*weights)[static_cast<size_t>(x * plan.stride + tap)]
                                     : int16_t{0});
        }
      }
    }
  }
}

}  // namespace

size_t AxisPlan::bytes() const {
  return first.size() * 2 * sizeof(int32_t) + weights.size() * (sizeof(int32_t) + 2 * 2 + 3) +
         bytes_of(lanes16) + bytes_of(lanes8);
}

AxisPlan make_axis_plan(const AxisKey& key) {
  const FilterShape shape = shape_of(key.filter);
  const float pixels_per_sample = static_cast<float>(1 << key.halvings);
  const float begin = static_cast<float>(key.begin) / pixels_per_sample;
  const float end = static_cast<float>(key.end) / pixels_per_sample;
  const double scale = static_cast<double>(end - begin) / key.out_size;
  const double filter_scale = std::max(scale, 1.0);
  const double support = shape.support * filter_scale;
  const double inverse = 1.0 / filter_scale;

  AxisPlan plan;
  plan.out_size = key.out_size;
  plan.first.resize(static_cast<size_t>(key.out_size));
  plan.count.resize(static_cast<size_t>(key.out_size));
  plan.stride = round_up(static_cast<int>(std::ceil(support)) * 2 + 1, 8);
  plan.weights.assign(static_cast<size_t>(key.out_size) * static_cast<size_t>(plan.stride), 0);

  std::vector<double> window(static_cast<size_t>(plan.stride));
  for (int i = 0; i < key.out_size; ++i) {
    const double center = begin + (i + 0.5) * scale;
    const int low = std::max(static_cast<int>(center - support + 0.5), 0);
    const int high = std::min(static_cast<int>(center + support + 0.5), key.in_size);
    const int count = std::max(high - low, 0);
    double sum = 0.0;
    for (int t = 0; t < count; ++t) {
      const double weight = shape.weight((t + low - center + 0.5) * inverse);
      window[static_cast<size_t>(t)] = weight;
      sum += weight;
    }
    int32_t* row = plan.weights.data() + static_cast<size_t>(i) * static_cast<size_t>(plan.stride);
    for (int t = 0; t < count; ++t) {
      double weight = window[static_cast<size_t>(t)];
      if (sum != 0.0) weight /= sum;
      row[t] = to_fixed(weight);
    }
    plan.first[static_cast<size_t>(i)] = low;
    plan.count[static_cast<size_t>(i)] = count;
    plan.max_count = std::max(plan.max_count, count);
  }
  cut_weights(plan);
  lay_out_lanes16(plan);
  lay_out_lanes8(plan);
  return plan;
}

std::vector<int32_t> make_nearest_positions(const AxisKey& key) {
  const float begin = static_cast<float>(key.begin);
  const float end = static_cast<float>(key.end);
  const double step = static_cast<double>(end - begin) / key.out_size;
  std::vector<int32_t> positions(static_cast<size_t>(key.out_size));
  double at = begin + step * 0.5;
  for (int32_t& position : positions) {
    const int index = at < 0.0 ? -1 : static_cast<int>(at);
    position = index < key.in_size ? index : -1;
    at += step;  // accumulated, not multiplied: the rounding is part of the result
  }
  return positions;
}

}  // namespace pyloader
