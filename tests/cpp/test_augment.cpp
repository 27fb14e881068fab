// Augmented samples: the same bytes at every SIMD level and for any number of threads, whatever the
// transform, and no byte outside the image, however far the transform reaches.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "augment/transform.h"
#include "check.h"
#include "image_folder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr size_t kColumns = SampleTransform::kColumns;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// A row of numbers as Python sends them.
std::vector<double> row_of(const SampleTransform& t) {
  return {t.warp ? 1.0 : 0.0,
          t.map.yr,
          t.map.yc,
          t.map.xr,
          t.map.xc,
          t.map.y0,
          t.map.x0,
          t.shifts_channels ? t.channel_shift : kNone,
          t.flip_horizontal ? 1.0 : 0.0,
          t.flip_vertical ? 1.0 : 0.0,
          t.changes_brightness ? t.brightness : kNone};
}

double number(Random& random, double low, double high) {
  return low + (high - low) * random.below(10001) / 10000.0;
}

SampleTransform random_transform(Random& random) {
  SampleTransform t;
  t.warp = random.below(4) > 0;
  t.map = {.yr = number(random, -1.5, 1.5),
           .yc = number(random, -1, 1),
           .xr = number(random, -1, 1),
           .xc = number(random, -1.5, 1.5),
           .y0 = number(random, -40, 60),
           .x0 = number(random, -40, 60)};
  // Whole and half steps meet the edges and the ties.
  if (random.below(4) == 0) t.map = {1, 0, 0, 1, random.between(-6, 6) / 2.0, 0};
  t.shifts_channels = random.below(4) == 0;
  t.channel_shift = static_cast<float>(number(random, -60, 60));
  t.flip_horizontal = random.below(2) == 0;
  t.flip_vertical = random.below(2) == 0;
  t.changes_brightness = random.below(3) == 0;
  t.brightness = static_cast<float>(number(random, 0.2, 2));
  return t;
}

StoreTable float_table(float rescale) {
  std::vector<uint8_t> bytes(256 * sizeof(float));
  for (size_t i = 0; i < 256; ++i) {
    const float value = static_cast<float>(i) * rescale;
    std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(float));
  }
  return StoreTable(bytes, true);
}

// Float samples with every kind of border, order, layout and statistics, by turns.
SampleSpec float_spec(int turn) {
  SampleSpec spec;
  const int channels[] = {3, 1, 4};
  spec.layout = {.size = {13 + turn % 9, 8 + turn % 7},
                 .channels = channels[turn % 3],
                 .channels_first = turn % 2 == 1,
                 .item_size = sizeof(float)};
  spec.table = float_table(1.0f / 255.0f);
  spec.filter = turn % 5 == 0 ? Filter::kNearest : Filter::kBilinear;
  spec.target = FloatTarget::kFloat32;
  spec.augment.fill_mode = static_cast<FillMode>(turn % 4);
  spec.augment.cval = turn % 3 == 0 ? 17.5 : 40;
  spec.augment.order = turn / 4 % 2;
  spec.augment.rescale = 1.0f / 255.0f;
  spec.augment.samplewise_center = turn % 11 == 3;
  spec.augment.samplewise_std = turn % 11 == 4;
  if (turn % 7 == 2) spec.augment.mean.assign(static_cast<size_t>(spec.layout.channels), 0.25);
  return spec;
}

std::vector<uint8_t> made(SampleMaker& maker, const SampleSpec& spec,
                          const std::vector<uint8_t>& content, const std::vector<double>& row) {
  // Ends where its batch ends.
  const std::unique_ptr<uint8_t[]> sample(new uint8_t[spec.layout.bytes()]());
  MemorySource source(content);
  WorkerCounters counters;
  check(maker.make(source, row.data(), sample.get(), counters).ok());
  return {sample.get(), sample.get() + spec.layout.bytes()};
}

std::vector<std::vector<uint8_t>> contents_for(int channels) {
  std::vector<std::vector<uint8_t>> contents = {
      make_jpeg({.size = {40, 31}, .luma_h = 2, .luma_v = 2}),
      make_jpeg({.size = {9, 33}, .color = JpegColor::kGray})};
  if (channels != 1) contents.push_back(make_other(9, 7, channels, 3));
  return contents;
}

void every_level_makes_the_same_sample() {
  Random random(71);
  for (int turn = 0; turn < 132; ++turn) {
    const SampleSpec spec = float_spec(turn);
    FakeCode code(spec.layout.values());
    SampleMaker scalar(spec, code, SimdLevel::kScalar);
    const std::vector<std::vector<uint8_t>> contents = contents_for(spec.layout.channels);
    std::vector<float> floats(spec.layout.values());
    for (float& value : floats) value = static_cast<float>(number(random, -50, 300));
    for (SimdLevel level : all_levels()) {
      SampleMaker maker(spec, code, level);
      for (int i = 0; i < 3; ++i) {
        const SampleTransform transform = random_transform(random);
        const std::vector<double> row = row_of(transform);
        check_equal(row.size(), kColumns);
        const std::string name = std::string(simd_level_name(level)) + ", turn " +
                                 std::to_string(turn) + ", image " + std::to_string(i);
        for (const std::vector<uint8_t>& content : contents) {
          check(made(maker, spec, content, row) == made(scalar, spec, content, row), name);
        }
        std::vector<uint8_t> actual(spec.layout.bytes()), expected(spec.layout.bytes());
        WorkerCounters counters;
        check(maker.make_from_floats(floats.data(), row.data(), actual.data(), counters).ok());
        check(scalar.make_from_floats(floats.data(), row.data(), expected.data(), counters).ok());
        check(actual == expected, "array, " + name);
      }
    }
  }
}

void no_transform_and_the_identity_agree() {
  for (int turn = 0; turn < 60; ++turn) {
    SampleSpec spec = float_spec(turn);
    spec.augment.samplewise_center = spec.augment.samplewise_std = false;
    spec.augment.mean.clear();
    FakeCode code(spec.layout.values());
    SampleMaker maker(spec, code, simd_level());
    SampleTransform identity, warped;
    warped.warp = true;
    for (const std::vector<uint8_t>& content : contents_for(spec.layout.channels)) {
      std::vector<uint8_t> plain(spec.layout.bytes());
      MemorySource source(content);
      WorkerCounters counters;
      check(maker.make(source, nullptr, plain.data(), counters).ok());
      check(made(maker, spec, content, row_of(identity)) == plain, "turn " + std::to_string(turn));
      check(made(maker, spec, content, row_of(warped)) == plain, "warp " + std::to_string(turn));
    }
  }
}

void flips_mirror_both_axes() {
  SampleSpec spec = small_spec();
  FakeCode code(spec.layout.values());
  SampleMaker maker(spec, code, simd_level());
  const std::vector<uint8_t> content = make_jpeg({.size = {24, 20}});
  SampleTransform flips;
  flips.flip_horizontal = flips.flip_vertical = true;
  const std::vector<uint8_t> plain = made(maker, spec, content, row_of({}));
  const std::vector<uint8_t> turned = made(maker, spec, content, row_of(flips));
  for (size_t pixel = 0; pixel < 24 * 20; ++pixel) {
    const size_t other = 24 * 20 - 1 - pixel;
    check(std::memcmp(&plain[3 * pixel], &turned[3 * other], 3) == 0);
  }
}

// Coordinates that nobody means: the sample may be anything, but nothing outside the image is read.
void absurd_transforms_stay_inside(bool huge) {
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> numbers = {0.0, 1e-300, -1e9, 1e9, 1e12};
  if (huge) numbers.insert(numbers.end(), {1e17, -1e17, 1e18, 1e300, -1e300, inf, kNone});
  Random random(72);
  for (int turn = 0; turn < 64; ++turn) {
    const SampleSpec spec = float_spec(turn);
    FakeCode code(spec.layout.values());
    for (SimdLevel level : all_levels()) {
      SampleMaker maker(spec, code, level);
      const std::vector<uint8_t> content = make_jpeg({.size = {30, 30}});
      for (int i = 0; i < 20; ++i) {
        SampleTransform t;
        t.warp = true;
        const auto any = [&] { return numbers[random.next() % numbers.size()]; };
        t.map = {.yr = any(), .yc = any(), .xr = any(), .xc = any(), .y0 = any(), .x0 = any()};
        (void)made(maker, spec, content, row_of(t));
      }
    }
  }
}

void far_transforms_stay_inside() { absurd_transforms_stay_inside(false); }
void huge_transforms_stay_inside() { absurd_transforms_stay_inside(true); }

void transformed_batches_are_the_same_for_any_number_of_threads() {
  for (int turn = 0; turn < 4; ++turn) {
    const SampleSpec spec = float_spec(3 * turn);  // three channels
    ImageFolder folder(spec);
    std::vector<uint8_t> first;
    for (const int threads : {1, 2, 7}) {
      const auto pool = folder.pool(threads, 2);
      Random random(73);
      std::vector<uint8_t> all;
      for (int b = 0; b < 6; ++b) {
        const std::vector<int64_t> batch = random_batch(random, 10, folder.size());
        std::vector<double> rows;
        for (size_t i = 0; i < batch.size(); ++i) {
          const std::vector<double> row = row_of(random_transform(random));
          rows.insert(rows.end(), row.begin(), row.end());
        }
        const Fetched fetched = wait_for(*pool, pool->submit(batch, rows));
        check(fetched.status.ok());
        all.insert(all.end(), fetched.slot.data(), fetched.slot.data() + 10 * spec.layout.bytes());
      }
      pool->close();
      if (first.empty()) first = all;
      check(all == first, std::to_string(threads) + " threads");
    }
  }
}

void batches_come_from_arrays_too() {
  const SampleSpec spec = float_spec(12);
  const auto floats = std::make_shared<std::vector<float>>(spec.layout.values() * 5);
  Random random(74);
  for (float& value : *floats) value = static_cast<float>(random.below(256));
  for (const int threads : {1, 3}) {
    PoolConfig config;
    config.array = {.data = floats->data(), .count = 5, .owner = floats};
    config.spec = spec;
    config.num_threads = threads;
    const auto pool =
        std::make_shared<Pool>(std::move(config), std::make_shared<FakeCode>(spec.layout.values()));
    const Fetched fetched = wait_for(*pool, submit(*pool, {4, 0, 4, 2}));
    check(fetched.status.ok());
    const auto* out = reinterpret_cast<const float*>(fetched.slot.data());
    for (const size_t index : {size_t{4}, size_t{0}, size_t{4}, size_t{2}}) {
      for (size_t i = 0; i < spec.layout.values(); ++i, ++out) {
        check(*out == (*floats)[index * spec.layout.values() + i] * spec.augment.rescale);
      }
    }
    pool->close();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"every SIMD level makes the same sample of every transform, from files and from arrays",
           every_level_makes_the_same_sample},
          {"no transform and the identity give the same sample",
           no_transform_and_the_identity_agree},
          {"flips mirror both axes", flips_mirror_both_axes},
          {"far transforms read nothing outside the image", far_transforms_stay_inside},
          {"huge transforms read nothing outside the image", huge_transforms_stay_inside},
          {"transformed batches are the same for one, two and seven threads",
           transformed_batches_are_the_same_for_any_number_of_threads},
          {"batches come from arrays too", batches_come_from_arrays_too},
      });
}
