// Padded samples are judged by samples of the fitted size, placed among zeros by plain loops.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "image_folder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr Filter kFilters[] = {Filter::kNearest, Filter::kBox,     Filter::kBilinear,
                               Filter::kHamming, Filter::kBicubic, Filter::kLanczos};

struct Picture {
  std::string name;
  Size size;
  std::vector<uint8_t> content;
};

// Flat, tall and extreme pictures of every kind that becomes samples of so many channels.
std::vector<Picture> pictures_for(int sample_channels) {
  std::vector<Picture> pictures;
  uint32_t seed = 0;
  for (const Size size : {Size{70, 33}, {21, 64}, {24, 20}, {400, 3}, {1, 50}}) {
    for (JpegColor color : {JpegColor::kYcc, JpegColor::kGray, JpegColor::kCmyk}) {
      const int sampling = color == JpegColor::kYcc ? 2 : 1;
      pictures.push_back({"JPEG", size,
                          make_jpeg({.size = size,
                                     .color = color,
                                     .luma_h = sampling,
                                     .luma_v = sampling,
                                     .progressive = seed % 2 == 1,
                                     .seed = ++seed})});
    }
  }
  for (const int channels : {1, 3, 4}) {
    if (channels > sample_channels) break;
    const std::string name = "other format of " + std::to_string(channels);
    pictures.push_back({name, {9, 4}, make_other(9, 4, channels, ++seed)});
    pictures.push_back({name, {2, 9}, make_other(2, 9, channels, ++seed)});
  }
  return pictures;
}

StoreTable float_table(float scale) {
  std::vector<uint8_t> bytes(256 * sizeof(float));
  for (size_t i = 0; i < 256; ++i) {
    const float value = static_cast<float>(i) * scale;
    std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(float));
  }
  return StoreTable(bytes, true);
}

std::vector<uint8_t> make_sample(const SampleSpec& spec, const Picture& picture,
                                 const double* transform = nullptr, bool finishes = false) {
  FakeCode code(spec.layout.values(), finishes);
  SampleMaker maker(spec, code, simd_level());
  WorkerCounters counters;
  std::vector<uint8_t> sample(spec.layout.bytes(), uint8_t{77});
  // The second one finds the scratch of the first.
  for (int i = 0; i < 2; ++i) {
    MemorySource source(picture.content);
    check(maker.make(source, transform, sample.data(), counters).ok(), picture.name);
  }
  return sample;
}

// The sample at the fitted size, and zeros around it.
std::vector<uint8_t> framed(const SampleSpec& spec, const Picture& picture) {
  const SampleLayout& frame = spec.layout;
  const Box box = fitted_box(picture.size, frame.size);
  SampleSpec inner = spec;
  inner.pad_to_aspect_ratio = false;
  inner.layout.size = {box.right - box.left, box.bottom - box.top};
  const std::vector<uint8_t> pixels = make_sample(inner, picture);
  const auto place = [](const SampleLayout& layout, int y, int x, int c) {
    const int index = layout.channels_first ? (c * layout.size.height + y) * layout.size.width + x
                                            : (y * layout.size.width + x) * layout.channels + c;
    return static_cast<ptrdiff_t>(index) * static_cast<ptrdiff_t>(layout.item_size);
  };
  std::vector<uint8_t> sample(frame.bytes());
  for (int y = box.top; y < box.bottom; ++y) {
    for (int x = box.left; x < box.right; ++x) {
      for (int c = 0; c < frame.channels; ++c) {
        std::copy_n(pixels.begin() + place(inner.layout, y - box.top, x - box.left, c),
                    frame.item_size, sample.begin() + place(frame, y, x, c));
      }
    }
  }
  return sample;
}

SampleSpec padded_spec(Filter filter, int channels) {
  SampleSpec spec = small_spec();
  spec.filter = filter;
  spec.layout.channels = channels;
  spec.pad_to_aspect_ratio = true;
  return spec;
}

void padded_samples_are_framed_with_zeros() {
  for (const Filter filter : kFilters) {
    for (const int channels : {1, 3, 4}) {
      const std::vector<Picture> pictures = pictures_for(channels);
      SampleSpec spec = padded_spec(filter, channels);
      for (const int variant : {0, 1, 2, 3}) {
        spec.layout.channels_first = variant % 2 == 1;
        spec.fidelity = variant < 2 ? Fidelity::kExact : Fidelity::kFast;
        spec.table = variant == 0 ? StoreTable::identity() : float_table(1.0f / 255.0f);
        spec.layout.item_size = spec.table.item_size;
        spec.target = variant == 0 ? FloatTarget::kUint8 : FloatTarget::kFloat32;
        for (const Picture& picture : pictures) {
          check(make_sample(spec, picture) == framed(spec, picture),
                picture.name + ", channels " + std::to_string(channels) + ", filter " +
                    std::to_string(static_cast<int>(filter)) + ", variant " +
                    std::to_string(variant));
        }
      }
    }
  }
}

// Augmentation, statistics and foreign steps get the padded image.
void later_steps_see_the_frame() {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const double warp[SampleTransform::kColumns] = {1, 0.8, 0.6, -0.6, 0.8, 2, 9, 20, 1, 1, 1.2};
  const double flip[SampleTransform::kColumns] = {0, 1, 0, 0, 1, 0, 0, none, 1, 0, none};
  for (const int channels : {1, 3, 4}) {
    for (const Picture& picture : pictures_for(channels)) {
      for (const bool finishes : {false, true}) {
        const SampleSpec spec = padded_spec(Filter::kBilinear, channels);
        SampleSpec plain = spec;
        plain.pad_to_aspect_ratio = false;
        const std::vector<uint8_t> padded = framed(spec, picture);
        const OtherImage image = {.view = {.data = padded.data(),
                                           .size = spec.layout.size,
                                           .channels = channels,
                                           .stride = spec.layout.size.width * channels},
                                  .owner = nullptr};
        FakeCode code(spec.layout.values(), finishes);
        SampleMaker maker(plain, code, simd_level());
        for (const double* transform : {static_cast<const double*>(nullptr), flip, warp}) {
          std::vector<uint8_t> expected(spec.layout.bytes());
          check(maker.make_from_image(image, transform, expected.data()).ok());
          check(make_sample(spec, picture, transform, finishes) == expected,
                picture.name + ", channels " + std::to_string(channels));
        }
      }
    }
  }
}

bool is_box(const Box& box, int left, int top, int right, int bottom) {
  return box.left == left && box.top == top && box.right == right && box.bottom == bottom;
}

void boxes_are_tensorflows() {
  check(is_box(fitted_box({200, 100}, {50, 50}), 0, 12, 50, 37));
  check(is_box(fitted_box({20, 30}, {10, 10}), 1, 0, 7, 10), "1.67 pixels at the left");
  check(is_box(fitted_box({7, 7}, {9, 9}), 0, 0, 9, 9));
  check(is_box(fitted_box({1, 1000}, {8, 8}), 3, 0, 4, 8), "at least a pixel");
  check(is_box(fitted_box({1 << 30, 1}, {1, 1}), 0, 0, 1, 1));
}

// Sizes beyond what floats hold exactly too.
void boxes_lie_inside_their_target() {
  Random random(3);
  const auto side = [&random] { return 1 + random.below(1 << random.between(0, 30)); };
  for (int i = 0; i < 200'000; ++i) {
    const Size source = {side(), side()}, target = {side(), side()};
    const Box box = fitted_box(source, target);
    check(0 <= box.left && box.left < box.right && box.right <= target.width);
    check(0 <= box.top && box.top < box.bottom && box.bottom <= target.height);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(argc, argv,
                   {{"padded samples are images of the fitted size, framed with zeros",
                     padded_samples_are_framed_with_zeros},
                    {"augmentation and foreign steps see the frame", later_steps_see_the_frame},
                    {"fitted boxes are TensorFlow's", boxes_are_tensorflows},
                    {"fitted boxes lie inside their target", boxes_lie_inside_their_target}});
}
