// Planes as the decoder gives them: libjpeg's where they keep their size, the DCT's own low
// frequencies where they are halved, and all of them again where a file changes hands.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "check.h"
#include "decoding.h"
#include "jpeg/kernels.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

void whole_planes_are_libjpegs() {
  JpegDecoder libjpeg(available_simd_level(), EntropyDecoder::kLibjpeg);
  for (const Size size : {Size{1, 1}, Size{5, 3}, Size{17, 33}, Size{64, 47}, Size{131, 20}}) {
    for (const JpegRecipe& recipe : recipes_of(size)) {
      const std::vector<uint8_t> content = make_jpeg(recipe);
      const Planes expected = decode_planes(libjpeg, content, {});
      check(expected.status.ok(), name_of(recipe));
      for (SimdLevel level : all_levels()) {
        JpegDecoder own(level, EntropyDecoder::kOwn);
        const Planes planes = decode_planes(own, content, {});
        check(planes.status.ok() && planes.samples == expected.samples, name_of(recipe));
        const Planes luma = decode_planes(own, content, {}, true);
        check(luma.samples[0] == expected.samples[0], "luma of " + name_of(recipe));
        check(luma.samples[1].empty(), "chroma was not asked for");
      }
    }
  }
}

// The orthonormal inverse DCT of the `points` x `points` lowest frequencies, by its definition.
double sample_of(const int16_t* block, const Dequantiser& dequantiser, int points, int x, int y) {
  const auto basis = [&](int k, int at) {
    const double scale = std::sqrt((k == 0 ? 1.0 : 2.0) / points);
    return scale * std::cos((2 * at + 1) * k * std::numbers::pi / (2 * points));
  };
  double sum = 0;
  for (int v = 0; v < points; ++v) {
    for (int u = 0; u < points; ++u) {
      sum += block[8 * v + u] * dequantiser.factors[8 * v + u] * basis(u, x) * basis(v, y);
    }
  }
  return sum * points / 8 + 128;
}

void reduced_blocks_are_the_low_frequencies() {
  Random random(51);
  for (int halvings = 1; halvings <= 3; ++halvings) {
    const int points = 8 >> halvings;
    for (int turn = 0; turn < 200; ++turn) {
      const int count = random.between(1, 5), width = points * count;
      std::vector<int16_t> blocks(static_cast<size_t>(count) * 64);
      const int range = turn == 0 ? 32767 : 1 << random.between(0, 8);  // the first one clips
      for (int16_t& value : blocks) value = static_cast<int16_t>(random.between(-range, range));
      Dequantiser dequantiser;
      for (int16_t& factor : dequantiser.factors) {
        factor = static_cast<int16_t>(random.between(1, turn == 0 ? 32767 : 40));
      }
      const std::vector<uint8_t> extents(static_cast<size_t>(count), 64);
      const ptrdiff_t stride = width + 8;
      std::vector<uint8_t> out(static_cast<size_t>(stride * points));
      check(kReducedInverseDcts[halvings - 1](blocks.data(), extents.data(), count, dequantiser,
                                              out.data(), stride));
      for (int y = 0; y < points; ++y) {
        for (int x = 0; x < width; ++x) {
          const double exact = sample_of(&blocks[static_cast<size_t>(x / points) * 64], dequantiser,
                                         points, x % points, y);
          const double level = std::clamp(exact, 0.0, 255.0);
          check(std::abs(out[static_cast<size_t>(y * stride + x)] - level) <= 0.51,
                std::to_string(points) + " points");
        }
      }
    }
  }
}

// A picture without detail is the same at every size.
void halved_planes_lie_where_they_should() {
  JpegRecipe recipe{.size = {83, 61}, .quality = 95};
  for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
    recipe.luma_h = h;
    recipe.luma_v = v;
    const std::vector<uint8_t> content = make_jpeg(recipe);
    JpegDecoder decoder(available_simd_level(), EntropyDecoder::kOwn);
    const Planes whole = decode_planes(decoder, content, {});
    for (int times = 1; times <= 3; ++times) {
      const Planes small = decode_planes(decoder, content, {times, times, times});
      check(small.status.ok() && small.restarts == 0, name_of(recipe));
      const int side = 1 << times;
      for (size_t c = 0; c < 3; ++c) {
        double difference = 0;
        int counted = 0;
        for (int y = 0; (y + 1) * side <= whole.sizes[c].height; ++y) {
          for (int x = 0; (x + 1) * side <= whole.sizes[c].width; ++x, ++counted) {
            double mean = 0;
            for (int i = 0; i < side * side; ++i) {
              const int at = (y * side + i / side) * whole.sizes[c].width + x * side + i % side;
              mean += whole.samples[c][static_cast<size_t>(at)];
            }
            const int here = small.samples[c][static_cast<size_t>(y * small.sizes[c].width + x)];
            difference += std::abs(here - mean / (side * side));
          }
        }
        check(counted > 0 && difference / counted < 8,
              name_of(recipe) + ", plane " + std::to_string(c) + ", halved " +
                  std::to_string(times) + ": " + std::to_string(difference / counted));
      }
    }
  }
}

void a_file_that_changes_hands_begins_anew() {
  Random random(52);
  JpegDecoder libjpeg(available_simd_level(), EntropyDecoder::kLibjpeg);
  JpegDecoder own(available_simd_level(), EntropyDecoder::kOwn);
  int restarted = 0, accepted = 0;
  for (const JpegRecipe& recipe : recipes_of({90, 70})) {
    const std::vector<uint8_t> sound = make_jpeg(recipe);
    for (int turn = 0; turn < 12; ++turn) {
      std::vector<uint8_t> content = sound;
      const auto at = static_cast<size_t>(
          random.between(static_cast<int>(sound.size()) / 2, static_cast<int>(sound.size()) - 3));
      if (turn % 3 == 0) {
        content.insert(content.end() - 2, 5, 0);  // more than the scan needs
      } else {
        content[at] = static_cast<uint8_t>(random.next());
      }
      const std::array<int, 3> halvings = {turn % 4, turn % 4, turn % 4};
      const Planes planes = decode_planes(own, content, halvings);
      const Planes expected = decode_planes(libjpeg, content, {});
      check(planes.status.code() == expected.status.code(), name_of(recipe));
      if (!planes.status.ok()) continue;
      ++accepted;
      restarted += planes.restarts;
      check(planes.restarts <= 1, "restarts");
      if (planes.restarts == 1 || turn % 4 == 0) {
        check(planes.samples == expected.samples, name_of(recipe));
      }
    }
  }
  check(restarted > 20 && accepted > 100, "hardly any file changed hands");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(argc, argv,
                   {
                       {"planes that keep their size are libjpeg's", whole_planes_are_libjpegs},
                       {"reduced blocks are the DCT's low frequencies, to half a level",
                        reduced_blocks_are_the_low_frequencies},
                       {"halved planes lie where they should", halved_planes_lie_where_they_should},
                       {"a file that changes hands begins anew, with libjpeg's planes",
                        a_file_that_changes_hands_begins_anew},
                   });
}
