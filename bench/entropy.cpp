// Compiled and run by bench_entropy.py. Times the entropy decoders of pyloader and of libjpeg on
// files in memory, one thread, in alternating rounds, after comparing all coefficients and pixels.
// Arguments: rounds, then on standard input a path per line. Prints a line of microseconds of
// processor time per image for each round.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "jpeg/coefficient_reader.h"
#include "jpeg/decoder.h"
#include "jpeg/libjpeg.h"

using namespace pyloader;

namespace {

using File = std::vector<uint8_t>;

double seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// A file as far as both entropy decoders need it.
struct Opened {
  explicit Opened(const File& file) : bytes(file) {
    info.err = init_errors(errors);
    auto step = [this] {
      jpeg_create_decompress(&info);
      init_source(source, bytes);
      info.src = &source.manager;
      jpeg_read_header(&info, TRUE);
    };
    ok = guarded(errors, step);
  }
  ~Opened() { jpeg_destroy_decompress(&info); }

  MemorySource bytes;
  jpeg_decompress_struct info = {};
  LibjpegErrors errors = {};
  LibjpegSource source = {};
  bool ok = false;
};

bool read_coefficients(Opened& file) {
  bool whole = false;
  auto step = [&] { whole = jpeg_read_coefficients(&file.info) != nullptr; };
  return file.ok && guarded(file.errors, step) && whole;
}

int divide_up(unsigned value, int by) { return (static_cast<int>(value) + by - 1) / by; }

// Decodes all coefficients. `see(y, x, mcus)`, where given, is called for every run of MCUs; false
// ends it.
template <class See>
bool decode_entropy(CoefficientReader& reader, Opened& file, const See& see) {
  const jpeg_decompress_struct& info = file.info;
  const jpeg_source_mgr& at = file.source.manager;
  if (!file.ok || !reader.begin(info, file.bytes, {at.next_input_byte, at.bytes_in_buffer})) {
    return false;
  }
  const bool alone = info.num_components == 1;
  const int columns = divide_up(info.image_width, alone ? 8 : 8 * info.max_h_samp_factor);
  const int rows = divide_up(info.image_height, alone ? 8 : 8 * info.max_v_samp_factor);
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; x += CoefficientReader::kRunMcus) {
      const int mcus = std::min(CoefficientReader::kRunMcus, columns - x);
      if (!reader.read(mcus) || !see(y, x, mcus)) return false;
    }
  }
  return reader.ended_cleanly();
}

bool decode_entropy(CoefficientReader& reader, Opened& file) {
  return decode_entropy(reader, file, [](int, int, int) { return true; });
}

// Returns true if all coefficients equal libjpeg's.
bool same_coefficients(CoefficientReader& reader, const File& content) {
  Opened file(content), reference(content);
  jpeg_decompress_struct& info = reference.info;
  jvirt_barray_ptr* arrays = nullptr;
  auto read = [&] { arrays = jpeg_read_coefficients(&info); };
  if (!reference.ok || !guarded(reference.errors, read) || arrays == nullptr) return false;
  return decode_entropy(reader, file, [&](int y, int x, int mcus) {
    bool same = true;
    for (int c = 0; c < info.num_components; ++c) {
      const int wide = reader.columns(c), tall = reader.rows(c);
      for (int r = 0; r < tall; ++r) {
        const auto row = static_cast<JDIMENSION>(y * tall + r);
        const JBLOCKARRAY blocks = info.mem->access_virt_barray(
            reinterpret_cast<j_common_ptr>(&info), arrays[c], row, 1, FALSE);
        const JCOEF* first = blocks[0][x * wide];
        same &= std::equal(first, first + mcus * wide * DCTSIZE2, reader.blocks(c, r));
      }
    }
    return same;
  });
}

// All rows; `sum`, where given, gets a checksum of them.
bool decode_pixels(JpegDecoder& decoder, const File& file, uint64_t* sum) {
  MemorySource source(file);
  JpegHeader header;
  if (!decoder.open(source, header).ok()) return false;
  const int planes = header.pixels == JpegPixels::kPlanes ? 3 : 1;
  const bool packed = header.pixels != JpegPixels::kPlanes && header.pixels != JpegPixels::kGray;
  const int bytes = header.size.width * (packed ? 4 : 1);
  for (;;) {
    RowBand band;
    if (!decoder.read(band).ok()) return false;
    if (band.count == 0) break;
    for (int r = 0; sum != nullptr && r < band.count; ++r) {
      for (int p = 0; p < planes; ++p) {
        const uint8_t* row = band.rows[r] + p * band.plane_stride;
        for (int i = 0; i < bytes; ++i) *sum = (*sum ^ row[i]) * 1099511628211u;
      }
    }
  }
  const bool ok = decoder.finish().ok();
  decoder.close();
  return ok;
}

}  // namespace

int main(int, char** argv) {
  JpegDecoder own(simd_level(), EntropyDecoder::kOwn);
  JpegDecoder libjpeg(simd_level(), EntropyDecoder::kLibjpeg);
  CoefficientReader reader;
  std::vector<File> files;
  int left_out = 0;
  for (std::string path; std::getline(std::cin, path);) {
    std::ifstream stream(path, std::ios::binary);
    File file((std::istreambuf_iterator<char>(stream)), {});
    Opened first(file);
    if (!decode_entropy(reader, first)) {
      ++left_out;
      continue;
    }
    if (!same_coefficients(reader, file)) {
      std::fprintf(stderr, "other coefficients: %s\n", path.c_str());
      return 1;
    }
    uint64_t sums[2] = {1, 1};
    if (!decode_pixels(own, file, &sums[0]) || !decode_pixels(libjpeg, file, &sums[1]) ||
        sums[0] != sums[1]) {
      std::fprintf(stderr, "other pixels: %s\n", path.c_str());
      return 1;
    }
    files.push_back(std::move(file));
  }
  std::printf("%zu %d\n", files.size(), left_out);
  if (files.empty()) return 0;
  for (int round = -1; round < std::atoi(argv[1]); ++round) {
    double times[5] = {seconds()};
    for (const File& file : files) {
      Opened opened(file);
      read_coefficients(opened);
    }
    times[1] = seconds();
    for (const File& file : files) {
      Opened opened(file);
      decode_entropy(reader, opened);
    }
    times[2] = seconds();
    for (const File& file : files) decode_pixels(libjpeg, file, nullptr);
    times[3] = seconds();
    for (const File& file : files) decode_pixels(own, file, nullptr);
    times[4] = seconds();
    if (round < 0) continue;  // warms up
    for (int i = 0; i < 4; ++i) {
      std::printf("%.2f ", 1e6 * (times[i + 1] - times[i]) / static_cast<double>(files.size()));
    }
    std::printf("\n");
  }
}
