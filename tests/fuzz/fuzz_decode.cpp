// Decodes arbitrary bytes in every way that a decoder offers, at every SIMD level, by libjpeg and
// by the entropy decoder of our own: rows, chosen rows and columns, planes, halved planes, parts of
// a file. What is the same by contract must be the same: verdicts, words and pixels.
#include <array>
#include <memory>
#include <vector>

#include "decoding.h"
#include "fuzz.h"
#include "inputs.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr int64_t kMostPixels = int64_t{1} << 14;

// One file, in windows of one size: what libjpeg makes of damaged bytes depends on how many it has
// at hand.
class File {
 public:
  File(std::span<const uint8_t> content, size_t window) : content_(content), window_(window) {}

  bool in_one() const { return window_ == 0; }
  std::span<const uint8_t> content() const { return content_.view(); }
  std::unique_ptr<ByteSource> source() const {
    if (in_one()) return std::make_unique<MemorySource>(content());
    return std::make_unique<ChoppedSource>(content(), window_);
  }

 private:
  ExactCopy content_;
  size_t window_;
};

Pixels decode_rows(JpegDecoder& decoder, const File& file) {
  const auto source = file.source();
  Pixels pixels = decode(decoder, *source);
  decoder.close();
  return pixels;
}

Planes decode_planes(JpegDecoder& decoder, const File& file, std::array<int, 3> halvings,
                     bool luma_only) {
  const auto source = file.source();
  Planes planes = testing::decode_planes(decoder, *source, halvings, luma_only);
  decoder.close();
  return planes;
}

void expect_same_verdict(const Status& actual, const Status& expected) {
  expect(actual.code() == expected.code(), "another verdict");
  expect(actual.reason() == expected.reason(), "other words");
}

void compare_rows(JpegDecoder& decoder, const File& file, const Pixels& expected) {
  const Pixels actual = decode_rows(decoder, file);
  expect_same_verdict(actual.status, expected.status);
  if (!expected.status.ok()) return;
  reached();
  expect(actual.bytes == expected.bytes, "other pixels");
  if (file.in_one()) {
    expect(is_as_libjpeg(file.content(), actual), "not libjpeg's pixels");
  }
}

// Some rows, and of them some columns where that is to be had.
void compare_wanted(JpegDecoder& decoder, const File& file, const Pixels& expected,
                    Choices& choices) {
  const auto source = file.source();
  JpegHeader header;
  Status status = decoder.open(*source, header);
  if (status.ok()) {
    Random random(choices.next());
    const auto height = static_cast<size_t>(header.size.height);
    std::vector<uint8_t> rows(height);
    const int period = choices.between(1, 20);
    for (uint8_t& row : rows) row = random.below(period) == 0 ? 1 : 0;
    std::vector<int32_t> columns;
    if (header.picks_columns && choices.one_in(2)) {
      columns.resize(static_cast<size_t>(choices.between(1, 100)));
      for (int32_t& column : columns) column = random.between(-1, header.size.width - 1);
    }
    decoder.want(rows, columns);
    const size_t pixel = row_bytes(header) / static_cast<size_t>(header.size.width);
    const auto columns_in_all = static_cast<size_t>(header.size.width);
    std::vector<uint8_t> packed((columns.empty() ? columns_in_all : columns.size()) * pixel);
    size_t y = 0;
    for (RowBand band;;) {
      status = decoder.read(band);
      if (!status.ok() || band.count == 0) break;
      for (int r = 0; r < band.count; ++r, ++y) {
        expect(y < height, "rows past the end");
        if (rows[y] == 0) continue;
        expect(band.rows[r] != nullptr, "a wanted row is null");
        pack_row(band, r, header.pixels, packed.size() / pixel, packed.data());
        if (!expected.status.ok()) continue;
        const uint8_t* whole = &expected.bytes[y * row_bytes(header)];
        for (size_t x = 0; x < packed.size() / pixel; ++x) {
          const ptrdiff_t from = columns.empty() ? static_cast<ptrdiff_t>(x) : columns[x];
          if (from < 0) continue;
          const uint8_t* right = whole + from * static_cast<ptrdiff_t>(pixel);
          expect(std::equal(right, right + pixel, &packed[x * pixel]), "other wanted pixels");
        }
      }
    }
    expect(!status.ok() || y == height, "rows are missing");
    if (status.ok()) status = decoder.finish();
  }
  decoder.close();
  expect_same_verdict(status, expected.status);
}

// The first bands only; then the verdict, or nothing.
void compare_part(JpegDecoder& decoder, const File& file, const Pixels& expected,
                  Choices& choices) {
  const auto source = file.source();
  JpegHeader header;
  Status status = decoder.open(*source, header);
  RowBand band;
  for (int bands = choices.between(1, 4); bands > 0 && status.ok(); --bands) {
    status = decoder.read(band);
  }
  if (choices.one_in(2)) {
    if (status.ok()) status = decoder.finish();
    expect_same_verdict(status, expected.status);
  }
  decoder.close();
}

void compare_planes(JpegDecoder& decoder, JpegDecoder& libjpeg, JpegDecoder& own_scalar,
                    const File& file, Choices& choices) {
  const bool luma_only = choices.one_in(3);
  std::array<int, 3> halvings = {};
  if (choices.one_in(2)) {
    for (int& times : halvings) times = choices.below(4);
  }
  const Planes expected = decode_planes(libjpeg, file, {}, luma_only);
  const Planes actual = decode_planes(decoder, file, halvings, luma_only);
  expect_same_verdict(actual.status, expected.status);
  if (!expected.status.ok()) return;
  reached();
  expect(actual.restarts <= 1, "begun anew more than once");
  if (halvings == std::array<int, 3>{} || actual.restarts == 1) {
    expect(actual.samples == expected.samples, "other planes");
    return;
  }
  const Planes scalar = decode_planes(own_scalar, file, halvings, luma_only);
  expect_same_verdict(scalar.status, expected.status);
  expect(actual.samples == scalar.samples, "other halved planes");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static JpegDecoder libjpeg(SimdLevel::kScalar, EntropyDecoder::kLibjpeg);
  static JpegDecoder own_scalar(SimdLevel::kScalar, EntropyDecoder::kOwn);
  static std::vector<std::unique_ptr<JpegDecoder>> decoders = [] {
    std::vector<std::unique_ptr<JpegDecoder>> all;
    for (const SimdLevel level : all_levels()) {
      all.push_back(std::make_unique<JpegDecoder>(level, EntropyDecoder::kOwn));
      all.push_back(std::make_unique<JpegDecoder>(level, EntropyDecoder::kLibjpeg));
    }
    return all;
  }();

  Input input(data, size);
  Choices& choices = input.choices;
  const int window = choices.one_in(3) ? choices.between(1, 200) : 0;
  const File file(input.content, static_cast<size_t>(window));
  JpegDecoder& decoder = *decoders[choices.next() % decoders.size()];
  ImageLimits limits;
  if (choices.one_in(8)) limits.scans = choices.between(1, 12);
  for (JpegDecoder* each : {&libjpeg, &own_scalar, &decoder}) each->limit(limits);
  JpegHeader header;
  {
    MemorySource source(file.content());
    const Status status = libjpeg.open(source, header);
    libjpeg.close();
    // What is no header at all is the business of another target.
    if (!status.ok() || int64_t{header.size.width} * header.size.height > kMostPixels) return 0;
  }
  const int way = choices.below(4);
  if (way == 3 && header.planes > 0) {
    compare_planes(decoder, libjpeg, own_scalar, file, choices);
  } else {
    const Pixels expected = decode_rows(libjpeg, file);
    if (way == 1) {
      compare_wanted(decoder, file, expected, choices);
    } else if (way == 2) {
      compare_part(decoder, file, expected, choices);
    } else {
      compare_rows(decoder, file, expected);
    }
  }
  expect_no_failed_check();
  return 0;
}
