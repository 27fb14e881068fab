#include "jpeg/decoder.h"

#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jpeg/libjpeg.h"
#include "jpeg/memory_needed.h"
#include "jpeg/plane_reader.h"
#include "jpeg/smoothing.h"
#include "jpeg/verdicts.h"

#if !defined(LIBJPEG_TURBO_VERSION)
#error "pyloader needs libjpeg-turbo; this jpeglib.h is another libjpeg"
#endif

namespace pyloader {
namespace {

constexpr int kBandRows = 16;

// What the planes' memory depends on.
struct Frame {
  Size size;
  int components = 0;
  int h = 0, v = 0;
  friend bool operator==(const Frame&, const Frame&) = default;
};

Frame frame_of(const jpeg_decompress_struct& info) {
  return {.size = {static_cast<int>(info.image_width), static_cast<int>(info.image_height)},
          .components = info.num_components,
          .h = info.max_h_samp_factor,
          .v = info.max_v_samp_factor};
}

}  // namespace

struct JpegDecoder::State {
  State(SimdLevel level, EntropyDecoder wanted_entropy)
      : entropy(wanted_entropy), planes(level), scan(level) {}

  const EntropyDecoder entropy;
  ImageLimits limits;

  jpeg_decompress_struct info = {};
  LibjpegErrors errors = {};
  LibjpegSource source = {};
  ScanLimit scan_limit = {};
  bool started = false;
  Frame frame;
  bool use_planes = false;
  bool use_scan = false;  // our own decoder reads the planes; libjpeg has not started
  bool luma_only = false;
  bool restarted = false;  // since the last band of planes
  std::array<std::vector<const uint8_t*>, 3> plane_rows;
  PlaneReader planes;
  ScanDecoder scan;
  Scratch scanlines;
  std::vector<uint8_t*> scanline_rows;
  std::vector<const uint8_t*> rows;

  // Note [smoothing]: tried for this file, and what came of it.
  bool smoothing_done = false;
  SmoothedFile smoothed;
  std::optional<MemorySource> smoothed_bytes;

  Status read_header(ByteSource& bytes, JpegHeader& header);
  Status choose_output(const ByteSource& bytes, JpegHeader& header);
  Status start();
  Status start_libjpeg();
  Status restart_smoothed();
  Status hand_over();
  void restart_planes();
  Status read_group(bool samples);
  Status read_from_planes();
  Status read_scanlines();
  Status skip_planes();
  Status skip_scanlines();
};

bool looks_like_jpeg(std::span<const uint8_t> content) {
  return content.size() >= 3 && content[0] == 0xFF && content[1] == 0xD8 && content[2] == 0xFF;
}

JpegDecoder::JpegDecoder(SimdLevel level, EntropyDecoder entropy)
    : state_(std::make_unique<State>(level, entropy)) {}

JpegDecoder::~JpegDecoder() { close(); }

void JpegDecoder::close() {
  State& s = *state_;
  jpeg_destroy_decompress(&s.info);  // does nothing the second time
  s.started = s.use_scan = s.smoothing_done = false;
  s.smoothed_bytes.reset();
  s.smoothed = {};
  s.planes.trim();
  s.scanlines.shrink_to(kKeptScratch);
}

void JpegDecoder::limit(const ImageLimits& limits) { state_->limits = limits; }

uint64_t JpegDecoder::memory_needed() const { return pyloader::memory_needed(state_->info); }

Status JpegDecoder::open(ByteSource& source, JpegHeader& header) {
  close();
  state_->planes.want({}, {});
  Status status = state_->read_header(source, header);
  if (status.ok()) status = state_->choose_output(source, header);
  return status;
}

Status JpegDecoder::State::read_header(ByteSource& bytes, JpegHeader& header) {
  info.err = init_errors(errors);
  // A fresh decompressor for every file: tables of one file must never decode another.
  int result = JPEG_SUSPENDED;
  auto step = [&] { result = open_image(info, source, scan_limit, limits.scans, bytes); };
  if (!guarded(errors, step)) return damaged(errors, limits);
  if (result == JPEG_SUSPENDED) return truncated(bytes);
  header.size = {static_cast<int>(info.image_width), static_cast<int>(info.image_height)};
  return {};
}

Status JpegDecoder::State::choose_output(const ByteSource& bytes, JpegHeader& header) {
  const std::string size =
      std::to_string(info.image_width) + " x " + std::to_string(info.image_height);
  if (int64_t{header.size.width} * header.size.height > limits.pixels) {
    return {StatusCode::kTooLarge, "its " + size + " pixels exceed the limit of " +
                                       std::to_string(limits.pixels) + " (max_pixels)"};
  }
  if (promises_too_much(info, bytes.size())) {
    return {StatusCode::kBadImage, "it holds far too little data for its " + size + " pixels"};
  }
  if (info.data_precision != 8) {
    return {StatusCode::kBadImage, "JPEGs of " + std::to_string(info.data_precision) +
                                       " bits per sample are not supported"};
  }
  switch (info.num_components) {
    case 1:
      header.pixels = JpegPixels::kGray;
      info.out_color_space = JCS_GRAYSCALE;
      break;
    case 3:
      header.pixels = JpegPixels::kColor;  // or planes
      info.out_color_space = JCS_EXT_RGBA;
      break;
    case 4:
      header.pixels = JpegPixels::kInvertedCmyk;
      info.out_color_space = JCS_CMYK;
      break;
    default:
      return {StatusCode::kBadImage,
              "JPEGs of " + std::to_string(info.num_components) + " components are not supported"};
  }
  use_planes = PlaneReader::supports(info);
  if (use_planes && info.num_components == 3) header.pixels = JpegPixels::kPlanes;
  header.picks_columns = use_planes;
  header.planes = use_planes ? info.num_components : 0;
  if (header.planes == 3) {
    header.chroma_halvings_x = info.max_h_samp_factor - 1;
    header.chroma_halvings_y = info.max_v_samp_factor - 1;
  }
  frame = frame_of(info);
  return {};
}

Status JpegDecoder::State::start() {
  if (use_planes) {
    planes.begin(info);
    if (entropy == EntropyDecoder::kOwn) {
      const jpeg_source_mgr& at = source.manager;
      use_scan = scan.begin(info, *source.bytes, {at.next_input_byte, at.bytes_in_buffer});
    }
    // Reading tables takes no bytes, and a scan that is refused was not begun.
    if (use_scan) {
      started = true;
      return {};
    }
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
  return start_libjpeg();
}

Status JpegDecoder::State::start_libjpeg() {
  bool enough = false;
  auto step = [&] { enough = jpeg_start_decompress(&info) != FALSE; };
  if (!guarded(errors, step)) return damaged(errors, limits);
  if (!enough) return truncated(*source.bytes);
  started = true;
  if (!smoothing_done && smooths_like_old_libjpeg(info)) return restart_smoothed();
  return {};
}

// From a file made anew, or where there is none, from the old one and as it is smoothed here.
Status JpegDecoder::State::restart_smoothed() {
  smoothing_done = true;
  jpeg_destroy_decompress(&info);
  started = false;
  ByteSource* bytes = source.bytes;
  smoothed = smooth_anew(*bytes, frame.size, limits);
  if (smoothed.data) {
    bytes = &smoothed_bytes.emplace(smoothed.content());
  } else if (!bytes->rewind()) {
    return not_read_again(*bytes);
  }
  const Frame before = frame;
  JpegHeader header;
  if (Status status = read_header(*bytes, header); !status.ok()) return status;
  if (Status status = choose_output(*bytes, header); !status.ok()) return status;
  if (!(frame == before)) return {StatusCode::kReadFailed, "it changed while it was read"};
  if (use_planes) planes.begin(info);
  return start_libjpeg();
}

// Note [handing over]: what our own decoder refuses, libjpeg decodes from the file's beginning, up
// to where we were. The rows that were passed on already are libjpeg's too: they lie before the
// point where ours gave up.
Status JpegDecoder::State::hand_over() {
  ByteSource& bytes = *source.bytes;
  const int groups = planes.gives_planes() ? 0 : planes.groups_read();
  const int next_row = planes.next_row();
  restart_planes();
  use_scan = false;
  jpeg_destroy_decompress(&info);
  started = false;
  if (!bytes.rewind()) return not_read_again(bytes);
  const Frame before = frame;
  JpegHeader header;
  if (Status status = read_header(bytes, header); !status.ok()) return status;
  if (Status status = choose_output(bytes, header); !status.ok()) return status;
  if (!use_planes || !(frame == before)) {
    return {StatusCode::kReadFailed, "it changed while it was read"};
  }
  planes.begin(info);
  if (Status status = start_libjpeg(); !status.ok()) return status;
  while (planes.groups_read() < groups) {
    if (Status status = read_group(false); !status.ok()) return status;
  }
  planes.resume(next_row);
  return {};
}

// Planes that only our own decoder can halve are given up.
void JpegDecoder::State::restart_planes() {
  if (!planes.gives_planes()) return;
  restarted = true;
  planes.want_planes({}, luma_only);
}

Status JpegDecoder::State::read_group(bool samples) {
  if (use_scan) {
    if (planes.read_planes(scan, samples)) return {};
    if (Status status = hand_over(); !status.ok()) return status;
  }
  bool progress = false;
  auto step = [&] { progress = planes.read_planes(info); };
  if (!guarded(errors, step)) return damaged(errors, limits);
  if (!progress) return truncated(*source.bytes);
  return {};
}

Status JpegDecoder::State::read_from_planes() {
  rows.clear();
  while (rows.empty() && !planes.done()) {
    if (Status status = read_group(planes.next_group_matters()); !status.ok()) return status;
    planes.convert(rows);
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
  if (!guarded(errors, step)) return damaged(errors, limits);
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
  band = {.rows = s.rows.data(),
          .count = static_cast<int>(s.rows.size()),
          .plane_stride = s.use_planes ? s.planes.plane_stride() : 0};
  return {};
}

void JpegDecoder::want_planes(const std::array<int, 3>& halvings, bool luma_only) {
  State& s = *state_;
  s.luma_only = luma_only;
  s.restarted = false;
  s.planes.want_planes(halvings, luma_only);
}

Status JpegDecoder::read_planes(PlaneBand& band) {
  State& s = *state_;
  band = {};
  if (!s.started) {
    if (Status status = s.start(); !status.ok()) return status;
    if (!s.use_scan && s.planes.halves()) s.restart_planes();
  }
  if (Status status = s.read_group(true); !status.ok()) return status;
  const int count = s.luma_only ? 1 : s.info.num_components;
  for (size_t c = 0; c < static_cast<size_t>(count); ++c) {
    s.planes.take_rows(static_cast<int>(c), s.plane_rows[c]);
    band.planes[c] = {.rows = s.plane_rows[c].data(),
                      .count = static_cast<int>(s.plane_rows[c].size())};
  }
  band.last = s.planes.all_read();
  band.restarted = std::exchange(s.restarted, false);
  return {};
}

void JpegDecoder::convert_to_rgb(const uint8_t* const* ycc, int width, uint8_t* const* rgb) const {
  state_->planes.convert_to_rgb(ycc, width, rgb);
}

EntropyDecoder JpegDecoder::decoded_by() const {
  return state_->use_scan ? EntropyDecoder::kOwn : EntropyDecoder::kLibjpeg;
}

void JpegDecoder::want(std::span<const uint8_t> rows, std::span<const int32_t> columns) {
  state_->planes.want(rows, columns);
}

Status JpegDecoder::State::skip_planes() {
  while (!planes.all_read()) {
    if (Status status = read_group(false); !status.ok()) return status;
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
  if (s.use_scan) {
    if (s.scan.ended_cleanly()) return {};
    if (Status status = s.hand_over(); !status.ok()) return status;
    if (Status status = s.skip_planes(); !status.ok()) return status;
  }
  // A file that ends right after its last row is accepted: the result is not looked at.
  end_at_block(s.source);
  auto step = [&] { (void)jpeg_finish_decompress(&s.info); };
  if (!guarded(s.errors, step)) return damaged(s.errors, s.limits);
  // Newer libjpegs, Pillow's too, refuse a second frame by its marker; older ones read its header
  // first, and wait for what is missing of it.
  if (begins_frame(s.info.unread_marker)) return {StatusCode::kBadImage, "it has a second frame"};
  return {};
}

}  // namespace pyloader
