// Fast kernels are judged by the scalar ones: the same bits, and no byte read or written past the
// slack of a row.
#include <string>
#include <vector>

#include "check.h"
#include "image/axis_plan.h"
#include "image/color.h"
#include "image/kernels.h"
#include "inputs.h"
#include "jpeg/kernels.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr Filter kFilters[] = {Filter::kBox, Filter::kBilinear, Filter::kHamming, Filter::kBicubic,
                               Filter::kLanczos};

std::string name_of(const AxisKey& key, SimdLevel level) {
  return std::string(simd_level_name(level)) + ", filter " +
         std::to_string(static_cast<int>(key.filter)) + ", " + std::to_string(key.in_size) + " [" +
         std::to_string(key.begin) + ", " + std::to_string(key.end) + ") to " +
         std::to_string(key.out_size);
}

// Sizes with every remainder of the vector widths, whole axes, boxes and empty boxes.
std::vector<AxisKey> many_axes() {
  const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 11, 16, 17, 31, 33, 64, 97, 130};
  std::vector<AxisKey> keys;
  for (Filter filter : kFilters) {
    for (int in : sizes) {
      for (int out : sizes) keys.push_back({in, 0, in, out, filter});
    }
    Random random(7);
    for (int i = 0; i < 60; ++i) {
      const int in = random.between(1, 80), begin = random.below(in);
      keys.push_back({in, begin, random.between(begin, in), random.between(1, 40), filter});
    }
    for (int in : {1, 2, 9, 50}) {
      for (int at : {0, in / 2, in}) keys.push_back({in, at, at, 6, filter});
    }
    keys.push_back({3001, 0, 3001, 2, filter});
    keys.push_back({1999, 0, 1999, 5, filter});
    keys.push_back({20011, 0, 20011, 1, filter});
  }
  return keys;
}

// Noise, hard edges (which make filters overshoot the most), or white.
void make_hard(ExactRows& rows, size_t bytes, int kind) {
  for (int r = 0; r < rows.count(); ++r) {
    for (size_t i = 0; i < bytes && kind > 0; ++i) {
      rows[r][i] = kind == 2 || rows[r][i] > 127 ? 255 : 0;
    }
  }
}

void axis_plans_cut_weights_without_loss() {
  for (const AxisKey& key : many_axes()) {
    const AxisPlan plan = make_axis_plan(key);
    bool exact = true, padded = true, ordered = true, inside = plan.max_count <= plan.stride;
    for (int i = 0; i < key.out_size; ++i) {
      const auto at = static_cast<size_t>(i);
      inside = inside && plan.first[at] >= 0 && plan.first[at] + plan.count[at] <= key.in_size;
      ordered =
          ordered &&
          (i == 0 || (plan.first[at] >= plan.first[at - 1] &&
                      plan.first[at] + plan.count[at] >= plan.first[at - 1] + plan.count[at - 1]));
      for (int t = 0; t < plan.stride; ++t) {
        const size_t w = at * static_cast<size_t>(plan.stride) + static_cast<size_t>(t);
        const int32_t weight = plan.weights[w];
        exact = exact && weight == plan.high[w] * (1 << kLowBits) + plan.low[w] && plan.low[w] >= 0;
        exact = exact && weight == plan.byte2[w] * 65536 + plan.byte1[w] * 256 + plan.byte0[w];
        padded = padded && (t < plan.count[at] || weight == 0);
      }
    }
    const std::string name = name_of(key, SimdLevel::kScalar);
    check(exact, "cut weights: " + name);
    check(padded, "padding: " + name);
    check(ordered, "order: " + name);
    check(inside, "inside: " + name);
    check(plan.stride % 8 == 0, "stride: " + name);
  }
}

void horizontal_kernels_agree() {
  Random random(1);
  int turn = 0;
  for (const AxisKey& key : many_axes()) {
    const AxisPlan plan = make_axis_plan(key);
    const int kind = turn++ % 3;
    for (const int channels : {1, 3, 4}) {
      const int rows = 1 + turn % (channels == 1 ? kMaxPlaneRows : kMaxRows);
      const size_t src_bytes = static_cast<size_t>(key.in_size) * (channels == 1 ? 1 : 4);
      const size_t dst_bytes = static_cast<size_t>(key.out_size * channels);
      ExactRows src(rows, src_bytes, random), expected(rows, dst_bytes, random);
      make_hard(src, src_bytes, kind);
      const auto run = [&](SimdLevel level, const ExactRows& dst) {
        const ImageKernels& kernels = image_kernels(level);
        if (channels == 1) return kernels.horizontal_plane(src.source(), dst.data(), rows, plan);
        kernels.horizontal_color(src.source(), dst.data(), rows, plan, channels);
      };
      run(SimdLevel::kScalar, expected);
      for (SimdLevel level : all_levels()) {
        ExactRows actual(rows, dst_bytes, random);
        src.change_slack(random);
        run(level, actual);
        check(actual.same(expected), name_of(key, level) + ", channels " +
                                         std::to_string(channels) + ", rows " +
                                         std::to_string(rows));
      }
    }
  }
}

void vertical_kernels_agree() {
  Random random(2);
  int turn = 0;
  for (const AxisKey& key : many_axes()) {
    const AxisPlan plan = make_axis_plan(key);
    const int index = random.below(key.out_size), kind = turn++ % 3;
    const int count = plan.count[static_cast<size_t>(index)];
    const int width = count > 200 ? 5 : random.between(1, 200);
    const auto bytes = static_cast<size_t>(width);
    ExactRows src(count, bytes, random), expected(1, bytes, random);
    make_hard(src, bytes, kind);
    image_kernels(SimdLevel::kScalar).vertical(src.source(), expected[0], width, plan, index);
    for (SimdLevel level : all_levels()) {
      ExactRows actual(1, bytes, random);
      src.change_slack(random);
      image_kernels(level).vertical(src.source(), actual[0], width, plan, index);
      check(actual.same(expected), name_of(key, level) + ", bytes " + std::to_string(width));
    }
  }
}

void gray_kernels_agree() {
  Random random(3);
  for (int width = 1; width <= 150; ++width) {
    const size_t bytes = static_cast<size_t>(width) * 4;
    ExactRows src(1, bytes, random), expected(1, static_cast<size_t>(width), random);
    make_hard(src, bytes, width % 3);
    image_kernels(SimdLevel::kScalar).gray_from_color(src[0], expected[0], width);
    for (SimdLevel level : all_levels()) {
      ExactRows actual(1, static_cast<size_t>(width), random), in_place(1, bytes, random);
      image_kernels(level).gray_from_color(src[0], actual[0], width);
      check(actual.same(expected), "width " + std::to_string(width));
      std::memcpy(in_place[0], src[0], bytes);
      image_kernels(level).gray_from_color(in_place[0], in_place[0], width);
      check(std::memcmp(in_place[0], expected[0], static_cast<size_t>(width)) == 0,
            "in place, width " + std::to_string(width));
    }
  }
}

void planes_come_together_alike() {
  Random random(8);
  for (int width = 1; width <= 150; ++width) {
    const auto bytes = static_cast<size_t>(width);
    ExactRows src(3, bytes, random), expected(1, bytes, random);
    make_hard(src, bytes, width % 3);
    image_kernels(SimdLevel::kScalar).gray_from_planes(src[0], src[1], src[2], expected[0], width);
    for (SimdLevel level : all_levels()) {
      const ImageKernels& kernels = image_kernels(level);
      ExactRows gray(1, bytes, random);
      src.change_slack(random);
      kernels.gray_from_planes(src[0], src[1], src[2], gray[0], width);
      check(gray.same(expected), "gray, width " + std::to_string(width));
      for (const int channels : {3, 4}) {
        ExactRows pixels(1, bytes * static_cast<size_t>(channels), random);
        kernels.interleave(src[0], src[1], src[2], pixels[0], width, channels);
        bool same = true;
        for (int x = 0; x < width; ++x) {
          for (int c = 0; c < channels; ++c) {
            same = same && pixels[0][x * channels + c] == (c == 3 ? 255 : src[c][x]);
          }
        }
        check(same, "pixels, width " + std::to_string(width));
      }
    }
  }
}

// Floats go to memory without slack: the batch.
void store_kernels_agree() {
  Random random(4);
  for (int width = 1; width <= 90; ++width) {
    const auto count = static_cast<size_t>(width);
    ExactRows src(1, 3 * count, random);
    const float scale = 1.0f / static_cast<float>(random.between(1, 300));
    for (SimdLevel level : all_levels()) {
      const std::unique_ptr<float[]> values(new float[3 * count]);
      const std::unique_ptr<float[]> parts[] = {std::unique_ptr<float[]>(new float[count]),
                                                std::unique_ptr<float[]>(new float[count]),
                                                std::unique_ptr<float[]>(new float[count])};
      float* const planes[] = {parts[0].get(), parts[1].get(), parts[2].get()};
      const bool past_cache = random.below(2) == 0;
      image_kernels(level).store_float(src[0], values.get(), 3 * count, scale, past_cache);
      image_kernels(level).store_float_planes(src[0], planes, width, scale);
      bool same = true;
      for (size_t i = 0; i < 3 * count; ++i) {
        const float expected = static_cast<float>(src[0][i]) * scale;
        same = same && std::memcmp(&values[i], &expected, sizeof(float)) == 0 &&
               std::memcmp(&planes[i % 3][i / 3], &expected, sizeof(float)) == 0;
      }
      check(same, "width " + std::to_string(width));
    }
  }
}

void chroma_kernels_agree() {
  Random random(5);
  for (int count = 1; count <= 120; ++count) {
    const auto bytes = static_cast<size_t>(count);
    ExactRows in(2, bytes, random);
    for (SimdLevel level : all_levels()) {
      const JpegKernels& slow = kScalarJpegKernels;
      const JpegKernels& fast = jpeg_kernels(level);
      const std::string name =
          std::string(simd_level_name(level)) + ", count " + std::to_string(count);
      ExactRows expected(1, 2 * bytes, random), actual(1, 2 * bytes, random);
      slow.upsample_h2v1(in[0], count, expected[0]);
      fast.upsample_h2v1(in[0], count, actual[0]);
      check(actual.same(expected), "h2v1, " + name);
      ExactRows sums(2, 2 * (bytes + 2), random);
      slow.upsample_h2v2(in[0], in[1], count, reinterpret_cast<uint16_t*>(sums[0]), expected[0]);
      fast.upsample_h2v2(in[0], in[1], count, reinterpret_cast<uint16_t*>(sums[1]), actual[0]);
      check(actual.same(expected), "h2v2, " + name);
      ExactRows expected_tall(1, bytes, random), actual_tall(1, bytes, random);
      for (const int bias : {1, 2}) {
        slow.upsample_h1v2(in[0], in[1], count, bias, expected_tall[0]);
        fast.upsample_h1v2(in[0], in[1], count, bias, actual_tall[0]);
        check(actual_tall.same(expected_tall), "h1v2, " + name);
      }
      in.change_slack(random);
    }
  }
}

void ycc_kernels_agree() {
  Random random(6);
  // Every pair of chroma values, with the luma values where clipping sets in.
  ExactRows y(1, 65536, random), cb(1, 65536, random), cr(1, 65536, random);
  for (int i = 0; i < 65536; ++i) {
    cb[0][i] = static_cast<uint8_t>(i);
    cr[0][i] = static_cast<uint8_t>(i >> 8);
  }
  for (const int light : {0, 1, 64, 127, 200, 255}) {
    std::memset(y[0], light, 65536);
    ExactRows expected(3, 65536, random);
    kScalarJpegKernels.color_from_ycc(y[0], cb[0], cr[0], 65536, expected.data());
    for (SimdLevel level : all_levels()) {
      ExactRows actual(3, 65536, random);
      jpeg_kernels(level).color_from_ycc(y[0], cb[0], cr[0], 65536, actual.data());
      check(actual.same(expected), "luma " + std::to_string(light));
    }
  }
  for (int width = 1; width <= 100; ++width) {
    const auto bytes = static_cast<size_t>(width);
    ExactRows in(3, bytes, random), expected(3, bytes, random);
    kScalarJpegKernels.color_from_ycc(in[0], in[1], in[2], width, expected.data());
    for (SimdLevel level : all_levels()) {
      ExactRows actual(3, bytes, random);
      jpeg_kernels(level).color_from_ycc(in[0], in[1], in[2], width, actual.data());
      check(actual.same(expected), "width " + std::to_string(width));
    }
  }
}

void colors_survive_premultiplication() {
  // 0 and 255 are exact; in between, a color comes back within the step that alpha leaves.
  for (int alpha = 0; alpha < 256; ++alpha) {
    for (int value = 0; value < 256; ++value) {
      const uint8_t pixel[] = {static_cast<uint8_t>(value), 0, 255, static_cast<uint8_t>(alpha)};
      uint8_t there[4], back[4];
      premultiply(pixel, there, 1);
      unpremultiply(there, back, 1);
      check(there[3] == alpha && back[3] == alpha && back[1] == 0);
      if (alpha == 255) check(back[0] == value && back[2] == 255);
      if (alpha == 0) check(back[0] == 0);
      if (alpha > 0) check(std::abs(back[0] - value) <= 255 / (2 * alpha) + 1);
    }
  }
}

void cmyk_without_ink_is_white_and_full_black_is_black() {
  for (int ink = 0; ink < 256; ++ink) {
    const auto inverted = static_cast<uint8_t>(255 - ink);
    uint8_t pixels[] = {255, 255, 255, inverted, inverted, 255, 255, 255, 7, 8, 9, 0};
    color_from_inverted_cmyk(pixels, pixels, 3);
    check(pixels[0] == inverted && pixels[2] == inverted && pixels[3] == 255, "black ink");
    check(pixels[4] == inverted && pixels[5] == 255 && pixels[6] == 255, "cyan ink");
    check(pixels[8] == 0 && pixels[9] == 0 && pixels[10] == 0 && pixels[11] == 255, "all black");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"axis plans cut their weights without loss, pad with zeros and stay inside the axis",
           axis_plans_cut_weights_without_loss},
          {"horizontal kernels give the reference's bits for every size, filter, box and row count",
           horizontal_kernels_agree},
          {"vertical kernels give the reference's bits for every size, filter, box and width",
           vertical_kernels_agree},
          {"gray kernels give the reference's bits, in place too", gray_kernels_agree},
          {"planes become gray and pixels by the reference's bits", planes_come_together_alike},
          {"float stores give the reference's bits and end where the batch ends",
           store_kernels_agree},
          {"chroma upsampling gives the reference's bits for every width", chroma_kernels_agree},
          {"color conversion gives the reference's bits for every chroma pair", ycc_kernels_agree},
          {"colors survive premultiplication as far as alpha lets them",
           colors_survive_premultiplication},
          {"CMYK without ink is white and full black is black",
           cmyk_without_ink_is_white_and_full_black_is_black},
      });
}
