// The streaming resizer beside two plain passes over the whole image with the same weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/resize_plan.h"
#include "image/row_resizer.h"
#include "inputs.h"

namespace pyloader::testing {

inline constexpr Filter kFilters[] = {Filter::kNearest, Filter::kBox,     Filter::kBilinear,
                                      Filter::kHamming, Filter::kBicubic, Filter::kLanczos};

// What may become what: channels of the source and of the result.
inline constexpr int kChannels[][2] = {{1, 1}, {4, 3}, {4, 4}, {3, 3}, {3, 4}};

struct Image {
  Size size;
  int channels = 0;
  std::vector<uint8_t> pixels;

  Image(Size image_size, int image_channels);
  uint8_t& at(int x, int y, int c) {
    return pixels[(static_cast<size_t>(y) * static_cast<size_t>(size.width) +
                   static_cast<size_t>(x)) *
                      static_cast<size_t>(channels) +
                  static_cast<size_t>(c)];
  }
  size_t row_bytes() const { return static_cast<size_t>(size.width * channels); }
};

RowForm form_of(const Image& image);

// The plan, pass by pass.
Image reference(Image image, const ResizePlan& plan, int dst_channels);

// Takes the rows and reads all of their slack, as kernels behind it may.
class Collector final : public RowSink {
 public:
  explicit Collector(Image& image) : image_(image) {}
  void accept(int y, const uint8_t* row) override;
  int count() const { return next_; }

 private:
  Image& image_;
  int next_ = 0;
  volatile uint8_t slack_ = 0;
};

// Pushes the image in bands of ragged sizes. A row lives in a heap block of its own, during the
// call only; a row that the plan does not need does not exist.
Image streamed(RowResizer& resizer, Image& image, const ResizePlan& plan, int dst_channels,
               Random& random, const std::string& name);

}  // namespace pyloader::testing
