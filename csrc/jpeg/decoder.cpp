#include "jpeg/decoder.h"

#include <new>
#include <string>
#include <vector>

#include "jpeg/libjpeg.h"
#include "jpeg/plane_reader.h"

#if !defined(LIBJPEG_TURBO_VERSION)
#error "pyloader needs libjpeg-turbo; this jpeglib.h is another libjpeg"
#endif

namespace pyloader {
namespace {

constexpr int kBandRows = 16;

// Coefficients of this many bytes are held only for files that can fill them.
constexpr uint64_t kUnquestionedCoefficients = uint64_t{64} << 20;

Status truncated(const ByteSource& source) {
  if (Status status = source.status(); !status.ok()) return status;
  return {StatusCode::kBadImage, "the file is truncated"};
}

Status damaged(const LibjpegErrors& errors) {
  return {StatusCode::kBadImage, std::string("damaged JPEG data: ") + errors.message};
}

// Progressive and multi-scan files make libjpeg hold every coefficient. A complete one spends at
// least a bit on every block; a header that promises far more than its file has is an attack.
bool promises_too_much(const jpeg_decompress_struct& info, uint64_t file_bytes) {
  const bool multi_scan =
      info.progressive_mode || info.comps_in_scan < info.num_components;
  if (!multi_scan) return false;
  uint64_t blocks = 0;
  for (int c = 0; c < info.num_components; ++c) {
    blocks += uint64_t{info.comp_info[c].width_in_blocks} * info.comp_info[c].height_in_blocks;
  }
  return blocks * DCTSIZE2 * sizeof(JCOEF) > kUnquestionedCoefficients && file_bytes < blocks / 8;
}

}  // namespace

struct JpegDecoder::State {
  explicit State(SimdLevel level) : planes(level) {}

  jpeg_decompress_struct info = {};
  LibjpegErrors errors = {};
  LibjpegSource source = {};
  bool created = false;
  bool started = false;
  bool use_planes = false;
  std::span<const uint8_t> wanted;
  PlaneReader planes;
  Scratch scanlines;
  std::vector<uint8_t*> scanline_rows;
  std::vector<const uint8_t*> rows;

  Status read_header(ByteSource& bytes, JpegHeader& header);
  Status choose_output(const ByteSource& bytes, JpegHeader& header);
  Status start();
  Status read_from_planes();
  Status read_scanlines();
  Status skip_planes();
  Status skip_scanlines();
};

bool looks_like_jpeg(std::span<const uint8_t> content) {
  return content.size() >= 3 && content[0] == 0xFF && content[1] == 0xD8 && content[2] == 0xFF;
}

#define PYLOADER_QUOTE(x) #x
#define PYLOADER_STRING(x) PYLOADER_QUOTE(x)
const char* libjpeg_turbo_version() { return PYLOADER_STRING(LIBJPEG_TURBO_VERSION); }

JpegDecoder::JpegDecoder(SimdLevel level) : state_(std::make_unique<State>(level)) {}

JpegDecoder::~JpegDecoder() { close(); }

void JpegDecoder::close() {
  State& s = *state_;
  if (s.created) jpeg_destroy_decompress(&s.info);
  s.created = s.started = false;
  s.planes.trim();
  s.scanlines.shrink_to(kKeptScratch);
}

Status JpegDecoder::open(ByteSource& source, JpegHeader& header) {
  close();
  state_->wanted = {};
  Status status = state_->read_header(source, header);
  if (status.ok()) status = state_->choose_output(source, header);
  return status;
}

Status JpegDecoder::State::read_header(ByteSource& bytes, JpegHeader& header) {
  info.err = init_errors(errors);
  // A fresh decompressor for every file: tables of one file must never decode another.
  int result = JPEG_SUSPENDED;
  auto step = [&] {
    jpeg_create_decompress(&info);
    created = true;
    init_source(source, bytes);
    info.src = &source.manager;
    do {
      result = jpeg_read_header(&info, FALSE);
    } while (result == JPEG_HEADER_TABLES_ONLY);
  };
  if (!guarded(errors, step)) return damaged(errors);
  if (result == JPEG_SUSPENDED) return truncated(bytes);
  header.size = {static_cast<int>(info.image_width), static_cast<int>(info.image_height)};
  return {};
}

Status JpegDecoder::State::choose_output(const ByteSource& bytes, JpegHeader& header) {
  const std::string size =
      std::to_string(info.image_width) + " x " + std::to_string(info.image_height);
  if (int64_t{header.size.width} * header.size.height > kMaxPixels) {
    return {StatusCode::kTooLarge, "its " + size + " pixels exceed the limit of " +
                                       std::to_string(kMaxPixels)};
  }
  if (promises_too_much(info, bytes.size())) {
    return {StatusCode::kBadImage, "it holds far too little data for its " + size + " pixels"};
  }
  if (info.data_precision != 8) {
    return {StatusCode::kBadImage,
            "JPEGs of " + std::to_string(info.data_precision) + " bits per sample are not supported"};
  }
  switch (info.num_components) {
    case 1:
      header.pixels = JpegPixels::kGray;
      info.out_color_space = JCS_GRAYSCALE;
      break;
    case 3:
      header.pixels = JpegPixels::kColor;
      info.out_color_space = JCS_EXT_RGBA;
      break;
    case 4:
      header.pixels = JpegPixels::kInvertedCmyk;
      info.out_color_space = JCS_CMYK;
      break;
    default:
      return {StatusCode::kBadImage, "JPEGs of " + std::to_string(info.num_components) +
                                         " components are not supported"};
  }
  use_planes = PlaneReader::supports(info);
  return {};
}

Status JpegDecoder::State::start() {
  if (use_planes) {
    planes.begin(info);
  } else {
    const size_t bytes_per_pixel = info.num_components == 1 ? 1 : 4;
    const size_t stride = align_up(info.image_width * bytes_per_pixel + kRowSlack);
    uint8_t* memory = scanlines.require(stride * kBandRows);
    scanline_rows.resize(kBandRows);
    for (uint8_t*& row : scanline_rows) {
      row = memory;
      memory += stride;
    }
  }
  bool enough = false;
  auto step = [&] { enough = jpeg_start_decompress(&info) != FALSE; };
  if (!guarded(errors, step)) return damaged(errors);
  if (!enough) return truncated(*source.bytes);
  started = true;
  return {};
}

Status JpegDecoder::State::read_from_planes() {
  rows.clear();
  while (rows.empty() && !planes.done()) {
    bool progress = false;
    auto step = [&] { progress = planes.read_planes(info); };
    if (!guarded(errors, step)) return damaged(errors);
    if (!progress) return truncated(*source.bytes);
    planes.convert(wanted, rows);
  }
  return {};
}

Status JpegDecoder::State::read_scanlines() {
  int count = 0;
  bool progress = true;
  auto step = [&] {
    while (progress && count < kBandRows && info.output_scanline < info.output_height) {
      const JDIMENSION got = jpeg_read_scanlines(&info, scanline_rows.data() + count,
                                                 static_cast<JDIMENSION>(kBandRows - count));
      progress = got > 0;
      count += static_cast<int>(got);
    }
  };
  if (!guarded(errors, step)) return damaged(errors);
  if (!progress) return truncated(*source.bytes);
  rows.assign(scanline_rows.begin(), scanline_rows.begin() + count);
  return {};
}

Status JpegDecoder::read(RowBand& band) {
  State& s = *state_;
  band = {};
  if (!s.started) {
    if (Status status = s.start(); !status.ok()) return status;
  }
  if (Status status = s.use_planes ? s.read_from_planes() : s.read_scanlines(); !status.ok()) {
    return status;
  }
  band = {s.rows.data(), static_cast<int>(s.rows.size())};
  return {};
}

void JpegDecoder::want(std::span<const uint8_t> rows) { state_->wanted = rows; }

Status JpegDecoder::State::skip_planes() {
  while (!planes.all_read()) {
    bool progress = false;
    auto step = [&] { progress = planes.read_planes(info); };
    if (!guarded(errors, step)) return damaged(errors);
    if (!progress) return truncated(*source.bytes);
  }
  return {};
}

Status JpegDecoder::State::skip_scanlines() {
  do {
    if (Status status = read_scanlines(); !status.ok()) return status;
  } while (!rows.empty());
  return {};
}

Status JpegDecoder::finish() {
  State& s = *state_;
  if (Status status = s.use_planes ? s.skip_planes() : s.skip_scanlines(); !status.ok()) {
    return status;
  }
  // A file that ends right after its last row is accepted: the result is not looked at.
  auto step = [&] { (void)jpeg_finish_decompress(&s.info); };
  if (!guarded(s.errors, step)) return damaged(s.errors);
  return {};
}

}  // namespace pyloader
