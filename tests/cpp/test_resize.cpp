// The streaming resizer is judged by two plain passes over the whole image with the same weights.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "image/resize_plan.h"
#include "image/row_resizer.h"
#include "inputs.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr Filter kFilters[] = {Filter::kNearest, Filter::kBox,     Filter::kBilinear,
                               Filter::kHamming, Filter::kBicubic, Filter::kLanczos};

struct Image {
  Size size;
  int channels = 0;
  std::vector<uint8_t> pixels;

  Image(Size image_size, int image_channels)
      : size(image_size),
        channels(image_channels),
        pixels(static_cast<size_t>(image_size.width) * static_cast<size_t>(image_size.height) *
               static_cast<size_t>(image_channels)) {}
  uint8_t& at(int x, int y, int c) {
    return pixels[(static_cast<size_t>(y) * static_cast<size_t>(size.width) +
                   static_cast<size_t>(x)) * static_cast<size_t>(channels) +
                  static_cast<size_t>(c)];
  }
  size_t row_bytes() const { return static_cast<size_t>(size.width * channels); }
};

// One output value: the plan's weights over `at(t)`, in wide arithmetic.
template <class Input>
uint8_t resampled(const AxisPlan& plan, int index, Input at) {
  int64_t sum = int64_t{1} << (kWeightBits - 1);
  const auto i = static_cast<size_t>(index);
  for (int t = 0; t < plan.count[i]; ++t) {
    const size_t weight = i * static_cast<size_t>(plan.stride) + static_cast<size_t>(t);
    sum += int64_t{plan.weights[weight]} * at(plan.first[i] + t);
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kWeightBits, 0, 255));
}

Image horizontal_pass(Image& image, const AxisPlan& plan) {
  Image out({plan.out_size, image.size.height}, image.channels);
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      for (int c = 0; c < out.channels; ++c) {
        out.at(x, y, c) = resampled(plan, x, [&](int i) { return image.at(i, y, c); });
      }
    }
  }
  return out;
}

Image vertical_pass(Image& image, const AxisPlan& plan) {
  Image out({image.size.width, plan.out_size}, image.channels);
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      for (int c = 0; c < out.channels; ++c) {
        out.at(x, y, c) = resampled(plan, y, [&](int i) { return image.at(x, i, c); });
      }
    }
  }
  return out;
}

Image nearest_pass(Image& image, const ResizePlan& plan) {
  Image out(plan.target, image.channels);
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      const int from_x = plan.columns[static_cast<size_t>(x)];
      const int from_y = plan.rows[static_cast<size_t>(y)];
      for (int c = 0; c < out.channels; ++c) {
        out.at(x, y, c) = from_x < 0 || from_y < 0 ? uint8_t{0} : image.at(from_x, from_y, c);
      }
    }
  }
  return out;
}

Image reference(Image image, const ResizePlan& plan, int dst_channels) {
  if (plan.kind == ResizePlan::Kind::kNearest) image = nearest_pass(image, plan);
  if (plan.vertical_first && plan.vertical) image = vertical_pass(image, *plan.vertical);
  if (plan.horizontal) image = horizontal_pass(image, *plan.horizontal);
  if (!plan.vertical_first && plan.vertical) image = vertical_pass(image, *plan.vertical);
  if (image.channels == dst_channels) return image;
  Image out(image.size, dst_channels);
  const auto blank = [&](const std::vector<int32_t>& from, int at) {
    return plan.kind == ResizePlan::Kind::kNearest && from[static_cast<size_t>(at)] < 0;
  };
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      const bool nothing = blank(plan.columns, x) || blank(plan.rows, y);
      for (int c = 0; c < dst_channels; ++c) {
        out.at(x, y, c) = c < image.channels ? image.at(x, y, c) : (nothing ? 0 : 255);
      }
    }
  }
  return out;
}

RowForm form_of(const Image& image) {
  if (image.channels == 1) return RowForm::kGray;
  return image.channels == 3 ? RowForm::kPlanes : RowForm::kColor;
}

// Takes the rows and reads all of their slack, as kernels behind it may.
class Collector final : public RowSink {
 public:
  explicit Collector(Image& image) : image_(image) {}
  void accept(int y, const uint8_t* row) override {
    check_equal(y, next_, "row order");
    check(y < image_.size.height, "rows past the end");
    ++next_;
    if (y >= image_.size.height) return;
    std::memcpy(&image_.at(0, y, 0), row, image_.row_bytes());
    for (size_t i = 0; i < kRowSlack; ++i) slack_ = slack_ ^ row[image_.row_bytes() + i];
  }
  int count() const { return next_; }

 private:
  Image& image_;
  int next_ = 0;
  volatile uint8_t slack_ = 0;
};

// A row as `form` has it: planes behind each other, each with its slack. `columns`, where given, are
// what it consists of.
void copy_row(Image& image, int y, std::span<const int32_t> columns, uint8_t* out,
              ptrdiff_t plane_stride) {
  const int width = columns.empty() ? image.size.width : static_cast<int>(columns.size());
  const bool planes = form_of(image) == RowForm::kPlanes;
  for (int x = 0; x < width; ++x) {
    const int from = columns.empty() ? x : std::max(columns[static_cast<size_t>(x)], 0);
    for (int c = 0; c < image.channels; ++c) {
      out[planes ? x + c * plane_stride : x * image.channels + c] = image.at(from, y, c);
    }
  }
}

// Pushes the image in bands of ragged sizes. A row lives in a heap block of its own, during the
// call only; a row that the plan does not need does not exist.
Image streamed(RowResizer& resizer, Image& image, const ResizePlan& plan, int dst_channels,
               Random& random, const std::string& name) {
  Image out(plan.target, dst_channels);
  Collector sink(out);
  const RowForm form = form_of(image);
  const bool picked = plan.kind == ResizePlan::Kind::kNearest && form != RowForm::kColor &&
                      random.below(2) == 0;
  std::span<const int32_t> columns;
  if (picked) columns = plan.columns;
  const size_t width = picked ? columns.size() : static_cast<size_t>(image.size.width);
  const size_t plane_stride = width + kRowSlack + random.below(3);
  const size_t bytes = form == RowForm::kPlanes ? 2 * plane_stride + width
                       : form == RowForm::kGray ? width
                                                : 4 * width;
  resizer.begin(plan, form, dst_channels, sink, picked);
  const int longest = random.between(1, 21);
  for (int y = 0; y < image.size.height && !resizer.done();) {
    const int count = std::min(random.between(1, longest), image.size.height - y);
    ExactRows band(count, bytes, random);
    std::vector<const uint8_t*> rows;
    for (int r = 0; r < count; ++r) {
      copy_row(image, y + r, columns, band[r], static_cast<ptrdiff_t>(plane_stride));
      rows.push_back(plan.needed_rows[static_cast<size_t>(y + r)] != 0 ? band[r] : nullptr);
    }
    resizer.push(rows.data(), count, static_cast<ptrdiff_t>(plane_stride));
    y += count;
  }
  check(resizer.done(), "done: " + name);
  check_equal(sink.count(), plan.target.height, "rows of " + name);
  return out;
}

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

constexpr int kChannels[][2] = {{1, 1}, {4, 3}, {4, 4}, {3, 3}, {3, 4}};

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
  constexpr Size kShapes[][2] = {
      {{1, 2000}, {3, 2}},   {{2000, 1}, {2, 3}},  {{1, 2000}, {1, 1999}}, {{900, 3}, {1, 200}},
      {{3, 900}, {200, 1}},  {{1, 1}, {300, 200}}, {{250, 300}, {1, 1}},   {{5, 700}, {5, 3}},
      {{700, 5}, {3, 5}},    {{64, 64}, {64, 63}}, {{64, 64}, {63, 64}},   {{257, 2}, {255, 2}},
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
  return run_tests(argc, argv, {
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
