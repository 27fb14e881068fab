#include "loader/plane_resizer.h"

#include <algorithm>
#include <cstring>

namespace pyloader {
namespace {

constexpr int kMaxHalvings = 3;

// A plane is halved while it stays this many times larger than its target: the filter averages what
// the reduced inverse DCT leaves out. (At a ratio of 1, and with chroma at 0.7, the bound is
// missed.)
constexpr double kLeastRatio = 2.5;

Box box_of(const ResizeRequest& request) {
  if (request.keep_aspect_ratio) return crop_box(request.source, request.target);
  return {0, 0, request.source.width, request.source.height};
}

// How many times larger a plane is than its target, on the axis where it is less.
double ratio_of(const ResizeRequest& request, Halvings halvings) {
  const Box box = box_of(request);
  const double x = static_cast<double>(box.right - box.left) / (1 << halvings.x);
  const double y = static_cast<double>(box.bottom - box.top) / (1 << halvings.y);
  return std::min(x / request.target.width, y / request.target.height);
}

int choose_halvings(const ResizeRequest& request, Halvings present) {
  int more = 0;
  while (more < kMaxHalvings &&
         ratio_of(request, {present.x + more + 1, present.y + more + 1}) >= kLeastRatio) {
    ++more;
  }
  return more;
}

}  // namespace

void PlaneResizer::Store::begin(uint8_t* data, ptrdiff_t stride, int width) {
  data_ = data;
  stride_ = stride;
  width_ = width;
}

void PlaneResizer::Store::accept(int y, const uint8_t* row) {
  std::memcpy(this->row(y), row, static_cast<size_t>(width_));
}

PlaneResizer::PlaneResizer(SimdLevel level)
    : kernels_(image_kernels(level)), planes_{Plane(level), Plane(level), Plane(level)} {}

bool PlaneResizer::suits(const JpegHeader& header, const ResizeRequest& request) {
  if (request.source == request.target) return false;  // there is nothing to resize
  // Nearest and box take whole samples or leave them: where a plane has fewer, other ones.
  return header.planes > 0 && request.filter != Filter::kNearest && request.filter != Filter::kBox;
}

void PlaneResizer::begin(const JpegHeader& header, const ResizeRequest& request, bool luma_only,
                         AxisPlanCache& plans, JpegDecoder& decoder) {
  request_ = request;
  count_ = header.planes == 1 || luma_only ? 1 : 3;
  chroma_ = {.x = header.chroma_halvings_x, .y = header.chroma_halvings_y};
  const int luma = choose_halvings(request, {});
  const int chroma = choose_halvings(request, chroma_);
  const std::array<int, 3> halvings = {luma, chroma, chroma};
  decoder.want_planes(halvings, count_ == 1);

  const Size target = request.target;
  const size_t stride = align_up(static_cast<size_t>(target.width) + kRowSlack);
  const size_t plane_bytes = stride * static_cast<size_t>(target.height);
  uint8_t* memory =
      scratch_.require(count_ * plane_bytes + static_cast<size_t>(target.width) * 4 + kRowSlack);
  for (size_t c = 0; c < count_; ++c, memory += plane_bytes) {
    planes_[c].store.begin(memory, static_cast<ptrdiff_t>(stride), target.width);
  }
  packed_ = memory;
  plan_planes(halvings, plans);
}

void PlaneResizer::plan_planes(const std::array<int, 3>& halvings, AxisPlanCache& plans) {
  for (size_t c = 0; c < count_; ++c) {
    ResizeRequest request = request_;
    request.halvings = c == 0 ? Halvings{} : chroma_;
    request.halvings.x += halvings[c];
    request.halvings.y += halvings[c];
    Plane& plane = planes_[c];
    plane.plan = make_resize_plan(request, plans);
    plane.resizer.begin(plane.plan, RowForm::kGray, 1, plane.store);
  }
}

void PlaneResizer::push(const PlaneBand& band, AxisPlanCache& plans) {
  if (band.restarted) plan_planes({}, plans);
  for (size_t c = 0; c < count_; ++c) {
    const RowBand& rows = band.planes[c];
    if (!planes_[c].resizer.done()) planes_[c].resizer.push(rows.rows, rows.count);
  }
}

bool PlaneResizer::done() const {
  return std::all_of(planes_.begin(), planes_.begin() + static_cast<ptrdiff_t>(count_),
                     [](const Plane& plane) { return plane.resizer.done(); });
}

void PlaneResizer::finish(const JpegDecoder& decoder, int channels, RowSink& sink) {
  const Size target = request_.target;
  for (int y = 0; y < target.height; ++y) {
    uint8_t* const rows[] = {planes_[0].store.row(y), planes_[1].store.row(y),
                             planes_[2].store.row(y)};
    if (channels == 1) {
      sink.accept(y, rows[0]);
      continue;
    }
    decoder.convert_to_rgb(rows, target.width, rows);
    kernels_.interleave(rows[0], rows[1], rows[2], packed_, target.width, channels);
    sink.accept(y, packed_);
  }
}

void PlaneResizer::trim() {
  for (Plane& plane : planes_) plane.resizer.trim();
  scratch_.shrink_to(kKeptScratch);
}

}  // namespace pyloader
