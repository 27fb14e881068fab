#include "resizing.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "check.h"

namespace pyloader::testing {
namespace {

// One output value: the plan's weights over `at(t)`, in wide arithmetic.
template <class Input>
uint8_t resampled(const AxisPlan& plan, int index, Input at) {
  int64_t sum = int64_t{1} << (kWeightBits - 1);
  const auto i = static_cast<size_t>(index);
  for (int t = 0; t < plan.count[i]; ++t) {
    const size_t weight = i * static_cast<size_t>(plan.stride) + static_cast<size_t>(t);
    sum += int64_t{plan.weights[weight]} * at(plan.first[i] + t);
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kWeightBits, 0, 255));
}

Image horizontal_pass(Image& image, const AxisPlan& plan) {
  Image out({plan.out_size, image.size.height}, image.channels);
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      for (int c = 0; c < out.channels; ++c) {
        out.at(x, y, c) = resampled(plan, x, [&](int i) { return image.at(i, y, c); });
      }
    }
  }
  return out;
}

Image vertical_pass(Image& image, const AxisPlan& plan) {
  Image out({image.size.width, plan.out_size}, image.channels);
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      for (int c = 0; c < out.channels; ++c) {
        out.at(x, y, c) = resampled(plan, y, [&](int i) { return image.at(x, i, c); });
      }
    }
  }
  return out;
}

Image nearest_pass(Image& image, const ResizePlan& plan) {
  Image out(plan.target, image.channels);
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      const int from_x = plan.columns[static_cast<size_t>(x)];
      const int from_y = plan.rows[static_cast<size_t>(y)];
      for (int c = 0; c < out.channels; ++c) {
        out.at(x, y, c) = from_x < 0 || from_y < 0 ? uint8_t{0} : image.at(from_x, from_y, c);
      }
    }
  }
  return out;
}

// A row as `form` has it: planes behind each other, each with its slack. `columns`, where given,
// are what it consists of.
void copy_row(Image& image, int y, std::span<const int32_t> columns, uint8_t* out,
              ptrdiff_t plane_stride) {
  const int width = columns.empty() ? image.size.width : static_cast<int>(columns.size());
  const bool planes = form_of(image) == RowForm::kPlanes;
  for (int x = 0; x < width; ++x) {
    const int from = columns.empty() ? x : std::max(columns[static_cast<size_t>(x)], 0);
    for (int c = 0; c < image.channels; ++c) {
      out[planes ? x + c * plane_stride : x * image.channels + c] = image.at(from, y, c);
    }
  }
}

}  // namespace

Image::Image(Size image_size, int image_channels)
    : size(image_size),
      channels(image_channels),
      pixels(static_cast<size_t>(image_size.width) * static_cast<size_t>(image_size.height) *
             static_cast<size_t>(image_channels)) {}

RowForm form_of(const Image& image) {
  if (image.channels == 1) return RowForm::kGray;
  return image.channels == 3 ? RowForm::kPlanes : RowForm::kColor;
}

Image reference(Image image, const ResizePlan& plan, int dst_channels) {
  if (plan.kind == ResizePlan::Kind::kNearest) image = nearest_pass(image, plan);
  if (plan.vertical_first && plan.vertical) image = vertical_pass(image, *plan.vertical);
  if (plan.horizontal) image = horizontal_pass(image, *plan.horizontal);
  if (!plan.vertical_first && plan.vertical) image = vertical_pass(image, *plan.vertical);
  if (image.channels == dst_channels) return image;
  Image out(image.size, dst_channels);
  const auto blank = [&](const std::vector<int32_t>& from, int at) {
    return plan.kind == ResizePlan::Kind::kNearest && from[static_cast<size_t>(at)] < 0;
  };
  for (int y = 0; y < out.size.height; ++y) {
    for (int x = 0; x < out.size.width; ++x) {
      const bool nothing = blank(plan.columns, x) || blank(plan.rows, y);
      for (int c = 0; c < dst_channels; ++c) {
        out.at(x, y, c) = c < image.channels ? image.at(x, y, c) : (nothing ? 0 : 255);
      }
    }
  }
  return out;
}

void Collector::accept(int y, const uint8_t* row) {
  check_equal(y, next_, "row order");
  check(y < image_.size.height, "rows past the end");
  ++next_;
  if (y >= image_.size.height) return;
  std::memcpy(&image_.at(0, y, 0), row, image_.row_bytes());
  for (size_t i = 0; i < kRowSlack; ++i) slack_ = slack_ ^ row[image_.row_bytes() + i];
}

Image streamed(RowResizer& resizer, Image& image, const ResizePlan& plan, int dst_channels,
               Random& random, const std::string& name) {
  Image out(plan.target, dst_channels);
  Collector sink(out);
  const RowForm form = form_of(image);
  const bool picked =
      plan.kind == ResizePlan::Kind::kNearest && form != RowForm::kColor && random.below(2) == 0;
  std::span<const int32_t> columns;
  if (picked) columns = plan.columns;
  const size_t width = picked ? columns.size() : static_cast<size_t>(image.size.width);
  const size_t plane_stride = width + kRowSlack + random.next() % 3;
  const size_t bytes = form == RowForm::kPlanes ? 2 * plane_stride + width
                       : form == RowForm::kGray ? width
                                                : 4 * width;
  resizer.begin(plan, form, dst_channels, sink, picked);
  const int longest = random.between(1, 21);
  for (int y = 0; y < image.size.height && !resizer.done();) {
    const int count = std::min(random.between(1, longest), image.size.height - y);
    ExactRows band(count, bytes, random);
    std::vector<const uint8_t*> rows;
    for (int r = 0; r < count; ++r) {
      copy_row(image, y + r, columns, band[r], static_cast<ptrdiff_t>(plane_stride));
      rows.push_back(plan.needed_rows[static_cast<size_t>(y + r)] != 0 ? band[r] : nullptr);
    }
    resizer.push(rows.data(), count, static_cast<ptrdiff_t>(plane_stride));
    y += count;
  }
  check(resizer.done(), "done: " + name);
  check_equal(sink.count(), plan.target.height, "rows of " + name);
  return out;
}

}  // namespace pyloader::testing
