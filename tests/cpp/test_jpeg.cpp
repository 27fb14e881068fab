// The decoder is judged by libjpeg's own scanlines.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "decoding.h"
#include "io/file_source.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

std::vector<std::unique_ptr<JpegDecoder>> decoders_of_all_levels() {
  std::vector<std::unique_ptr<JpegDecoder>> decoders;
  for (SimdLevel level : all_levels()) decoders.push_back(std::make_unique<JpegDecoder>(level));
  return decoders;
}

void rows_equal_scanlines() {
  constexpr Size kSizes[] = {{1, 1},   {1, 9},   {9, 1},   {2, 2},   {3, 5},   {4, 4},   {5, 3},
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
                         &whole.bytes[y * bytes]),
              name_of(recipe));
      }
    }
  }
}

void wanted_columns_are_the_same_columns() {
  Random random(32);
  auto decoders = decoders_of_all_levels();
  for (const Size size : {Size{37, 53}, Size{5, 9}, Size{301, 40}, Size{650, 33}}) {
    for (const JpegRecipe& recipe : recipes_of(size)) {
      const std::vector<uint8_t> content = make_jpeg(recipe);
      // From repeated columns to two in the whole row.
      const int count = random.between(1, std::max(2, size.width * 2 / (1 + random.below(40))));
      std::vector<int32_t> columns;
      for (int i = 0; i < count; ++i) columns.push_back(i * size.width / count);
      if (random.below(4) == 0) columns.back() = -1;
      std::vector<uint8_t> rows(static_cast<size_t>(size.height));
      const int gap = random.between(1, 20);
      for (size_t y = 0; y < rows.size(); ++y) rows[y] = static_cast<int>(y) % gap == 0;
      for (auto& decoder : decoders) {
        const Pixels whole = decode(*decoder, content);
        MemorySource source(content);
        JpegHeader header;
        check(decoder->open(source, header).ok());
        if (!header.picks_columns) continue;
        decoder->want(rows, columns);
        const size_t pixel = header.pixels == JpegPixels::kGray ? 1 : 4;
        std::vector<uint8_t> packed(columns.size() * pixel);
        size_t y = 0;
        for (RowBand band; decoder->read(band).ok() && band.count > 0;) {
          for (int r = 0; r < band.count; ++r, ++y) {
            if (rows[y] == 0) continue;
            pack_row(band, r, header.pixels, columns.size(), packed.data());
            const uint8_t* row = &whole.bytes[y * row_bytes(header)];
            bool same = true;
            for (size_t x = 0; x < columns.size(); ++x) {
              if (columns[x] < 0) continue;
              const uint8_t* expected = row + pixel * static_cast<size_t>(columns[x]);
              same = same && std::equal(expected, expected + pixel, &packed[x * pixel]);
            }
            check(same, name_of(recipe) + ", columns " + std::to_string(count));
          }
        }
        check(y == rows.size() && decoder->finish().ok(), name_of(recipe));
        decoder->close();
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
  for (JpegRecipe recipe : {JpegRecipe{.size = {40, 30}, .comment_bytes = 5 * kWindow / 2},
                            JpegRecipe{.size = {900, 700}, .quality = 100, .noisy = true},
                            JpegRecipe{.size = {900, 700},
                                       .luma_h = 2,
                                       .luma_v = 2,
                                       .progressive = true,
                                       .quality = 100,
                                       .comment_bytes = 700000,
                                       .noisy = true},
                            JpegRecipe{.size = {1100, 1000},
                                       .color = JpegColor::kGray,
                                       .restart_interval = 1,
                                       .quality = 100,
                                       .noisy = true}}) {
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
  return run_tests(
      argc, argv,
      {
          {"rows equal libjpeg's scanlines for every sampling, color, process and size",
           rows_equal_scanlines},
          {"wanted rows are the rows that a whole decode gives", wanted_rows_are_the_same_rows},
          {"wanted columns are the columns that a whole decode gives",
           wanted_columns_are_the_same_columns},
          {"content in windows of any size decodes as in one", windows_do_not_show},
          {"files larger than the window decode as from memory",
           files_larger_than_the_window_read_as_one},
          {"the end of the first window may fall anywhere in the header",
           header_boundaries_fall_everywhere},
          {"finish gives the verdict on what was not read", finish_judges_what_was_not_read},
          {"JPEGs are known by their content", jpegs_are_known_by_their_content},
      });
}
