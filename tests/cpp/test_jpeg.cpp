// The decoder is judged by libjpeg's own scanlines, and by what it does with damaged files: a failed
// status or the right pixels, never anything else.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "check.h"
#include "inputs.h"
#include "io/file_source.h"
#include "jpeg/decoder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

struct Pixels {
  Status status;
  JpegHeader header;
  std::vector<uint8_t> bytes;  // packed rows
};

size_t row_bytes(const JpegHeader& header) {
  return static_cast<size_t>(header.size.width) * (header.pixels == JpegPixels::kGray ? 1 : 4);
}

// What libjpeg itself makes of the content, with nothing clever in between. False on any error.
struct Reference {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  std::jmp_buf wall;
};

void give_up(j_common_ptr info) {
  std::longjmp(static_cast<Reference*>(info->client_data)->wall, 1);
}

bool read_reference(Reference& reference, std::span<const uint8_t> content, uint8_t* out,
                    size_t capacity) {
  jpeg_decompress_struct& info = reference.info;
  info.err = jpeg_std_error(&reference.errors);
  reference.errors.error_exit = give_up;
  reference.errors.emit_message = [](j_common_ptr, int) {};
  info.client_data = &reference;
  if (setjmp(reference.wall) != 0) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, content.data(), static_cast<unsigned long>(content.size()));
  jpeg_read_header(&info, TRUE);
  if (info.num_components == 1) {
    info.out_color_space = JCS_GRAYSCALE;
  } else {
    info.out_color_space = info.num_components == 3 ? JCS_EXT_RGBA : JCS_CMYK;
  }
  jpeg_start_decompress(&info);
  const size_t stride = size_t{info.output_width} * static_cast<size_t>(info.output_components);
  if (stride * info.output_height != capacity) return false;
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[] = {out + info.output_scanline * stride};
    jpeg_read_scanlines(&info, rows, 1);
  }
  return true;
}

std::vector<uint8_t> reference_pixels(std::span<const uint8_t> content, const JpegHeader& header) {
  std::vector<uint8_t> out(row_bytes(header) * static_cast<size_t>(header.size.height));
  Reference reference = {};
  if (!read_reference(reference, content, out.data(), out.size())) out.clear();
  jpeg_destroy_decompress(&reference.info);
  return out;
}

// All rows of one file; rows that are not wanted stay zero.
Pixels decode(JpegDecoder& decoder, ByteSource& source, std::span<const uint8_t> wanted = {}) {
  Pixels pixels;
  volatile uint8_t slack = 0;
  pixels.status = decoder.open(source, pixels.header);
  if (!pixels.status.ok()) return pixels;
  if (!wanted.empty()) decoder.want(wanted);
  const size_t bytes = row_bytes(pixels.header);
  const int height = pixels.header.size.height;
  pixels.bytes.resize(bytes * static_cast<size_t>(height));
  for (int y = 0;;) {
    RowBand band;
    pixels.status = decoder.read(band);
    if (!pixels.status.ok() || band.count == 0) {
      check(!pixels.status.ok() || y == height, "rows are missing");
      break;
    }
    for (int r = 0; r < band.count; ++r, ++y) {
      const uint8_t* row = band.rows[r];
      const bool is_wanted = wanted.empty() || wanted[static_cast<size_t>(y)] != 0;
      check(!is_wanted || row != nullptr, "a wanted row is null");
      if (row == nullptr) continue;
      if (is_wanted) std::memcpy(&pixels.bytes[static_cast<size_t>(y) * bytes], row, bytes);
      slack = slack ^ row[bytes + kRowSlack - 1];
    }
  }
  if (pixels.status.ok()) pixels.status = decoder.finish();
  return pixels;
}

Pixels decode(JpegDecoder& decoder, std::span<const uint8_t> content) {
  const ExactCopy copy(content);
  MemorySource source(copy.view());
  Pixels pixels = decode(decoder, source);
  decoder.close();
  return pixels;
}

struct Sampling {
  int luma_h, luma_v, chroma_h, chroma_v;
};

// The first four go through planes of our own, the others through libjpeg's scanlines.
constexpr Sampling kSamplings[] = {{1, 1, 1, 1}, {2, 1, 1, 1}, {1, 2, 1, 1}, {2, 2, 1, 1},
                                   {4, 1, 1, 1}, {1, 4, 1, 1}, {4, 2, 1, 1}, {2, 2, 2, 1},
                                   {2, 2, 1, 2}, {1, 1, 2, 2}, {3, 1, 1, 1}, {2, 2, 2, 2}};

std::string name_of(const JpegRecipe& recipe) {
  return std::to_string(recipe.size.width) + " x " + std::to_string(recipe.size.height) +
         ", colour " + std::to_string(static_cast<int>(recipe.color)) + ", sampling " +
         std::to_string(recipe.luma_h) + std::to_string(recipe.luma_v) +
         std::to_string(recipe.chroma_h) + std::to_string(recipe.chroma_v) +
         (recipe.progressive ? ", progressive" : "") + (recipe.separate_scans ? ", scans" : "") +
         (recipe.arithmetic ? ", arithmetic" : "") +
         (recipe.restart_interval > 0 ? ", restarts" : "");
}

// Every way to store an image of this size.
std::vector<JpegRecipe> recipes_of(Size size) {
  std::vector<JpegRecipe> recipes;
  for (const Sampling& s : kSamplings) {
    for (int variant = 0; variant < 5; ++variant) {
      // libjpeg interleaves ten blocks at the most.
      const bool separate = variant == 3;
      if (!separate && s.luma_h * s.luma_v + 2 * s.chroma_h * s.chroma_v > 10) continue;
      recipes.push_back({.size = size,
                         .luma_h = s.luma_h,
                         .luma_v = s.luma_v,
                         .chroma_h = s.chroma_h,
                         .chroma_v = s.chroma_v,
                         .progressive = variant == 1,
                         .separate_scans = separate,
                         .arithmetic = variant == 4,
                         .restart_interval = variant == 2 ? 3 : 0,
                         .quality = 60 + 13 * variant});
    }
  }
  for (JpegColor color : {JpegColor::kGray, JpegColor::kRgb, JpegColor::kCmyk, JpegColor::kYcck}) {
    for (const bool progressive : {false, true}) {
      recipes.push_back({.size = size, .color = color, .progressive = progressive});
    }
  }
  recipes.push_back({.size = size, .color = JpegColor::kYcck, .luma_h = 2, .luma_v = 2});
  recipes.push_back({.size = size, .color = JpegColor::kGray, .luma_h = 2, .luma_v = 2});
  return recipes;
}

std::vector<std::unique_ptr<JpegDecoder>> decoders_of_all_levels() {
  std::vector<std::unique_ptr<JpegDecoder>> decoders;
  for (SimdLevel level : all_levels()) decoders.push_back(std::make_unique<JpegDecoder>(level));
  return decoders;
}

void rows_equal_scanlines() {
  constexpr Size kSizes[] = {{1, 1},   {1, 9},   {9, 1},   {2, 2},   {3, 5},   {4, 4},  {5, 3},
                             {6, 17},  {7, 16},  {8, 8},   {15, 31}, {16, 16}, {17, 33}, {31, 15},
                             {33, 49}, {64, 32}, {65, 47}, {100, 7}, {7, 100}, {131, 67}};
  auto decoders = decoders_of_all_levels();
  uint32_t seed = 0;
  for (const Size size : kSizes) {
    for (JpegRecipe recipe : recipes_of(size)) {
      recipe.seed = ++seed;
      const std::vector<uint8_t> content = make_jpeg(recipe);
      for (auto& decoder : decoders) {
        const Pixels pixels = decode(*decoder, content);
        check(pixels.status.ok(), name_of(recipe) + ": " + pixels.status.reason());
        check(pixels.header.size == size, name_of(recipe));
        check(pixels.bytes == reference_pixels(content, pixels.header), name_of(recipe));
      }
    }
  }
}

void wanted_rows_are_the_same_rows() {
  Random random(31);
  auto decoders = decoders_of_all_levels();
  for (const JpegRecipe& recipe : recipes_of({37, 53})) {
    const std::vector<uint8_t> content = make_jpeg(recipe);
    for (auto& decoder : decoders) {
      const Pixels whole = decode(*decoder, content);
      std::vector<uint8_t> wanted(53);
      for (uint8_t& row : wanted) row = random.below(3) == 0;
      MemorySource source(content);
      Pixels some = decode(*decoder, source, wanted);
      decoder->close();
      check(some.status.ok(), name_of(recipe));
      const size_t bytes = row_bytes(whole.header);
      for (size_t y = 0; y < wanted.size(); ++y) {
        if (wanted[y] == 0) continue;
        check(std::equal(&some.bytes[y * bytes], &some.bytes[y * bytes] + bytes,
                         &whole.bytes[y * bytes]), name_of(recipe));
      }
    }
  }
}

void windows_do_not_show() {
  JpegDecoder decoder(available_simd_level());
  for (const JpegRecipe& recipe : recipes_of({29, 35})) {
    const std::vector<uint8_t> content = make_jpeg(recipe);
    const Pixels whole = decode(decoder, content);
    for (const size_t window : {1, 2, 3, 5, 64, 255, 1000}) {
      ChoppedSource source(content, window);
      const Pixels chopped = decode(decoder, source);
      check(chopped.status.ok() && chopped.bytes == whole.bytes,
            name_of(recipe) + ", window " + std::to_string(window));
      decoder.close();
    }
  }
}

void files_larger_than_the_window_read_as_one() {
  TemporaryFolder folder;
  JpegDecoder decoder(available_simd_level());
  FileSource file;
  constexpr auto kWindow = static_cast<int>(FileSource::kWindow);
  for (JpegRecipe recipe : {
           JpegRecipe{.size = {40, 30}, .comment_bytes = 5 * kWindow / 2},
           JpegRecipe{.size = {900, 700}, .quality = 100, .noisy = true},
           JpegRecipe{.size = {900, 700}, .luma_h = 2, .luma_v = 2, .progressive = true,
                      .quality = 100, .comment_bytes = 700000, .noisy = true},
           JpegRecipe{.size = {1100, 1000}, .color = JpegColor::kGray, .restart_interval = 1,
                      .quality = 100, .noisy = true}}) {
    const std::vector<uint8_t> content = make_jpeg(recipe);
    check(content.size() > FileSource::kWindow, "the file is too small for its test");
    check(file.open(folder.write("large.jpg", content).c_str()).ok());
    const Pixels from_file = decode(decoder, file);
    decoder.close();
    const Pixels from_memory = decode(decoder, content);
    check(from_file.status.ok() && from_file.bytes == from_memory.bytes, name_of(recipe));
    check(from_memory.bytes == reference_pixels(content, from_memory.header), name_of(recipe));

    // The same, cut in the second window.
    const std::span<const uint8_t> cut(content.data(), FileSource::kWindow + 1234);
    check(file.open(folder.write("large.jpg", cut).c_str()).ok());
    check(!decode(decoder, file).status.ok(), "cut: " + name_of(recipe));
    decoder.close();
  }
}

void header_boundaries_fall_everywhere() {
  // A comment moves the rest of the header across the end of the first window, a few bytes a time.
  TemporaryFolder folder;
  JpegDecoder decoder(available_simd_level());
  FileSource file;
  const int step = 41;
  constexpr auto kWindow = static_cast<int>(FileSource::kWindow);
  for (int back = 0; back < 1000; back += step) {
    const JpegRecipe recipe{.size = {24, 16}, .luma_h = 2, .comment_bytes = kWindow - 100 - back};
    const std::vector<uint8_t> content = make_jpeg(recipe);
    check(file.open(folder.write("moved.jpg", content).c_str()).ok());
    const Pixels pixels = decode(decoder, file);
    decoder.close();
    check(pixels.status.ok() && pixels.bytes == reference_pixels(content, pixels.header),
          std::to_string(back));
  }
}

// What any content may lead to: a failure with a reason, or the pixels that libjpeg gives.
void check_verdict(JpegDecoder& decoder, std::span<const uint8_t> content, const std::string& name) {
  const Pixels pixels = decode(decoder, content);
  if (!pixels.status.ok()) {
    check(!pixels.status.reason().empty(), "no reason: " + name);
    return;
  }
  check(pixels.bytes == reference_pixels(content, pixels.header), "other pixels: " + name);
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
      const int reach = static_cast<int>(i % 2 == 0 ? std::min<size_t>(content.size(), 700)
                                                    : content.size());
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
  // Widest and tallest: libjpeg fills in gray where an end marker comes too early, and so does Pillow.
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

void finish_judges_what_was_not_read() {
  for (SimdLevel level : all_levels()) {
    JpegDecoder decoder(level);
    for (const JpegRecipe& recipe : recipes_of({20, 40})) {
      const std::vector<uint8_t> content = make_jpeg(recipe);
      for (const size_t length : {content.size(), content.size() - 20}) {
        MemorySource source({content.data(), length});
        JpegHeader header;
        check(decoder.open(source, header).ok());
        const bool whole = length == content.size();
        RowBand band;
        check(decoder.read(band).ok() || !whole);  // a band, and no more
        check(decoder.finish().ok() == whole, name_of(recipe));
        decoder.close();
        decoder.close();
      }
    }
  }
}

void jpegs_are_known_by_their_content() {
  const std::vector<uint8_t> content = make_jpeg({.size = {1, 1}});
  check(looks_like_jpeg(content));
  for (size_t length = 0; length < 3; ++length) {
    check(!looks_like_jpeg(ExactCopy({content.data(), length}).view()));
  }
  check(std::string(libjpeg_turbo_version()).size() >= 3);
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(argc, argv, {
      {"rows equal libjpeg's scanlines for every sampling, colour, process and size",
       rows_equal_scanlines},
      {"wanted rows are the rows that a whole decode gives", wanted_rows_are_the_same_rows},
      {"content in windows of any size decodes as in one", windows_do_not_show},
      {"files larger than the window decode as from memory",
       files_larger_than_the_window_read_as_one},
      {"the end of the first window may fall anywhere in the header",
       header_boundaries_fall_everywhere},
      {"every truncation ends in a failure with a reason or in the right pixels",
       every_truncation_has_a_verdict},
      {"damage ends in a failure or in libjpeg's pixels, and stays in its file",
       damage_has_a_verdict_and_stays_in_its_file},
      {"hostile headers fail", hostile_headers_fail},
      {"odd structures fail", odd_structures_fail},
      {"finish gives the verdict on what was not read", finish_judges_what_was_not_read},
      {"JPEGs are known by their content", jpegs_are_known_by_their_content},
  });
}
