// Compares the entropy decoder of our own with libjpeg's on made and damaged files: what ours takes
// for a clean scan has jpeg_read_coefficients' coefficients, every one, and no warning from
// libjpeg; and a decoder that uses ours gives libjpeg's pixels, verdict and words.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "decoding.h"
#include "fuzz.h"
#include "jpeg/coefficient_reader.h"
#include "jpeg/decoder.h"
#include "jpeg/libjpeg.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr int64_t kMostPixels = int64_t{1} << 14;

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
    out.values[c].resize(static_cast<size_t>(out.columns[c]) * static_cast<size_t>(out.rows[c]) *
                         DCTSIZE2);
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
        const JCOEF* first = blocks[0][0];
        same &= std::equal(first, first + count,
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
    const ExactCopy copy(content);
    Opened own(copy.view());
    if (own.ok && int64_t{own.info.image_width} * own.info.image_height > kMostPixels) return true;
    Coefficients coefficients;
    if (own.ok && read_own(reader_, own, coefficients)) {
      reached();
      Opened libjpeg(copy.view());
      if (!same_coefficients(libjpeg, coefficients)) return differs("coefficients");
      if (libjpeg.errors.manager.num_warnings != 0) return differs("libjpeg's warnings");
    }
    const Pixels reference = read(libjpeg_, copy.view(), window);
    for (JpegDecoder* decoder : {&own_, &own_scalar_}) {
      const Pixels pixels = read(*decoder, copy.view(), window);
      if (pixels.status.code() != reference.status.code()) return differs("verdict");
      if (pixels.status.reason() != reference.status.reason()) return differs("words");
      if (reference.status.ok() && pixels.bytes != reference.bytes) return differs("pixels");
    }
    return true;
  }

 private:
  // What libjpeg makes of damaged bytes depends on how many it has at hand, so all read in the same
  // windows.
  Pixels read(JpegDecoder& decoder, std::span<const uint8_t> content, size_t window) {
    MemorySource whole(content);
    ChoppedSource chopped(content, std::max<size_t>(window, 1));
    ByteSource& source = window == 0 ? static_cast<ByteSource&>(whole) : chopped;
    Pixels pixels = decode(decoder, source);
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

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Fuzzer fuzzer;
  Input input(data, size);
  const int window = input.choices.one_in(3) ? input.choices.between(1, 99) : 0;
  expect(fuzzer.agree(input.content, static_cast<size_t>(window)), "the decoders differ");
  expect_no_failed_check();
  return 0;
}
