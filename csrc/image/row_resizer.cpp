#include "image/row_resizer.h"

#include <algorithm>
#include <cstring>

namespace pyloader {

void RowResizer::begin(const ResizePlan& plan, RowForm form, int dst_channels, RowSink& sink,
                       bool picked) {
  plan_ = &plan;
  sink_ = &sink;
  planes_ = form == RowForm::kPlanes ? 3 : 1;
  src_channels_ = form == RowForm::kColor ? 4 : 1;
  dst_channels_ = dst_channels;
  picked_ = picked;
  blanks_ =
      std::ranges::find_if(plan.columns, [](int32_t x) { return x < 0; }) != plan.columns.end();
  next_in_ = next_out_ = band_count_ = 0;

  const auto segment_of = [](int bytes) {
    return static_cast<ptrdiff_t>(align_up(static_cast<size_t>(bytes) + kRowSlack));
  };
  raw_segment_ = segment_of(plan.source.width * src_channels_);
  out_segment_ = segment_of(plan.target.width * (form == RowForm::kColor ? 4 : 1));
  const bool raw_ring = plan.vertical_first || !plan.horizontal;
  const ptrdiff_t most = planes_ * (raw_ring ? std::max(raw_segment_, out_segment_) : out_segment_);
  ring_stride_ = planes_ * (raw_ring ? raw_segment_ : out_segment_);
  ring_rows_ = plan.vertical ? plan.vertical->max_count + kMaxRows : kMaxRows;

  const size_t ring_bytes = static_cast<size_t>(ring_stride_) * static_cast<size_t>(ring_rows_);
  const auto row_bytes = static_cast<size_t>(most);
  const auto packed_bytes = static_cast<size_t>(segment_of(plan.target.width * 4));
  uint8_t* memory = scratch_.require(ring_bytes + packed_bytes + row_bytes * 2 * kMaxRows);
  ring_ = memory;
  memory += ring_bytes;
  out_row_ = memory;
  memory += packed_bytes;
  for (int r = 0; r < kMaxRows; ++r) {
    const auto at = static_cast<size_t>(r);
    band_in_[at] = memory + row_bytes * at;
    band_out_[at] = memory + row_bytes * (kMaxRows + at);
  }
  if (plan.vertical) window_.resize(static_cast<size_t>(plan.vertical->max_count));
}

void RowResizer::push(const uint8_t* const* rows, int count, ptrdiff_t plane_stride) {
  plane_stride_ = plane_stride;
  if (plan_->kind == ResizePlan::Kind::kFilter && !(plan_->vertical_first && plan_->vertical)) {
    for (int r = 0; r < count; r += kMaxRows) {
      push_horizontal_first(rows + r, std::min(kMaxRows, count - r));
    }
    return;
  }
  for (int r = 0; r < count && !done(); ++r) {
    switch (plan_->kind) {
      case ResizePlan::Kind::kCopy: push_copy(rows[r]); break;
      case ResizePlan::Kind::kNearest: push_nearest(rows[r]); break;
      case ResizePlan::Kind::kFilter: push_vertical_first(rows[r]); break;
    }
  }
}

// A row of the target's width to the sink, in the form that the sink takes. `channels` is what
// pixels of the row have: 4-byte pixels may have lost the fourth.
void RowResizer::emit(const uint8_t* row, ptrdiff_t segment, int channels) {
  const int width = plan_->target.width;
  if (planes_ == 3) {
    kernels_.interleave(row, row + segment, row + 2 * segment, out_row_, width, dst_channels_);
    row = out_row_;
  } else if (channels != dst_channels_) {
    for (int x = 0; x < width; ++x) std::memcpy(out_row_ + 3 * x, row + 4 * x, 4);
    row = out_row_;
  }
  sink_->accept(next_out_++, row);
}

void RowResizer::push_copy(const uint8_t* row) { emit(row, plane_stride_, src_channels_); }

// The plan's columns of a row to `out_row_`, as the sink takes them.
void RowResizer::pick_columns(const uint8_t* row) {
  const auto width = static_cast<size_t>(plan_->target.width);
  const int32_t* columns = plan_->columns.data();
  if (src_channels_ == 4) {
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* pixel = row + ptrdiff_t{4} * std::max(columns[x], 0);
      std::memcpy(out_row_ + x * static_cast<size_t>(dst_channels_), pixel, 4);
    }
    return;
  }
  ptrdiff_t segment = plane_stride_;
  if (!picked_) {
    segment = out_segment_;
    for (int p = 0; p < planes_; ++p, row += plane_stride_) {
      uint8_t* out = band_out_[0] + p * segment;
      for (size_t x = 0; x < width; ++x) out[x] = row[std::max(columns[x], 0)];
    }
    row = band_out_[0];
  }
  if (planes_ == 1) {
    std::memcpy(out_row_, row, width);
  } else {
    kernels_.interleave(row, row + segment, row + 2 * segment, out_row_, plan_->target.width,
                        dst_channels_);
  }
}

void RowResizer::push_nearest(const uint8_t* row) {
  const int y = next_in_++;
  const int height = plan_->target.height;
  const auto pixel_bytes = static_cast<size_t>(dst_channels_);
  const auto wanted = [&] { return plan_->rows[static_cast<size_t>(next_out_)]; };
  if (next_out_ == height || wanted() > y) return;
  pick_columns(row);
  for (size_t x = 0; x < plan_->columns.size() && blanks_; ++x) {
    if (plan_->columns[x] < 0) std::memset(out_row_ + x * pixel_bytes, 0, pixel_bytes);
  }
  while (next_out_ < height && wanted() == y) sink_->accept(next_out_++, out_row_);
  // Rows that rounding pushed out of the image are zero; they can only be the last ones.
  if (next_out_ < height && wanted() < 0) {
    std::memset(out_row_, 0, plan_->columns.size() * pixel_bytes);
    while (next_out_ < height) sink_->accept(next_out_++, out_row_);
  }
}

void RowResizer::run_horizontal(const uint8_t* const* src, ptrdiff_t src_segment,
                                uint8_t* const* dst, int rows) {
  if (src_channels_ == 4) {
    kernels_.horizontal_color(src, dst, rows, *plan_->horizontal, dst_channels_);
    return;
  }
  std::array<const uint8_t*, kMaxPlaneRows> from;
  std::array<uint8_t*, kMaxPlaneRows> to;
  size_t count = 0;
  for (int r = 0; r < rows; ++r) {
    for (int p = 0; p < planes_; ++p, ++count) {
      from[count] = src[r] + p * src_segment;
      to[count] = dst[r] + p * out_segment_;
    }
  }
  kernels_.horizontal_plane(from.data(), to.data(), static_cast<int>(count), *plan_->horizontal);
}

// A row of the source, planes `raw_segment_` apart.
void RowResizer::copy_raw(const uint8_t* row, uint8_t* out) const {
  const auto bytes = static_cast<size_t>(plan_->source.width * src_channels_);
  for (int p = 0; p < planes_; ++p) {
    std::memcpy(out + p * raw_segment_, row + p * plane_stride_, bytes);
  }
}

void RowResizer::push_horizontal_first(const uint8_t* const* rows, int count) {
  // Only rows that an output still needs are worth a pass.
  const int first = std::max(plan_->first_row - next_in_, 0);
  const int end = std::min(plan_->end_row - next_in_, count);
  if (first < end) {
    std::array<uint8_t*, kMaxRows> targets;
    for (int r = first; r < end; ++r)
      targets[static_cast<size_t>(r - first)] = ring_row(next_in_ + r);
    if (plan_->horizontal) {
      run_horizontal(rows + first, plane_stride_, targets.data(), end - first);
    } else {
      for (int r = first; r < end; ++r) copy_raw(rows[r], targets[static_cast<size_t>(r - first)]);
    }
  }
  const int done_before = next_in_;
  next_in_ += count;
  if (plan_->vertical) {
    emit_vertical();
    return;
  }
  for (int r = first; r < end; ++r) emit(ring_row(done_before + r), out_segment_, dst_channels_);
}

void RowResizer::push_vertical_first(const uint8_t* row) {
  const int y = next_in_++;
  if (y < plan_->first_row || y >= plan_->end_row) {
    if (y + 1 >= plan_->end_row) emit_vertical();
    return;
  }
  copy_raw(row, ring_row(y));
  emit_vertical();
}

// Every output row whose source rows are all in the ring.
void RowResizer::emit_vertical() {
  const AxisPlan& vertical = *plan_->vertical;
  const bool then_horizontal = plan_->vertical_first && plan_->horizontal;
  const bool raw = plan_->vertical_first || !plan_->horizontal;
  const ptrdiff_t segment = raw ? raw_segment_ : out_segment_;
  const int channels = raw ? src_channels_ : (src_channels_ == 4 ? dst_channels_ : 1);
  const int width = raw ? plan_->source.width : plan_->target.width;
  // All planes at once, with what lies between them.
  const int bytes = static_cast<int>((planes_ - 1) * segment) + width * channels;
  while (next_out_ + band_count_ < plan_->target.height) {
    const int index = next_out_ + band_count_;
    const int first = vertical.first[static_cast<size_t>(index)];
    const int count = vertical.count[static_cast<size_t>(index)];
    if (first + count > next_in_) break;
    for (int t = 0; t < count; ++t) window_[static_cast<size_t>(t)] = ring_row(first + t);
    uint8_t* row = band_in_[static_cast<size_t>(band_count_)];
    kernels_.vertical(window_.data(), row, bytes, vertical, index);
    if (!then_horizontal) {
      emit(row, segment, channels);
    } else if (++band_count_ == kMaxRows) {
      flush_band();
    }
  }
  if (next_in_ >= plan_->end_row) flush_band();
}

void RowResizer::flush_band() {
  if (band_count_ == 0) return;
  run_horizontal(band_in_.data(), raw_segment_, band_out_.data(), band_count_);
  const int count = band_count_;
  band_count_ = 0;
  for (int r = 0; r < count; ++r) {
    emit(band_out_[static_cast<size_t>(r)], out_segment_, dst_channels_);
  }
}

}  // namespace pyloader
