// The entropy decoder of our own against libjpeg's: the same pixels, the same verdicts, the same
// words, for ordinary files, for every odd table, and for damaged content.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "decoding.h"
#include "io/file_source.h"
#include "jpeg/kernels.h"
#include "jpeg_files.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

// Decodes with both; `own` tells whether ours had to do all of it.
class Judges {
 public:
  Judges() {
    for (SimdLevel level : all_levels()) {
      own_.push_back(std::make_unique<JpegDecoder>(level, EntropyDecoder::kOwn));
    }
  }

  void agree(std::span<const uint8_t> content, const std::string& name, bool own_whole = false,
             size_t window = 0) {
    const ExactCopy copy(content);
    // What libjpeg makes of damaged bytes depends on how many it has at hand, so all read in the
    // same windows.
    const auto read = [&](JpegDecoder& decoder) {
      MemorySource whole(copy.view());
      ChoppedSource chopped(content, std::max<size_t>(window, 1));
      return decode(decoder, window == 0 ? static_cast<ByteSource&>(whole) : chopped);
    };
    const Pixels reference = read(libjpeg_);
    libjpeg_.close();
    for (auto& decoder : own_) {
      const Pixels pixels = read(*decoder);
      const bool own = decoder->decoded_by() == EntropyDecoder::kOwn;
      decoder->close();
      check(pixels.status.code() == reference.status.code(), "verdict: " + name);
      check(pixels.status.reason() == reference.status.reason(),
            name + ": " + pixels.status.reason() + " / " + reference.status.reason());
      // Of a file that fails, nobody sees the rows before the failure.
      check(!reference.status.ok() || pixels.bytes == reference.bytes, "pixels: " + name);
      check(own || !own_whole, "left to libjpeg: " + name);
      if (own) ++own_count_;
      ++count_;
    }
  }

  int own_count() const { return own_count_; }
  int count() const { return count_; }

 private:
  JpegDecoder libjpeg_{available_simd_level(), EntropyDecoder::kLibjpeg};
  std::vector<std::unique_ptr<JpegDecoder>> own_;
  int own_count_ = 0, count_ = 0;
};

void every_quality_and_table_decodes_alike() {
  Judges judges;
  Random random(41);
  for (int quality = 1; quality <= 100; ++quality) {
    const int kind = quality % 4;
    const auto pattern = [&](int x, int y) {
      if (kind == 0) return static_cast<uint8_t>(random.next());
      if (kind == 1) return static_cast<uint8_t>((x / 3 + y) % 2 == 0 ? 0 : 255);
      if (kind == 2) return static_cast<uint8_t>(x + 2 * y);
      return static_cast<uint8_t>(128 + random.between(-3, 3));
    };
    for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
      for (const bool optimized : {false, true}) {
        const auto content = encode({61, 43}, false, pattern, with_sampling(h, v, [&](auto& info) {
                                      jpeg_set_quality(&info, quality, TRUE);
                                      info.optimize_coding = optimized ? TRUE : FALSE;
                                    }));
        judges.agree(content, "quality " + std::to_string(quality) + ", sampling " +
                                  std::to_string(h) + std::to_string(v));
      }
    }
    judges.agree(encode({37, 29}, true, pattern,
                        [&](auto& info) { jpeg_set_quality(&info, quality, TRUE); }),
                 "gray, quality " + std::to_string(quality));
  }
  // Only overshooting noise in coarse steps may be left to libjpeg.
  check(judges.own_count() * 10 >= judges.count() * 9, "too many were left to libjpeg");
}

void restarts_anywhere_decode_alike() {
  Judges judges;
  Random random(42);
  const auto noise = [&](int, int) { return static_cast<uint8_t>(random.next()); };
  for (const int interval : {1, 2, 3, 5, 7, 8, 9, 16, 17, 1000, 65535}) {
    for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
      const auto content = encode({147, 53}, false, noise, with_sampling(h, v, [&](auto& info) {
                                    info.restart_interval = static_cast<unsigned>(interval);
                                  }));
      judges.agree(content, "restart interval " + std::to_string(interval), true);
      judges.agree(content, "restarts in windows", true, 7);
    }
  }
}

void sixteen_bit_steps_decode_alike() {
  Judges judges;
  Random random(43);
  for (int round = 0; round < 60; ++round) {
    unsigned steps[64];
    for (unsigned& step : steps) {
      step = static_cast<unsigned>(1 + random.below(1 << random.between(1, 15)));
    }
    const auto noise = [&](int x, int) {
      return static_cast<uint8_t>(round % 2 == 0 ? x * 5 : random.below(256));
    };
    judges.agree(encode({40, 24}, round % 3 == 0, noise,
                        [&](auto& info) {
                          for (int t = 0; t < 2; ++t) {
                            jpeg_add_quant_table(&info, t, steps, 100, FALSE);
                          }
                        }),
                 "16-bit steps, round " + std::to_string(round));
  }
}

void long_and_flat_codes_decode_alike() {
  Judges judges;
  Random random(44);
  for (int round = 0; round < 80; ++round) {
    const bool deep = round % 2 == 0;
    const auto noise = [&](int x, int y) {
      return static_cast<uint8_t>(round % 3 == 0 ? random.below(256) : x * y + random.below(30));
    };
    const auto set = [&](jpeg_compress_struct& info) {
      jpeg_set_quality(&info, random.between(20, 100), TRUE);
      for (int t = 0; t < 2; ++t) {
        give_code(info, info.dc_huff_tbl_ptrs[t], dc_symbols(), deep, random);
        give_code(info, info.ac_huff_tbl_ptrs[t], ac_symbols(), deep, random);
      }
    };
    const auto content = encode({70, 35}, false, noise, with_sampling(1 + round % 2, 1, set));
    judges.agree(content, "codes, round " + std::to_string(round), true);
    judges.agree(content, "codes in windows", true, 13);
  }
  // One color: optimized tables of one symbol.
  judges.agree(encode(
                   {64, 64}, false, [](int, int) { return uint8_t{77}; },
                   [](auto& info) { info.optimize_coding = TRUE; }),
               "one symbol", true);
}

void every_size_decodes_alike() {
  Judges judges;
  for (int width = 1; width <= 35; ++width) {
    for (const int height : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33}) {
      for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
        const JpegRecipe recipe{.size = {width, height}, .luma_h = h, .luma_v = v};
        judges.agree(make_jpeg(recipe), name_of(recipe), h == 1 || width > 4);
      }
      const JpegRecipe gray{
          .size = {width, height}, .color = JpegColor::kGray, .luma_h = 2, .luma_v = 2};
      judges.agree(make_jpeg(gray), name_of(gray), true);
    }
  }
}

void damage_gets_libjpegs_verdict_and_words() {
  Judges judges;
  Random random(45);
  for (const auto& [h, v] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
    for (const int interval : {0, 2}) {
      const JpegRecipe recipe{
          .size = {43, 37}, .luma_h = h, .luma_v = v, .restart_interval = interval, .quality = 70};
      const std::vector<uint8_t> content = make_jpeg(recipe);
      for (size_t length = 0; length < content.size(); length += length < 600 ? 37 : 1) {
        judges.agree({content.data(), length}, "cut at " + std::to_string(length));
      }
      for (int round = 0; round < 1500; ++round) {
        std::vector<uint8_t> damaged = content;
        for (int n = random.between(1, 3); n > 0; --n) {
          const size_t at = 2 + random.next() % (content.size() - 2);
          const auto place =
              damaged.begin() + static_cast<ptrdiff_t>(std::min(at, damaged.size() - 1));
          switch (random.below(5)) {
            case 0: *place = 0xFF; break;
            case 1: *place ^= static_cast<uint8_t>(1 << random.below(8)); break;
            case 2: *place = static_cast<uint8_t>(random.next()); break;
            case 3: damaged.erase(place); break;
            default: {
              const int byte = random.below(2) != 0 ? 0xFF : 0xD0 + random.below(12);
              damaged.insert(place, static_cast<uint8_t>(byte));
            }
          }
          damaged.resize(std::max<size_t>(damaged.size(), content.size()));
        }
        judges.agree(damaged, name_of(recipe) + ", damage " + std::to_string(round), false,
                     round % 5 == 0 ? 11 : 0);
      }
    }
  }
}

void what_follows_the_scan_is_judged_by_libjpeg() {
  Judges judges;
  const std::vector<uint8_t> content = make_jpeg({.size = {30, 20}});
  const std::vector<std::vector<uint8_t>> tails = {{},
                                                   {0xFF},
                                                   {0xFF, 0xD9, 1, 2, 3},
                                                   {0xFF, 0xFF, 0xD9},
                                                   {0, 0, 0xFF, 0xD9},
                                                   {0xFF, 0, 0xFF, 0xD9},
                                                   {0xFF, 0xD0, 0xFF, 0xD9},
                                                   {0xFF, 0xDA, 0, 2},
                                                   {0xFF, 0xC0, 0, 2},
                                                   {0xFF, 0xFE, 0, 4, 1, 2, 0xFF, 0xD9},
                                                   {0xFF, 0xD8},
                                                   {0xFF, 0x01, 0xFF, 0xD9}};
  for (size_t i = 0; i < tails.size(); ++i) {
    std::vector<uint8_t> changed(content.begin(), content.end() - 2);
    changed.insert(changed.end(), tails[i].begin(), tails[i].end());
    judges.agree(changed, "tail " + std::to_string(i));
    judges.agree(changed, "tail in windows " + std::to_string(i), false, 3);
  }
}

// Coefficients at random, up to and beyond what encoders write: the levels agree on samples and on
// which blocks are refused.
void transforms_agree_at_every_level() {
  Random random(46);
  for (int round = 0; round < 30000; ++round) {
    constexpr int kCount = 3;
    alignas(64) int16_t blocks[kCount * 64] = {};
    uint8_t extents[kCount];
    Dequantiser dequantiser;
    for (int i = 0; i < 64; ++i) {
      const int factor = 1 + random.below(round % 3 == 0 ? 1 : 120);
      dequantiser.factors[i] = static_cast<int16_t>(factor);
      dequantiser.limits[i] = static_cast<int16_t>(16383 / factor);
    }
    const int reach = 1 << random.between(0, 12);
    for (int b = 0; b < kCount; ++b) {
      // One coefficient, the first ten of the zig-zag, or all.
      constexpr int kFirst[] = {0, 1, 8, 16, 9, 2, 3, 10, 17, 24};
      const int count = round % 2 == 0 ? random.between(1, 10) : random.below(4) == 0 ? 1 : 64;
      extents[b] = static_cast<uint8_t>(count);
      for (int i = 0; i < count; ++i) {
        const int at = count <= 10 ? kFirst[i] : i;
        if (random.below(3) != 0) continue;
        blocks[64 * b + at] = static_cast<int16_t>(random.between(-reach, reach));
      }
    }
    std::vector<uint8_t> first;
    bool first_ok = false;
    for (SimdLevel level : all_levels()) {
      std::vector<uint8_t> out(8 * 40);
      const bool ok =
          jpeg_kernels(level).inverse_dct(blocks, extents, kCount, dequantiser, out.data(), 40);
      for (size_t i = 0; i < out.size(); ++i) {
        if (i % 40 >= 8 * kCount) out[i] = 0;
      }
      if (level == SimdLevel::kScalar) {
        first = out;
        first_ok = ok;
        continue;
      }
      check(ok == first_ok, "which blocks are refused");
      check(!ok || out == first, "samples");
    }
  }
}

void large_files_are_rewound() {
  TemporaryFolder folder;
  Judges judges;
  FileSource file;
  std::vector<uint8_t> content = make_jpeg({.size = {1000, 900}, .quality = 100, .noisy = true});
  check(content.size() > FileSource::kWindow + 100000, "the file is too small for its test");
  for (const size_t flip :
       {size_t{0}, size_t{5000}, FileSource::kWindow - 1, FileSource::kWindow + 5000}) {
    std::vector<uint8_t> changed = content;
    if (flip != 0) changed[flip] = 0xFF, changed[flip + 1] = 0x37;
    const std::string path = folder.write("large.jpg", changed);
    JpegDecoder own(available_simd_level(), EntropyDecoder::kOwn);
    JpegDecoder libjpeg(available_simd_level(), EntropyDecoder::kLibjpeg);
    check(file.open(path.c_str()).ok());
    const Pixels by_own = decode(own, file);
    check((own.decoded_by() == EntropyDecoder::kOwn) == (flip == 0), "who decoded");
    check(file.open(path.c_str()).ok());
    const Pixels by_libjpeg = decode(libjpeg, file);
    check(!by_libjpeg.status.ok() || by_own.bytes == by_libjpeg.bytes,
          "pixels, " + std::to_string(flip));
    check(by_own.status.reason() == by_libjpeg.status.reason(), "words");
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"every quality, sampling and table decodes as by libjpeg",
           every_quality_and_table_decodes_alike},
          {"restart intervals of any length decode as by libjpeg", restarts_anywhere_decode_alike},
          {"16-bit quantisation steps decode as by libjpeg", sixteen_bit_steps_decode_alike},
          {"long and flat codes decode as by libjpeg", long_and_flat_codes_decode_alike},
          {"every size decodes as by libjpeg", every_size_decodes_alike},
          {"damage gets libjpeg's verdict, pixels and words",
           damage_gets_libjpegs_verdict_and_words},
          {"what follows the scan is judged by libjpeg",
           what_follows_the_scan_is_judged_by_libjpeg},
          {"inverse transforms agree at every level", transforms_agree_at_every_level},
          {"files larger than the window are read again where libjpeg takes over",
           large_files_are_rewound},
      });
}
