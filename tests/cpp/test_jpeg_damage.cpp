// Damaged and hostile files end in a failure with a reason or in the right pixels, and stay without
// effect on the next file.
#include <algorithm>
#include <string>
#include <vector>

#include "check.h"
#include "decoding.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

// What any content may lead to: a failure with a reason, or the pixels that libjpeg gives.
void check_verdict(JpegDecoder& decoder, std::span<const uint8_t> content,
                   const std::string& name) {
  const Pixels pixels = decode(decoder, content);
  if (!pixels.status.ok()) {
    check(!pixels.status.reason().empty(), "no reason: " + name);
    return;
  }
  check(is_as_libjpeg(content, pixels), "other pixels: " + name);
}

void every_truncation_has_a_verdict() {
  JpegDecoder decoder(available_simd_level());
  const JpegRecipe recipes[] = {
      {.size = {33, 25}, .quality = 40},
      {.size = {33, 41}, .luma_h = 2, .luma_v = 2, .restart_interval = 1, .quality = 40},
      {.size = {25, 33}, .luma_v = 2, .quality = 40},
      {.size = {21, 27}, .luma_h = 2, .progressive = true, .quality = 40},
      {.size = {23, 27}, .luma_h = 4, .quality = 40},
      {.size = {23, 27}, .separate_scans = true, .quality = 40},
      {.size = {23, 27}, .arithmetic = true, .quality = 40},
      {.size = {30, 30}, .color = JpegColor::kGray, .quality = 60},
      {.size = {17, 19}, .color = JpegColor::kYcck, .quality = 40}};
  for (const JpegRecipe& recipe : recipes) {
    const std::vector<uint8_t> content = make_jpeg(recipe);
    const Pixels whole = decode(decoder, content);
    check(whole.status.ok());
    for (size_t length = 0; length < content.size(); ++length) {
      const Pixels cut = decode(decoder, {content.data(), length});
      const std::string name =
          name_of(recipe) + ", " + std::to_string(length) + " of " + std::to_string(content.size());
      if (cut.status.ok()) {
        check(cut.bytes == whole.bytes && length + 4 > content.size(), name);
      } else {
        check_equal(static_cast<int>(cut.status.code()), static_cast<int>(StatusCode::kBadImage),
                    name);
        check(!cut.status.reason().empty(), name);
      }
    }
    check(decode(decoder, content).bytes == whole.bytes, "afterwards: " + name_of(recipe));
  }
}

void damage_has_a_verdict_and_stays_in_its_file() {
  JpegDecoder decoder(available_simd_level());
  const std::vector<uint8_t> good = make_jpeg({.size = {19, 23}, .luma_h = 2, .luma_v = 2});
  const std::vector<uint8_t> good_pixels = decode(decoder, good).bytes;
  Random random(32);
  for (const JpegRecipe& recipe : recipes_of({26, 22})) {
    const std::vector<uint8_t> content = make_jpeg(recipe);
    for (int i = 0; i < 200; ++i) {
      std::vector<uint8_t> damaged = content;
      // The first bytes hold what matters most.
      const int reach =
          static_cast<int>(i % 2 == 0 ? std::min<size_t>(content.size(), 700) : content.size());
      for (int n = random.between(1, 4); n > 0; --n) {
        damaged[static_cast<size_t>(random.below(reach))] = static_cast<uint8_t>(random.next());
      }
      check_verdict(decoder, damaged, name_of(recipe) + ", damage " + std::to_string(i));
    }
    check(decode(decoder, good).bytes == good_pixels, "after " + name_of(recipe));
  }
}

// The byte after the marker 0xFF `code`; the file must have it.
size_t after_marker(const std::vector<uint8_t>& content, uint8_t code) {
  for (size_t i = 2; i + 4 < content.size();) {
    if (content[i + 1] == code) return i + 2;
    i += 2 + static_cast<size_t>(content[i + 2] << 8 | content[i + 3]);
  }
  check(false, "no such marker");
  return 0;
}

std::vector<uint8_t> with_size(std::vector<uint8_t> content, uint8_t frame, int width, int height) {
  const size_t at = after_marker(content, frame) + 3;  // past length and precision
  content[at] = static_cast<uint8_t>(height >> 8);
  content[at + 1] = static_cast<uint8_t>(height);
  content[at + 2] = static_cast<uint8_t>(width >> 8);
  content[at + 3] = static_cast<uint8_t>(width);
  return content;
}

void hostile_headers_fail() {
  JpegDecoder decoder(available_simd_level());
  const std::vector<uint8_t> baseline = make_jpeg({.size = {16, 16}});
  const std::vector<uint8_t> progressive = make_jpeg({.size = {16, 16}, .progressive = true});
  const std::vector<uint8_t> scans = make_jpeg({.size = {16, 16}, .separate_scans = true});
  constexpr uint8_t kBaselineFrame = 0xC0, kProgressiveFrame = 0xC2;
  const auto verdict = [&](std::vector<uint8_t> content) {
    const Pixels pixels = decode(decoder, content);
    check(!pixels.status.ok() && !pixels.status.reason().empty());
    return pixels.status.code();
  };
  check(verdict(with_size(baseline, kBaselineFrame, 65500, 65500)) == StatusCode::kTooLarge);
  check(verdict(with_size(progressive, kProgressiveFrame, 65500, 65500)) == StatusCode::kTooLarge);
  // Below the pixel limit, but the coefficients would take gigabytes.
  check(verdict(with_size(progressive, kProgressiveFrame, 13000, 13000)) == StatusCode::kBadImage);
  check(verdict(with_size(scans, kBaselineFrame, 13000, 13000)) == StatusCode::kBadImage);
  check(verdict(with_size(baseline, kBaselineFrame, 0, 16)) == StatusCode::kBadImage);
  check(verdict(with_size(baseline, kBaselineFrame, 16, 0)) == StatusCode::kBadImage);
  check(verdict(with_size(baseline, kBaselineFrame, 65535, 16)) == StatusCode::kBadImage);
  // Widest and tallest: where an end marker comes too early, libjpeg fills up, and so does Pillow.
  check_verdict(decoder, with_size(baseline, kBaselineFrame, 65500, 40), "widest");
  check_verdict(decoder, with_size(baseline, kBaselineFrame, 16, 65500), "tallest");

  const size_t frame = after_marker(baseline, kBaselineFrame);
  for (int value = 0; value < 256; value += value < 36 ? 1 : 13) {
    for (size_t offset = 0; offset < 17; ++offset) {
      std::vector<uint8_t> content = baseline;
      content[frame + offset] = static_cast<uint8_t>(value);
      check_verdict(decoder, content,
                    "frame byte " + std::to_string(offset) + " = " + std::to_string(value));
    }
  }
}

void odd_structures_fail() {
  JpegDecoder decoder(available_simd_level());
  const std::vector<uint8_t> good = make_jpeg({.size = {16, 16}});
  const auto refuse = [&](std::vector<uint8_t> content, const char* name) {
    const Pixels pixels = decode(decoder, content);
    check(!pixels.status.ok() && !pixels.status.reason().empty(), name);
  };
  const size_t scan = after_marker(good, 0xDA) - 2;
  const size_t frame = after_marker(good, 0xC0) - 2;
  const size_t quantisation = after_marker(good, 0xDB) - 2;
  const std::vector<uint8_t> end = {0xFF, 0xD9};
  const auto part = [&](size_t from, size_t to) {
    return std::vector<uint8_t>(good.begin() + static_cast<ptrdiff_t>(from),
                                good.begin() + static_cast<ptrdiff_t>(to));
  };
  const auto join = [](std::vector<uint8_t> a, const std::vector<uint8_t>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  refuse({}, "nothing");
  refuse({0xFF}, "one byte");
  refuse({0xFF, 0xD8, 0xFF}, "only a start");
  refuse({0xFF, 0xD8, 0xFF, 0xD9}, "start and end");
  refuse(join(part(0, frame), end), "tables only");
  refuse(join(part(0, scan), end), "no scan");
  refuse(join(part(0, frame), part(scan, good.size())), "no frame");
  refuse(join(part(0, quantisation), part(frame, good.size())), "no quantisation");
  refuse(join(part(0, scan), part(frame, good.size())), "two frames");
  refuse(part(2, good.size()), "no start");
  std::vector<uint8_t> zeros(3000);
  refuse(zeros, "zeros");
  std::fill(zeros.begin(), zeros.end(), uint8_t{0xFF});
  refuse(zeros, "fill bytes");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(argc, argv,
                   {
                       {"every truncation ends in a failure with a reason or in the right pixels",
                        every_truncation_has_a_verdict},
                       {"damage ends in a failure or in libjpeg's pixels, and stays in its file",
                        damage_has_a_verdict_and_stays_in_its_file},
                       {"hostile headers fail", hostile_headers_fail},
                       {"odd structures fail", odd_structures_fail},
                   });
}
