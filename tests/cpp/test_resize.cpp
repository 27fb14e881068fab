// The streaming resizer is judged by two plain passes over the whole image with the same weights.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "resizing.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

std::string name_of(const ResizeRequest& request, SimdLevel level) {
  return std::string(simd_level_name(level)) + ", filter " +
         std::to_string(static_cast<int>(request.filter)) + ", " +
         std::to_string(request.source.width) + " x " + std::to_string(request.source.height) +
         " to " + std::to_string(request.target.width) + " x " +
         std::to_string(request.target.height) + (request.keep_aspect_ratio ? ", cropped" : "");
}

// One case at every level; returns the plan's kind and order for the caller's statistics.
ResizePlan compare(const ResizeRequest& request, int src_channels, int dst_channels,
                   std::vector<std::unique_ptr<RowResizer>>& resizers, AxisPlanCache& cache,
                   Random& random) {
  Image image(request.source, src_channels);
  random.fill(image.pixels);
  ResizePlan plan = make_resize_plan(request, cache);
  const Image expected = reference(image, plan, dst_channels);
  check_equal(expected.size.width, request.target.width, "reference");
  check_equal(expected.size.height, request.target.height, "reference");
  const std::vector<SimdLevel> levels = all_levels();
  for (size_t i = 0; i < levels.size(); ++i) {
    const std::string name = name_of(request, levels[i]) + ", channels " +
                             std::to_string(src_channels) + " to " + std::to_string(dst_channels);
    const Image actual = streamed(*resizers[i], image, plan, dst_channels, random, name);
    check(actual.pixels == expected.pixels, name);
    if (random.below(4) == 0) resizers[i]->trim();
  }
  return plan;
}

std::vector<std::unique_ptr<RowResizer>> resizers_of_all_levels() {
  std::vector<std::unique_ptr<RowResizer>> resizers;
  for (SimdLevel level : all_levels()) resizers.push_back(std::make_unique<RowResizer>(level));
  return resizers;
}

void random_sizes_in_both_orders() {
  Random random(11);
  auto resizers = resizers_of_all_levels();
  AxisPlanCache cache;
  int vertical_first = 0, horizontal_first = 0, one_axis = 0, cropped = 0;
  for (int i = 0; i < 700; ++i) {
    const auto side = [&] { return random.between(1, random.below(8) == 0 ? 150 : 40); };
    ResizeRequest request{.source = {side(), side()},
                          .target = {side(), side()},
                          .filter = kFilters[i % 6],
                          .keep_aspect_ratio = random.below(3) == 0};
    if (random.below(6) == 0) request.target.width = request.source.width;
    if (random.below(6) == 0) request.target.height = request.source.height;
    const auto& channels = kChannels[random.below(5)];
    const ResizePlan plan = compare(request, channels[0], channels[1], resizers, cache, random);
    if (plan.kind != ResizePlan::Kind::kFilter) continue;
    ++(plan.vertical_first ? vertical_first : horizontal_first);
    one_axis += !plan.horizontal || !plan.vertical;
    cropped += plan.first_row > 0 || plan.end_row < request.source.height;
  }
  check(vertical_first > 50 && horizontal_first > 50 && one_axis > 50 && cropped > 50,
        "the sweep misses a kind of plan");
}

void small_sizes_completely() {
  Random random(12);
  auto resizers = resizers_of_all_levels();
  AxisPlanCache cache;
  for (Filter filter : kFilters) {
    for (int code = 0; code < 4 * 4 * 4 * 4; ++code) {
      const auto& channels = kChannels[code % 5];
      compare({.source = {code % 4 + 1, code / 4 % 4 + 1},
               .target = {code / 16 % 4 + 1, code / 64 + 1},
               .filter = filter,
               .keep_aspect_ratio = code % 2 == 1},
              channels[0], channels[1], resizers, cache, random);
    }
  }
}

void extreme_shapes() {
  Random random(13);
  auto resizers = resizers_of_all_levels();
  AxisPlanCache cache;
  constexpr Size kShapes[][2] = {{{1, 2000}, {3, 2}},  {{2000, 1}, {2, 3}},  {{1, 2000}, {1, 1999}},
                                 {{900, 3}, {1, 200}}, {{3, 900}, {200, 1}}, {{1, 1}, {300, 200}},
                                 {{250, 300}, {1, 1}}, {{5, 700}, {5, 3}},   {{700, 5}, {3, 5}},
                                 {{64, 64}, {64, 63}}, {{64, 64}, {63, 64}}, {{257, 2}, {255, 2}},
                                 {{800, 1}, {1, 500}}, {{1, 800}, {500, 1}}};
  for (const auto& shape : kShapes) {
    for (Filter filter : kFilters) {
      for (const auto& channels : kChannels) {
        for (const bool crop : {false, true}) {
          compare({shape[0], shape[1], filter, crop}, channels[0], channels[1], resizers, cache,
                  random);
        }
      }
    }
  }
}

void slack_never_reaches_a_result() {
  // `streamed` fills the slack with other noise each time; results agree all the same.
  Random random(14);
  AxisPlanCache cache;
  for (SimdLevel level : all_levels()) {
    RowResizer resizer(level);
    Image image({37, 29}, 4);
    random.fill(image.pixels);
    const ResizePlan plan =
        make_resize_plan({image.size, {11, 17}, Filter::kLanczos, false}, cache);
    const Image once = streamed(resizer, image, plan, 3, random, "once");
    for (int i = 0; i < 5; ++i) {
      check(streamed(resizer, image, plan, 3, random, "again").pixels == once.pixels);
    }
  }
}

void an_abandoned_image_leaves_no_trace() {
  Random random(15);
  AxisPlanCache cache;
  for (SimdLevel level : all_levels()) {
    RowResizer resizer(level);
    for (int i = 0; i < 60; ++i) {
      Image first({random.between(1, 60), random.between(2, 60)}, 4);
      random.fill(first.pixels);
      const ResizePlan plan =
          make_resize_plan({first.size, {9, 7}, kFilters[random.below(6)], false}, cache);
      Image nowhere(plan.target, 3);
      Collector sink(nowhere);
      resizer.begin(plan, RowForm::kColor, 3, sink);
      ExactRows half(first.size.height / 2, first.row_bytes(), random);
      resizer.push(half.source(), half.count());
      Image second({random.between(1, 60), random.between(1, 60)}, 4);
      random.fill(second.pixels);
      const ResizePlan next =
          make_resize_plan({second.size, {8, 8}, kFilters[random.below(6)], false}, cache);
      check(streamed(resizer, second, next, 4, random, "second").pixels ==
            reference(second, next, 4).pixels);
    }
  }
}

void the_plan_cache_gives_what_it_would_compute() {
  AxisPlanCache small(1);  // keeps one plan
  AxisPlanCache large;
  Random random(16);
  for (int i = 0; i < 200; ++i) {
    const int in = random.between(1, 9);
    const AxisKey key{in, 0, in, random.between(1, 5), kFilters[random.between(1, 5)]};
    const AxisPlan expected = make_axis_plan(key);
    const std::shared_ptr<const AxisPlan> held = large.get(key);
    for (const auto& plan : {small.get(key), held, small.get(key)}) {
      check(plan->weights == expected.weights && plan->first == expected.first &&
            plan->count == expected.count && plan->max_count == expected.max_count);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"rows streamed in ragged bands give what two whole passes give, in both orders",
           random_sizes_in_both_orders},
          {"every source up to 4 x 4 gives what two whole passes give", small_sizes_completely},
          {"extreme shapes give what two whole passes give", extreme_shapes},
          {"what slack holds never reaches a result", slack_never_reaches_a_result},
          {"an image abandoned half-way leaves no trace in the next",
           an_abandoned_image_leaves_no_trace},
          {"cached plans equal fresh ones", the_plan_cache_gives_what_it_would_compute},
      });
}
