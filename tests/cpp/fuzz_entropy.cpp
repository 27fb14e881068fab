// Compares the entropy decoder of our own with libjpeg's on made, photographed and damaged files:
// what ours takes for a clean scan has jpeg_read_coefficients' coefficients, every one, and no
// warning from libjpeg; and a decoder that uses ours gives libjpeg's pixels, verdict and words.
//
//     fuzz_entropy [FILES [SEED [FOLDER OR FILE ...]]]
//
// Every file has a seed of its own, the first SEED, so a failure is repeated with FILES = 1 and the
// seed that was printed. With -DPYLOADER_LIBFUZZER, libFuzzer's entry instead of a main.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "decoding.h"
#include "jpeg/coefficient_reader.h"
#include "jpeg/decoder.h"
#include "jpeg/libjpeg.h"
#include "jpeg_files.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr unsigned kMostSide = 1024;

// A file whose header libjpeg has read.
struct Opened {
  explicit Opened(std::span<const uint8_t> content) : bytes(content) {
    info.err = init_errors(errors);
    auto step = [this] {
      jpeg_create_decompress(&info);
      init_source(source, bytes);
      info.src = &source.manager;
      ok = jpeg_read_header(&info, TRUE) == JPEG_HEADER_OK;
    };
    if (!guarded(errors, step)) ok = false;
    errors.manager.emit_message = [](j_common_ptr of, int level) {
      if (level < 0) ++of->err->num_warnings;
    };
    errors.manager.num_warnings = 0;
  }
  ~Opened() { jpeg_destroy_decompress(&info); }

  MemorySource bytes;
  jpeg_decompress_struct info = {};
  LibjpegErrors errors = {};
  LibjpegSource source = {};
  bool ok = false;
};

int divide_up(unsigned value, int by) { return (static_cast<int>(value) + by - 1) / by; }

// Blocks in a row of all rows of MCUs, per component; as a whole MCU has them.
struct Coefficients {
  std::vector<int16_t> values[3];
  int columns[3] = {}, rows[3] = {};
};

bool read_own(CoefficientReader& reader, Opened& file, Coefficients& out) {
  const jpeg_decompress_struct& info = file.info;
  const jpeg_source_mgr& at = file.source.manager;
  if (!reader.begin(info, file.bytes, {at.next_input_byte, at.bytes_in_buffer})) return false;
  const bool alone = info.num_components == 1;
  const int mcu_columns = divide_up(info.image_width, alone ? 8 : 8 * info.max_h_samp_factor);
  const int mcu_rows = divide_up(info.image_height, alone ? 8 : 8 * info.max_v_samp_factor);
  for (int c = 0; c < info.num_components; ++c) {
    out.columns[c] = mcu_columns * reader.columns(c);
    out.rows[c] = mcu_rows * reader.rows(c);
    out.values[c].resize(static_cast<size_t>(out.columns[c]) *
                         static_cast<size_t>(out.rows[c]) * DCTSIZE2);
  }
  for (int y = 0; y < mcu_rows; ++y) {
    for (int x = 0; x < mcu_columns; x += CoefficientReader::kRunMcus) {
      const int mcus = std::min(CoefficientReader::kRunMcus, mcu_columns - x);
      if (!reader.read(mcus)) return false;
      for (int c = 0; c < info.num_components; ++c) {
        const int wide = reader.columns(c), tall = reader.rows(c);
        for (int r = 0; r < tall; ++r) {
          const int block = (y * tall + r) * out.columns[c] + x * wide;
          std::copy_n(reader.blocks(c, r), mcus * wide * DCTSIZE2,
                      out.values[c].begin() + ptrdiff_t{block} * DCTSIZE2);
        }
      }
    }
  }
  return reader.ended_cleanly();
}

bool same_coefficients(Opened& file, const Coefficients& own) {
  bool same = true;
  jvirt_barray_ptr* arrays = nullptr;
  auto step = [&] {
    arrays = jpeg_read_coefficients(&file.info);
    for (int c = 0; arrays != nullptr && c < file.info.num_components; ++c) {
      for (int y = 0; y < own.rows[c]; ++y) {
        const auto row = static_cast<JDIMENSION>(y);
        const JBLOCKARRAY blocks = file.info.mem->access_virt_barray(
            reinterpret_cast<j_common_ptr>(&file.info), arrays[c], row, 1, FALSE);
        const auto count = static_cast<size_t>(own.columns[c]) * DCTSIZE2;
        same &= std::equal(blocks[0][0], blocks[0][0] + count,
                           own.values[c].begin() + static_cast<ptrdiff_t>(count) * y);
      }
    }
  };
  return guarded(file.errors, step) && arrays != nullptr && same;
}

// One fuzzer's decoders, reused from file to file.
class Fuzzer {
 public:
  // False, and a line on stderr, when the decoders differ.
  bool agree(std::span<const uint8_t> content, size_t window) {
    ++files;
    const ExactCopy copy(content);
    Opened own(copy.view());
    if (own.ok && (own.info.image_width > kMostSide || own.info.image_height > kMostSide)) {
      return true;
    }
    Coefficients coefficients;
    if (own.ok && read_own(reader_, own, coefficients)) {
      ++clean;
      Opened libjpeg(copy.view());
      if (!same_coefficients(libjpeg, coefficients)) return differs("coefficients");
      if (libjpeg.errors.manager.num_warnings != 0) return differs("libjpeg's warnings");
    }
    const Pixels reference = read(libjpeg_, copy.view(), window);
    if (reference.status.ok()) ++good;
    for (JpegDecoder* decoder : {&own_, &own_scalar_}) {
      const Pixels pixels = read(*decoder, copy.view(), window);
      if (pixels.status.code() != reference.status.code()) return differs("verdict");
      if (pixels.status.reason() != reference.status.reason()) return differs("words");
      if (reference.status.ok() && pixels.bytes != reference.bytes) return differs("pixels");
    }
    return true;
  }

  long files = 0, clean = 0, good = 0, by_own = 0;

 private:
  // What libjpeg makes of damaged bytes depends on how many it has at hand, so all read in the same
  // windows.
  Pixels read(JpegDecoder& decoder, std::span<const uint8_t> content, size_t window) {
    MemorySource whole(content);
    ChoppedSource chopped(content, std::max<size_t>(window, 1));
    ByteSource& source = window == 0 ? static_cast<ByteSource&>(whole) : chopped;
    Pixels pixels = decode(decoder, source);
    if (decoder.decoded_by() == EntropyDecoder::kOwn && pixels.status.ok()) ++by_own;
    decoder.close();
    return pixels;
  }

  static bool differs(const char* what) {
    std::fprintf(stderr, "other %s than libjpeg's\n", what);
    return false;
  }

  CoefficientReader reader_;
  JpegDecoder libjpeg_{available_simd_level(), EntropyDecoder::kLibjpeg};
  JpegDecoder own_{available_simd_level(), EntropyDecoder::kOwn};
  JpegDecoder own_scalar_{SimdLevel::kScalar, EntropyDecoder::kOwn};
};

}  // namespace

#ifdef PYLOADER_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Fuzzer fuzzer;
  if (!fuzzer.agree({data, size}, size % 3 == 0 ? 1 + size % 64 : 0)) std::abort();
  return 0;
}

#else

namespace {

// Where a marker segment of the header has its content, or the scan; at random.
size_t place_in(const std::vector<uint8_t>& content, Random& random) {
  std::vector<std::pair<size_t, size_t>> segments;
  size_t at = 2;
  while (at + 4 <= content.size() && content[at] == 0xFF) {
    const size_t length = 2u + content[at + 2] * 256u + content[at + 3];
    segments.emplace_back(at, length);
    at += length;
    if (content[at - length + 1] == 0xDA) break;
  }
  const int choice = random.below(3);
  if (choice == 0 || segments.empty()) return random.next() % content.size();
  if (choice == 1) {
    return std::min(at + random.next() % 4096, content.size() - 1 - random.next() % 8);
  }
  const auto& [start, length] = segments[random.next() % segments.size()];
  return std::min(start + random.next() % length, content.size() - 1);
}

void damage(std::vector<uint8_t>& content, Random& random) {
  const size_t at = place_in(content, random) % content.size();
  const auto place = content.begin() + static_cast<ptrdiff_t>(at);
  const auto left = static_cast<int>(std::min<size_t>(content.size() - at, 40));
  switch (random.below(9)) {
    case 0: *place = 0xFF; break;
    case 1: *place ^= static_cast<uint8_t>(1 << random.below(8)); break;
    case 2: *place = static_cast<uint8_t>(random.next()); break;
    case 3: *place = static_cast<uint8_t>(*place + random.between(-1, 1)); break;
    case 4: content.erase(place, place + random.below(left)); break;
    case 5: {
      const uint8_t marker[] = {0xFF, static_cast<uint8_t>(0xD0 + random.below(12))};
      content.insert(place, marker, marker + 2);
      break;
    }
    case 6: content.insert(place, static_cast<uint8_t>(random.next())); break;
    case 7: {
      const std::vector<uint8_t> piece(place, place + random.below(left));
      const auto where = static_cast<ptrdiff_t>(random.next() % content.size());
      content.insert(content.begin() + where, piece.begin(), piece.end());
      break;
    }
    default: content.resize(std::max<size_t>(at, 4));
  }
}

std::vector<uint8_t> read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void add_photograph(const std::filesystem::path& path, std::vector<Photograph>& photographs) {
  JpegDecoder decoder(available_simd_level(), EntropyDecoder::kLibjpeg);
  const Pixels pixels = decode(decoder, read_file(path));
  if (!pixels.status.ok() || pixels.header.pixels != JpegPixels::kColor) return;
  Photograph photograph{.samples = {}, .size = pixels.header.size};
  for (size_t i = 0; i < pixels.bytes.size(); ++i) {
    if (i % 4 != 3) photograph.samples.push_back(pixels.bytes[i]);
  }
  photographs.push_back(std::move(photograph));
}

}  // namespace

int main(int argc, char** argv) {
  const long count = argc > 1 ? std::atol(argv[1]) : 3000;
  const long seed = argc > 2 ? std::atol(argv[2]) : 1;
  std::vector<Photograph> photographs;
  for (int i = 3; i < argc; ++i) {
    const std::filesystem::path path = argv[i];
    if (!std::filesystem::is_directory(path)) {
      add_photograph(path, photographs);
      continue;
    }
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& file : paths) add_photograph(file, photographs);
  }
  Fuzzer fuzzer;
  for (long i = 0; i < count; ++i) {
    Random random(static_cast<uint32_t>(seed + i));
    const bool photographed = !photographs.empty() && random.below(3) != 0;
    const Photograph* photograph =
        photographed ? &photographs[random.next() % photographs.size()] : nullptr;
    std::vector<uint8_t> content = random_file(random, photograph);
    for (int n = random.below(5); n > 0 && content.size() > 16; --n) damage(content, random);
    const size_t window = random.below(3) == 0 ? static_cast<size_t>(random.between(1, 99)) : 0;
    if (!fuzzer.agree(content, window)) {
      std::fprintf(stderr, "FAILED with seed %ld\n", seed + i);
      return 1;
    }
  }
  std::printf("%s: %ld files, %ld photographs to cut from; %ld clean scans, %ld good for libjpeg, "
              "%ld decodes by ours\n", argv[0], fuzzer.files, static_cast<long>(photographs.size()),
              fuzzer.clean, fuzzer.good, fuzzer.by_own);
  // Where nearly nothing is decoded, nothing is compared.
  return fuzzer.clean * 6 >= fuzzer.files ? 0 : 1;
}

#endif
