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
  const size_t stride = align_up(padded + kRowSlack);
  const int luma_rows = tall_ ? 2 * kGroup : kGroup;
  const size_t rows = 2 * static_cast<size_t>(luma_rows + kGroup + kGroup);
  const size_t sums_bytes = align_up((padded + 2) * sizeof(uint16_t) + kRowSlack);
  const size_t pixel_stride = align_up(static_cast<size_t>(width_) * 4 + kRowSlack);
  // A call of `convert` has at most one group's rows, and two that waited for it.
  const size_t pixel_rows = static_cast<size_t>(luma_rows) + 2;
  uint8_t* memory =
      scratch_.require((rows + 2) * stride + sums_bytes + pixel_rows * pixel_stride);
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
  pixels_ = take(pixel_rows * pixel_stride);
  pixel_stride_ = static_cast<ptrdiff_t>(pixel_stride);
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

bool PlaneReader::read_planes(ScanDecoder& scan, bool samples) {
  std::array<PlaneTarget, 3> targets;
  for (int c = 0; c < count_; ++c) {
    const Plane& plane = planes_[c];
    targets[static_cast<size_t>(c)] = {plane.row(groups_read_ * plane.group_rows), plane.stride};
  }
  if (!scan.decode_group(targets, samples)) return false;
  ++groups_read_;
  return true;
}

bool PlaneReader::next_group_matters(std::span<const uint8_t> wanted) const {
  if (wanted.empty()) return true;
  // Rows just above and below are interpolated from this group's chroma too.
  const int reach = count_ == 3 && tall_ ? 1 : 0;
  const int rows = planes_[0].group_rows;
  const int first = std::max(groups_read_ * rows - reach, 0);
  const int end = std::min((groups_read_ + 1) * rows + reach, height_);
  const auto begin = wanted.begin();
  return std::any_of(begin + first, begin + end, [](uint8_t row) { return row != 0; });
}

void PlaneReader::convert_row(int y, uint8_t* out) {
  const uint8_t* chroma[2];
  for (int c = 0; c < 2; ++c) {
    const Plane& plane = planes_[1 + c];
    if (!tall_) {
      chroma[c] = plane.row(y);
      if (!wide_) continue;
      kernels_.upsample_h2v1(chroma[c], chroma_width_, upsampled_[c]);
    } else {
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
    }
    chroma[c] = upsampled_[c];
  }
  kernels_.color_from_ycc(planes_[0].row(y), chroma[0], chroma[1], width_, out);
}

void PlaneReader::convert(std::span<const uint8_t> wanted, std::vector<const uint8_t*>& rows) {
  rows.clear();
  // A row between two chroma rows waits for the lower one.
  const int chroma_read = std::min(groups_read_ * kGroup, chroma_height_);
  int end = std::min(groups_read_ * planes_[0].group_rows, height_);
  if (count_ == 3 && tall_ && chroma_read < chroma_height_) end = std::min(end, 2 * chroma_read - 1);
  uint8_t* out = pixels_;
  for (; next_row_ < end; ++next_row_) {
    if (!wanted.empty() && wanted[static_cast<size_t>(next_row_)] == 0) {
      rows.push_back(nullptr);
      continue;
    }
    if (count_ == 1) {
      rows.push_back(planes_[0].row(next_row_));
      continue;
    }
    convert_row(next_row_, out);
    rows.push_back(out);
    out += pixel_stride_;
  }
}

}  // namespace pyloader
