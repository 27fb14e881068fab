#include "image/resize_plan.h"

#include <algorithm>
#include <utility>

namespace pyloader {
namespace {

void mark_needed_rows(ResizePlan& plan) {
  plan.needed_rows.assign(static_cast<size_t>(plan.source.height), 0);
  if (plan.kind == ResizePlan::Kind::kNearest) {
    for (int32_t row : plan.rows) {
      if (row >= 0) plan.needed_rows[static_cast<size_t>(row)] = 1;
    }
    return;
  }
  std::fill(plan.needed_rows.begin() + plan.first_row, plan.needed_rows.begin() + plan.end_row,
            uint8_t{1});
}

void fill_plan(const ResizeRequest& request, AxisPlanCache& cache, ResizePlan& plan) {
  const Halvings halvings = request.halvings;
  const Size source = plane_size(request.source, halvings), target = request.target;
  plan.source = source;
  plan.target = target;
  plan.end_row = source.height;

  const Box box = request.keep_aspect_ratio
                      ? crop_box(request.source, target)
                      : Box{0, 0, request.source.width, request.source.height};
  const bool same_x =
      source.width == target.width && box.left == 0 && box.right == target.width << halvings.x;
  const bool same_y =
      source.height == target.height && box.top == 0 && box.bottom == target.height << halvings.y;
  if (same_x && same_y) return;
  const AxisKey x{source.width, box.left, box.right, target.width, request.filter, halvings.x};
  const AxisKey y{source.height, box.top, box.bottom, target.height, request.filter, halvings.y};
  if (request.filter == Filter::kNearest) {
    plan.kind = ResizePlan::Kind::kNearest;
    plan.columns = make_nearest_positions(x);
    plan.rows = make_nearest_positions(y);
    plan.first_row = std::max(plan.rows.front(), 0);
    plan.end_row = *std::max_element(plan.rows.begin(), plan.rows.end()) + 1;
    return;
  }
  plan.kind = ResizePlan::Kind::kFilter;
  if (!same_x) plan.horizontal = cache.get(x);
  if (!same_y) {
    plan.vertical = cache.get(y);
    plan.first_row = plan.vertical->first.front();
    plan.end_row = std::max(plan.vertical->last_end(), plan.first_row);
  }
  const int shrunk_rows = source.height - target.height;
  plan.vertical_first = shrunk_rows > 0 && shrunk_rows > 2 * (source.width - target.width);
}

}  // namespace

Size plane_size(Size image, Halvings halvings) {
  const auto halved = [](int side, int times) { return (side + (1 << times) - 1) >> times; };
  return {.width = halved(image.width, halvings.x), .height = halved(image.height, halvings.y)};
}

// In Keras' integers.
Box crop_box(Size source, Size target) {
  const int64_t width = source.width, height = source.height;
  const auto crop_height = static_cast<int>(std::min(height, width * target.height / target.width));
  const auto crop_width = static_cast<int>(std::min(width, height * target.width / target.height));
  const int top = (source.height - crop_height) / 2;
  const int left = (source.width - crop_width) / 2;
  return {left, top, left + crop_width, top + crop_height};
}

// In TensorFlow's float32 arithmetic, which makes some images a pixel smaller than exact arithmetic
// would, and moves them towards the top left.
Box fitted_box(Size source, Size target) {
  const auto width = static_cast<float>(source.width), height = static_cast<float>(source.height);
  const auto place_width = static_cast<float>(target.width);
  const auto place_height = static_cast<float>(target.height);
  const float ratio = std::max(width / place_width, height / place_height);
  // Returns begin and length. The bounds hold beyond 2^24 too, where floats skip integers.
  const auto fit = [](float place, float part, int side) {
    const int length = std::clamp(static_cast<int>(part), 1, side);
    const int begin = std::clamp(static_cast<int>((place - part) / 2), 0, side - length);
    return std::pair(begin, length);
  };
  const auto [left, fitted_width] = fit(place_width, width / ratio, target.width);
  const auto [top, fitted_height] = fit(place_height, height / ratio, target.height);
  return {left, top, left + fitted_width, top + fitted_height};
}

size_t AxisPlanCache::Hash::operator()(const AxisKey& key) const {
  size_t hash = 0;
  for (const int part : {key.in_size, key.begin, key.end, key.out_size,
                         static_cast<int>(key.filter), key.halvings}) {
    hash = (hash ^ static_cast<size_t>(part)) * 0x9E3779B97F4A7C15u;
  }
  return hash ^ hash >> 32;
}

std::shared_ptr<const AxisPlan> AxisPlanCache::get(const AxisKey& key) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front().plan;
  }
  auto plan = std::make_shared<const AxisPlan>(make_axis_plan(key));
  entries_.push_front({key, plan});
  by_key_.emplace(key, entries_.begin());
  bytes_ += plan->bytes();
  while (bytes_ > byte_limit_ && entries_.size() > 1) {
    bytes_ -= entries_.back().plan->bytes();
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  return plan;
}

ResizePlan make_resize_plan(const ResizeRequest& request, AxisPlanCache& cache) {
  ResizePlan plan;
  fill_plan(request, cache, plan);
  mark_needed_rows(plan);
  return plan;
}

}  // namespace pyloader
