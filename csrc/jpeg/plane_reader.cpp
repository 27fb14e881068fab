#include "jpeg/plane_reader.h"

#include <algorithm>
#include <array>

#include "base/pixels.h"

namespace pyloader {
namespace {

constexpr int kGroup = DCTSIZE;

int half_up(int value) { return (value + 1) / 2; }

}  // namespace

bool PlaneReader::supports(const jpeg_decompress_struct& info) {
  if (info.num_components == 1) {
    return info.jpeg_color_space == JCS_GRAYSCALE && info.max_v_samp_factor <= 2;
  }
  if (info.num_components != 3 || info.jpeg_color_space != JCS_YCbCr) return false;
  const jpeg_component_info* parts = info.comp_info;
  const int wide = parts[0].h_samp_factor, tall = parts[0].v_samp_factor;
  if (wide > 2 || tall > 2) return false;
  for (int c = 1; c < 3; ++c) {
    if (parts[c].h_samp_factor != 1 || parts[c].v_samp_factor != 1) return false;
  }
  // libjpeg upsamples very narrow images without interpolation.
  return wide == 1 || info.image_width > 4;
}

void PlaneReader::want(std::span<const uint8_t> rows, std::span<const int32_t> columns) {
  wanted_rows_ = rows;
  picks_.set(columns);
  gives_planes_ = luma_only_ = false;
  halvings_ = {};
}

void PlaneReader::want_planes(const std::array<int, 3>& halvings, bool luma_only) {
  want({}, {});
  gives_planes_ = true;
  halvings_ = halvings;
  luma_only_ = luma_only;
}

void PlaneReader::begin(jpeg_decompress_struct& info) {
  info.raw_data_out = TRUE;
  width_ = static_cast<int>(info.image_width);
  height_ = static_cast<int>(info.image_height);
  count_ = info.num_components;
  wide_ = count_ == 3 && info.comp_info[0].h_samp_factor == 2;
  tall_ = info.comp_info[0].v_samp_factor == 2;
  chroma_width_ = wide_ ? half_up(width_) : width_;
  chroma_height_ = tall_ ? half_up(height_) : height_;
  groups_read_ = 0;
  next_row_ = 0;

  // libjpeg writes whole blocks, up to a whole MCU.
  const auto padded = static_cast<size_t>(width_) + 2 * kGroup;
  const size_t stride = align_up(padded + kPickSlack);
  const int luma_rows = tall_ ? 2 * kGroup : kGroup;
  const size_t rows = 2 * static_cast<size_t>(luma_rows + kGroup + kGroup);
  const size_t sums_bytes = align_up((padded + 2) * sizeof(uint16_t) + kRowSlack);
  const size_t pixels = picks_.empty() ? static_cast<size_t>(width_) : picks_.columns().size();
  const size_t plane_stride = align_up(pixels + kRowSlack);
  // A call of `convert` has at most one group's rows, and two that waited for it.
  const size_t pixel_rows = static_cast<size_t>(luma_rows) + 2;
  uint8_t* memory =
      scratch_.require((rows + 2) * stride + sums_bytes + pixel_rows * 3 * plane_stride);
  const auto take = [&memory](size_t bytes) {
    uint8_t* taken = memory;
    memory += bytes;
    return taken;
  };
  for (int c = 0; c < 3; ++c) {
    const int group_rows = c == 0 ? luma_rows : kGroup;
    planes_[c].group_rows = group_rows;
    planes_[c].stride = static_cast<ptrdiff_t>(stride);
    planes_[c].data = take(2 * static_cast<size_t>(group_rows) * stride);
  }
  for (uint8_t*& row : upsampled_) row = take(stride);
  sums_ = reinterpret_cast<uint16_t*>(take(sums_bytes));
  pixels_ = take(pixel_rows * 3 * plane_stride);
  plane_stride_ = static_cast<ptrdiff_t>(plane_stride);
  choose_blocks();
}

// Columns of blocks that no wanted pixel depends on are left out.
void PlaneReader::choose_blocks() {
  // Hardly a block lies between columns that are as close as this.
  const bool leaves_blocks_out =
      !picks_.empty() && picks_.columns().size() * kGroup < static_cast<size_t>(width_);
  for (int c = 0; c < count_; ++c) {
    Plane& plane = planes_[c];
    plane.wanted_columns.clear();
    if (!leaves_blocks_out) continue;
    const bool halved = c > 0 && wide_;
    const int width = halved ? chroma_width_ : width_;
    const int reach = halved ? 1 : 0;  // neighbours that are interpolated from
    plane.wanted_columns.assign(static_cast<size_t>((width + kGroup - 1) / kGroup), 0);
    for (const int32_t column : picks_.columns()) {
      const int at = halved ? column / 2 : column;
      for (const int x : {at - reach, at, at + reach}) {
        plane.wanted_columns[static_cast<size_t>(std::clamp(x, 0, width - 1) / kGroup)] = 1;
      }
    }
    const auto& wanted = plane.wanted_columns;
    if (std::find(wanted.begin(), wanted.end(), 0) == wanted.end()) plane.wanted_columns.clear();
  }
}

bool PlaneReader::read_planes(jpeg_decompress_struct& info) {
  JSAMPROW rows[3][2 * kGroup];
  JSAMPARRAY planes[3] = {rows[0], rows[1], rows[2]};
  for (int c = 0; c < count_; ++c) {
    const int group_rows = planes_[c].group_rows;
    for (int r = 0; r < group_rows; ++r) rows[c][r] = planes_[c].row(groups_read_ * group_rows + r);
  }
  const auto wanted = static_cast<JDIMENSION>(planes_[0].group_rows);
  if (jpeg_read_raw_data(&info, planes, wanted) == 0) return false;
  ++groups_read_;
  return true;
}

bool PlaneReader::wants_any(int first_row, int end_row) const {
  if (wanted_rows_.empty()) return true;
  const auto begin = wanted_rows_.begin();
  const auto is_wanted = [](uint8_t row) { return row != 0; };
  return std::any_of(begin + std::clamp(first_row, 0, height_),
                     begin + std::clamp(end_row, 0, height_), is_wanted);
}

// The next group's rows of blocks that wanted rows depend on, a bit each.
unsigned PlaneReader::wanted_block_rows(const Plane& plane) const {
  const int halved = planes_[0].group_rows / plane.group_rows;  // 1 or 2 rows of pixels per sample
  const int reach = count_ == 3 && tall_ && halved == 2 ? 1 : 0;
  unsigned wanted = 0;
  for (int b = 0; b < plane.group_rows / kGroup; ++b) {
    const int first = (groups_read_ * plane.group_rows + b * kGroup) * halved;
    if (wants_any(first - reach, first + kGroup * halved + reach)) wanted |= 1u << b;
  }
  return wanted;
}

bool PlaneReader::read_planes(ScanDecoder& scan, bool samples) {
  std::array<PlaneTarget, 3> targets;
  for (int c = 0; c < count_ && samples; ++c) {
    const Plane& plane = planes_[c];
    targets[static_cast<size_t>(c)] = {
        .data = plane.row(groups_read_ * plane.group_rows),
        .stride = plane.stride,
        .halvings = halvings_[static_cast<size_t>(c)],
        .wanted_rows = c > 0 && luma_only_ ? 0 : wanted_block_rows(plane),
        .wanted_columns = plane.wanted_columns.empty() ? nullptr : plane.wanted_columns.data()};
  }
  if (!scan.decode_group(targets, samples)) return false;
  ++groups_read_;
  return true;
}

void PlaneReader::take_rows(int c, std::vector<const uint8_t*>& rows) const {
  rows.clear();
  const Plane& plane = planes_[c];
  const int halvings = halvings_[static_cast<size_t>(c)];
  const int height = c == 0 ? height_ : chroma_height_;
  const int plane_height = (height + (1 << halvings) - 1) >> halvings;
  const int group_rows = plane.group_rows >> halvings, first = (groups_read_ - 1) * group_rows;
  const uint8_t* row = plane.row((groups_read_ - 1) * plane.group_rows);
  for (int r = 0; r < std::min(group_rows, plane_height - first); ++r, row += plane.stride) {
    rows.push_back(row);
  }
}

bool PlaneReader::next_group_matters() const {
  // Rows just above and below are interpolated from this group's chroma too.
  const int reach = count_ == 3 && tall_ ? 1 : 0;
  const int rows = planes_[0].group_rows;
  return wants_any(groups_read_ * rows - reach, (groups_read_ + 1) * rows + reach);
}

// The chroma samples of row y, one per pixel.
const uint8_t* PlaneReader::upsampled_chroma(int c, int y) {
  const Plane& plane = planes_[1 + c];
  if (!tall_) {
    if (!wide_) return plane.row(y);
    kernels_.upsample_h2v1(plane.row(y), chroma_width_, upsampled_[c]);
    return upsampled_[c];
  }
  // The nearer chroma row weighs 3, the next one on the other side 1; edges repeat.
  const int near_y = y / 2;
  const bool upper = y % 2 == 0;
  const int far_y = std::clamp(near_y + (upper ? -1 : 1), 0, chroma_height_ - 1);
  const uint8_t *near = plane.row(near_y), *far = plane.row(far_y);
  if (wide_) {
    kernels_.upsample_h2v2(near, far, chroma_width_, sums_, upsampled_[c]);
  } else {
    kernels_.upsample_h1v2(near, far, chroma_width_, upper ? 1 : 2, upsampled_[c]);
  }
  return upsampled_[c];
}

void PlaneReader::convert_row(int y, uint8_t* out) {
  uint8_t* const rgb[] = {out, out + plane_stride_, out + 2 * plane_stride_};
  const uint8_t* ycc[] = {planes_[0].row(y), upsampled_chroma(0, y), upsampled_chroma(1, y)};
  int width = width_;
  if (!picks_.empty()) {
    width = static_cast<int>(picks_.columns().size());
    for (int c = 0; c < 3; ++c) {
      kernels_.pick(ycc[c], picks_, rgb[c]);
      ycc[c] = rgb[c];
    }
  }
  kernels_.color_from_ycc(ycc[0], ycc[1], ycc[2], width, rgb);
}

void PlaneReader::convert(std::vector<const uint8_t*>& rows) {
  rows.clear();
  // A row between two chroma rows waits for the lower one.
  const int chroma_read = std::min(groups_read_ * kGroup, chroma_height_);
  int end = std::min(groups_read_ * planes_[0].group_rows, height_);
  if (count_ == 3 && tall_ && chroma_read < chroma_height_)
    end = std::min(end, 2 * chroma_read - 1);
  uint8_t* out = pixels_;
  for (; next_row_ < end; ++next_row_) {
    if (!wanted_rows_.empty() && wanted_rows_[static_cast<size_t>(next_row_)] == 0) {
      rows.push_back(nullptr);
      continue;
    }
    if (count_ == 1 && picks_.empty()) {
      rows.push_back(planes_[0].row(next_row_));
      continue;
    }
    if (count_ == 1) {
      kernels_.pick(planes_[0].row(next_row_), picks_, out);
    } else {
      convert_row(next_row_, out);
    }
    rows.push_back(out);
    out += 3 * plane_stride_;
  }
}

}  // namespace pyloader
