#include "image/row_resizer.h"

#include <algorithm>
#include <cstring>

namespace pyloader {

void RowResizer::begin(const ResizePlan& plan, int src_channels, int dst_channels, RowSink& sink) {
  plan_ = &plan;
  sink_ = &sink;
  src_channels_ = src_channels;
  dst_channels_ = dst_channels;
  next_in_ = next_out_ = band_count_ = 0;

  const bool raw_ring = plan.vertical_first || !plan.horizontal;
  const int ring_width = raw_ring ? plan.source.width * src_channels
                                  : plan.target.width * dst_channels;
  const int out_width = std::max(plan.target.width * 4, raw_ring ? ring_width : 0);
  ring_stride_ = static_cast<ptrdiff_t>(align_up(static_cast<size_t>(ring_width) + kRowSlack));
  const size_t out_stride = align_up(static_cast<size_t>(out_width) + kRowSlack);
  ring_rows_ = plan.vertical ? plan.vertical->max_count + kMaxRows : kMaxRows;

  const size_t ring_bytes = static_cast<size_t>(ring_stride_) * static_cast<size_t>(ring_rows_);
  uint8_t* memory = scratch_.require(ring_bytes + out_stride * (1 + 2 * kMaxRows));
  ring_ = memory;
  memory += ring_bytes;
  out_row_ = memory;
  for (int r = 0; r < kMaxRows; ++r) {
    const auto at = static_cast<size_t>(r);
    band_in_[at] = memory + out_stride * (1 + at);
    band_out_[at] = memory + out_stride * (1 + kMaxRows + at);
  }
  if (plan.vertical) window_.resize(static_cast<size_t>(plan.vertical->max_count));
}

void RowResizer::push(const uint8_t* const* rows, int count) {
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

// A row of source pixels to the sink: colour without its fourth byte where three are asked for.
void RowResizer::emit_packed(const uint8_t* row) {
  if (src_channels_ == dst_channels_) return emit(row);
  for (int x = 0; x < plan_->target.width; ++x) std::memcpy(out_row_ + 3 * x, row + 4 * x, 4);
  emit(out_row_);
}

void RowResizer::push_copy(const uint8_t* row) { emit_packed(row); }

void RowResizer::push_nearest(const uint8_t* row) {
  const int y = next_in_++;
  const int height = plan_->target.height;
  const auto wanted = [&] { return plan_->rows[static_cast<size_t>(next_out_)]; };
  if (next_out_ == height || wanted() > y) return;
  const int width = plan_->target.width;
  const int32_t* columns = plan_->columns.data();
  if (src_channels_ == 1) {
    for (int x = 0; x < width; ++x) out_row_[x] = columns[x] < 0 ? uint8_t{0} : row[columns[x]];
  } else {
    for (int x = 0; x < width; ++x) {
      uint32_t pixel = 0;
      if (columns[x] >= 0) std::memcpy(&pixel, row + ptrdiff_t{4} * columns[x], 4);
      std::memcpy(out_row_ + x * dst_channels_, &pixel, 4);
    }
  }
  while (next_out_ < height && wanted() == y) emit(out_row_);
  // Rows that rounding pushed out of the image are zero; they can only be the last ones.
  if (next_out_ < height && wanted() < 0) {
    std::memset(out_row_, 0, static_cast<size_t>(width * dst_channels_));
    while (next_out_ < height) emit(out_row_);
  }
}

void RowResizer::run_horizontal(const uint8_t* const* src, uint8_t* const* dst, int rows) {
  if (src_channels_ == 1) {
    kernels_.horizontal_gray(src, dst, rows, *plan_->horizontal);
  } else {
    kernels_.horizontal_color(src, dst, rows, *plan_->horizontal, dst_channels_);
  }
}

void RowResizer::push_horizontal_first(const uint8_t* const* rows, int count) {
  // Only rows that an output still needs are worth a pass.
  const int first = std::max(plan_->first_row - next_in_, 0);
  const int end = std::min(plan_->end_row - next_in_, count);
  if (first < end) {
    std::array<uint8_t*, kMaxRows> targets;
    for (int r = first; r < end; ++r) targets[static_cast<size_t>(r - first)] = ring_row(next_in_ + r);
    if (plan_->horizontal) {
      run_horizontal(rows + first, targets.data(), end - first);
    } else {
      const auto bytes = static_cast<size_t>(plan_->source.width * src_channels_);
      for (int r = first; r < end; ++r) {
        std::memcpy(targets[static_cast<size_t>(r - first)], rows[r], bytes);
      }
    }
  }
  const int done_before = next_in_;
  next_in_ += count;
  if (plan_->vertical) {
    emit_vertical();
    return;
  }
  for (int r = first; r < end; ++r) emit(ring_row(done_before + r));
}

void RowResizer::push_vertical_first(const uint8_t* row) {
  const int y = next_in_++;
  if (y < plan_->first_row || y >= plan_->end_row) {
    if (y + 1 >= plan_->end_row) emit_vertical();
    return;
  }
  std::memcpy(ring_row(y), row, static_cast<size_t>(plan_->source.width * src_channels_));
  emit_vertical();
}

// Every output row whose source rows are all in the ring.
void RowResizer::emit_vertical() {
  const AxisPlan& vertical = *plan_->vertical;
  const bool then_horizontal = plan_->vertical_first && plan_->horizontal;
  const bool raw = plan_->vertical_first || !plan_->horizontal;
  const int bytes = raw ? plan_->source.width * src_channels_ : plan_->target.width * dst_channels_;
  while (next_out_ + band_count_ < plan_->target.height) {
    const int index = next_out_ + band_count_;
    const int first = vertical.first[static_cast<size_t>(index)];
    const int count = vertical.count[static_cast<size_t>(index)];
    if (first + count > next_in_) break;
    for (int t = 0; t < count; ++t) window_[static_cast<size_t>(t)] = ring_row(first + t);
    if (then_horizontal) {
      uint8_t* row = band_in_[static_cast<size_t>(band_count_)];
      kernels_.vertical(window_.data(), row, bytes, vertical, index);
      if (++band_count_ == kMaxRows) flush_band();
      continue;
    }
    if (raw && src_channels_ != dst_channels_) {
      kernels_.vertical(window_.data(), band_in_[0], bytes, vertical, index);
      emit_packed(band_in_[0]);
    } else {
      kernels_.vertical(window_.data(), out_row_, bytes, vertical, index);
      emit(out_row_);
    }
  }
  if (next_in_ >= plan_->end_row) flush_band();
}

void RowResizer::flush_band() {
  if (band_count_ == 0) return;
  run_horizontal(band_in_.data(), band_out_.data(), band_count_);
  const int count = band_count_;
  band_count_ = 0;
  for (int r = 0; r < count; ++r) emit(band_out_[static_cast<size_t>(r)]);
}

}  // namespace pyloader
