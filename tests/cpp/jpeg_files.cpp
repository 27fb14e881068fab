#include "jpeg_files.h"

#include <algorithm>
#include <cstdlib>
#include <random>

namespace pyloader::testing {

std::vector<uint8_t> encode(Size size, bool gray, const Pattern& pattern, const Setting& set) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);
  errors.emit_message = [](j_common_ptr, int) {};  // it is told of coarse steps
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&info, &memory, &bytes);
  info.image_width = static_cast<JDIMENSION>(size.width);
  info.image_height = static_cast<JDIMENSION>(size.height);
  info.input_components = gray ? 1 : 3;
  info.in_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  set(info);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> row(static_cast<size_t>(size.width * info.input_components));
  for (int y = 0; y < size.height; ++y) {
    for (size_t i = 0; i < row.size(); ++i) row[i] = pattern(static_cast<int>(i), y);
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::vector<uint8_t> content(memory, memory + bytes);
  std::free(memory);
  return content;
}

Setting with_sampling(int h, int v, const Setting& more) {
  return [=](jpeg_compress_struct& info) {
    info.comp_info[0].h_samp_factor = h;
    info.comp_info[0].v_samp_factor = v;
    more(info);
  };
}

void give_code(jpeg_compress_struct& info, JHUFF_TBL*& table, std::vector<uint8_t> symbols,
               bool deep, Random& random) {
  if (table == nullptr) table = jpeg_alloc_huff_table(reinterpret_cast<j_common_ptr>(&info));
  std::fill(std::begin(table->bits), std::end(table->bits), UINT8{0});
  std::shuffle(symbols.begin(), symbols.end(), std::minstd_rand(random.next()));
  std::copy(symbols.begin(), symbols.end(), table->huffval);
  const size_t count = symbols.size();
  if (!deep) {
    table->bits[count < 16 ? 4 : 8] = static_cast<UINT8>(count);
    return;
  }
  for (size_t length = 1; length <= 7; ++length) table->bits[length] = count > length ? 1 : 0;
  table->bits[16] = static_cast<UINT8>(count - std::min<size_t>(7, count - 1));
}

std::vector<uint8_t> dc_symbols() {
  std::vector<uint8_t> symbols;
  for (int size = 0; size < 12; ++size) symbols.push_back(static_cast<uint8_t>(size));
  return symbols;
}

std::vector<uint8_t> ac_symbols() {
  std::vector<uint8_t> symbols = {0x00, 0xF0};
  for (int run = 0; run < 16; ++run) {
    for (int size = 1; size <= 10; ++size) {
      symbols.push_back(static_cast<uint8_t>(run * 16 + size));
    }
  }
  return symbols;
}

namespace {

Pattern random_pattern(Random& random) {
  const int kind = random.below(6), reach = 1 << random.between(0, 7), step = random.between(1, 9);
  return [&random, kind, reach, step](int x, int y) {
    switch (kind) {
      case 0: return static_cast<uint8_t>(random.next());
      case 1: return static_cast<uint8_t>((x / 3 / step + y / step) % 2 == 0 ? 0 : 255);
      case 2: return static_cast<uint8_t>(x * step + 2 * y);
      case 3: return static_cast<uint8_t>(128);
      case 4: return static_cast<uint8_t>(random.below(40) == 0 ? 255 : 3 * step);
      default: return static_cast<uint8_t>(x + 90 + random.below(reach) - reach / 2);
    }
  };
}

void set_codes(jpeg_compress_struct& info, Random& random) {
  const int kind = random.below(3);
  info.optimize_coding = kind == 1 ? TRUE : FALSE;
  if (kind != 2) return;
  for (int t = 0; t < 2; ++t) {
    give_code(info, info.dc_huff_tbl_ptrs[t], dc_symbols(), random.below(2) != 0, random);
    give_code(info, info.ac_huff_tbl_ptrs[t], ac_symbols(), random.below(2) != 0, random);
  }
}

void set_steps(jpeg_compress_struct& info, Random& random) {
  const bool baseline = random.below(4) != 0;
  jpeg_set_quality(&info, random.between(1, 100), baseline ? TRUE : FALSE);
  if (random.below(8) != 0) return;
  unsigned steps[64];
  // libjpeg's encoder divides by eight times a step, in 16 bits.
  for (unsigned& step : steps) {
    step = static_cast<unsigned>(1 + random.below(std::min(8191, 1 << random.between(0, 13))));
  }
  for (int t = 0; t < 2; ++t) jpeg_add_quant_table(&info, t, steps, 100, FALSE);
}

}  // namespace

std::vector<uint8_t> random_file(Random& random, const Photograph* photograph) {
  Size size = {random.between(1, 90), random.between(1, 60)};
  if (random.below(8) == 0) size = {random.between(1, 400), random.between(1, 9)};
  const bool gray = photograph == nullptr && random.below(5) == 0;
  Pattern pattern = random_pattern(random);
  if (photograph != nullptr) {
    size.width = std::min(size.width, photograph->size.width);
    size.height = std::min(size.height, photograph->size.height);
    const int left = random.below(photograph->size.width - size.width + 1);
    const int top = random.below(photograph->size.height - size.height + 1);
    pattern = [photograph, left, top](int x, int y) {
      const int at = (y + top) * photograph->size.width * 3 + 3 * left + x;
      return photograph->samples[static_cast<size_t>(at)];
    };
  }
  return encode(size, gray, pattern, [&](jpeg_compress_struct& info) {
    set_steps(info, random);
    set_codes(info, random);
    info.comp_info[0].h_samp_factor = random.between(1, 2);
    info.comp_info[0].v_samp_factor = random.between(1, 2);
    if (random.below(16) == 0) info.comp_info[random.below(gray ? 1 : 3)].h_samp_factor = 2;
    if (random.below(3) == 0) info.restart_interval = static_cast<unsigned>(random.between(1, 20));
    if (random.below(30) == 0) jpeg_simple_progression(&info);
  });
}

}  // namespace pyloader::testing
