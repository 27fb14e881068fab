// Resizes and stores images of any size, form, filter and crop, in ragged bands, at every SIMD
// level: rows are those of two plain passes, stored values those of the scalar kernels.
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz.h"
#include "image/sample_store.h"
#include "resizing.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

// Pixels that go into a pass or come out of it: small images are done in no time, and find nearly
// as much as larger ones.
constexpr int64_t kFewPixels = int64_t{1} << 10, kManyPixels = int64_t{1} << 13;

int side(Choices& choices) {
  const int bits = choices.one_in(20) ? 16 : choices.below(8);
  return 1 + choices.below(1 << bits);
}

void bound(Size& source, Size& target, int64_t most) {
  const auto halve = [](int& value) { value = (value + 1) / 2; };
  while (int64_t{source.width} * source.height > most) {
    halve(source.width > source.height ? source.width : source.height);
  }
  while (int64_t{target.width} * target.height > most) {
    halve(target.width > target.height ? target.width : target.height);
  }
  // Between the passes one side is the target's already.
  while (int64_t{target.width} * source.height > most) halve(target.width);
  while (int64_t{source.width} * target.height > most) halve(target.height);
}

StoreTable choose_table(Choices& choices) {
  const int kind = choices.below(4);
  if (kind == 0) return StoreTable::identity();
  if (kind == 1) {
    Random random(choices.next());
    std::vector<uint8_t> values(256u << choices.below(5));
    random.fill(values);
    return StoreTable(values, false);
  }
  const float scale = kind == 2 ? 1.0f : 1.0f / static_cast<float>(choices.between(1, 300));
  const float shift = choices.one_in(3) ? -1.0f : 0.0f;
  std::vector<uint8_t> values(256 * sizeof(float));
  for (size_t i = 0; i < 256; ++i) {
    const auto value = std::bit_cast<std::array<uint8_t, 4>>(static_cast<float>(i) * scale + shift);
    std::memcpy(values.data() + i * sizeof(float), value.data(), sizeof(float));
  }
  return StoreTable(values, true);
}

// Stores an image in a heap block that ends where the sample ends.
std::vector<uint8_t> stored(Image& image, const SampleLayout& layout, const StoreTable& table,
                            SimdLevel level, bool premultiplied, Random& random) {
  SampleStore store(layout, table, level);
  const std::unique_ptr<uint8_t[]> sample(new uint8_t[layout.bytes()]);
  store.begin(sample.get(), image.channels, premultiplied);
  for (int y = 0; y < image.size.height; ++y) {
    ExactRows row(1, image.row_bytes(), random);
    std::memcpy(row[0], &image.at(0, y, 0), image.row_bytes());
    store.accept(y, row[0]);
  }
  return {sample.get(), sample.get() + layout.bytes()};
}

void compare_stores(Image& image, SimdLevel level, Choices& choices, Random& random) {
  const StoreTable table = choose_table(choices);
  // Missing channels are filled up.
  const int most = image.channels == 1 ? 3 : 5 - image.channels;
  const int channels = std::array{4, 3, 1}[static_cast<size_t>(choices.below(most))];
  const SampleLayout layout = {.size = image.size,
                               .channels = channels,
                               .channels_first = choices.one_in(2),
                               .item_size = table.item_size};
  const bool premultiplied = image.channels == 4 && choices.one_in(2);
  expect(stored(image, layout, table, level, premultiplied, random) ==
             stored(image, layout, table, SimdLevel::kScalar, premultiplied, random),
         "other stored values");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static AxisPlanCache plans(1 << 16);
  static const std::vector<SimdLevel> levels = all_levels();
  static std::vector<RowResizer> resizers(levels.begin(), levels.end());

  Input input(data, size);
  Choices& choices = input.choices;
  Size source = {side(choices), side(choices)}, target = {side(choices), side(choices)};
  const int kind = choices.below(6 * 5 * 2 * 3 * 16);
  const auto number = static_cast<size_t>(kind / 960) % levels.size();
  if (kind % 7 == 0) target.width = source.width;
  if (kind % 11 == 0) target.height = source.height;
  bound(source, target, choices.one_in(16) ? kManyPixels : kFewPixels);
  ResizeRequest request = {.source = source,
                           .target = target,
                           .filter = kFilters[kind % 6],
                           .keep_aspect_ratio = kind / 6 % 2 == 1};
  if (request.filter != Filter::kNearest) {
    request.halvings = {.x = kind / 60 % 4, .y = kind / 240 % 4};
  }
  const auto& [src_channels, dst_channels] = kChannels[kind / 12 % 5];
  const ResizePlan plan = make_resize_plan(request, plans);
  Random random(choices.next());
  Image image(plan.source, src_channels);
  if (input.content.empty()) {
    random.fill(image.pixels);
  } else {
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      image.pixels[i] = input.content[i % input.content.size()];
    }
  }
  Image result = streamed(resizers[number], image, plan, dst_channels, random, "an image");
  expect_no_failed_check();
  expect(result.pixels == reference(image, plan, dst_channels).pixels, "other pixels");
  if (random.below(16) == 0) resizers[number].trim();
  reached();
  compare_stores(result, levels[number], choices, random);
  return 0;
}
