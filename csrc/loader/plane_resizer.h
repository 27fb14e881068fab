// Resizes the planes of a JPEG before their colour conversion: fewer pixels to convert, and planes
// that may be halved by the inverse DCT already. Close to what Pillow gives, not equal.
#pragma once

#include <array>
#include <cstdint>

#include "base/row_sink.h"
#include "base/scratch.h"
#include "image/kernels.h"
#include "image/resize_plan.h"
#include "image/row_resizer.h"
#include "jpeg/decoder.h"

namespace pyloader {

// One owner, one thread; reused from image to image. Holds the target's planes.
class PlaneResizer {
 public:
  explicit PlaneResizer(SimdLevel level);

  // Whether an image with this header can be resized so within the bounds that fidelity "fast"
  // promises. Others are resized as RGB.
  static bool suits(const JpegHeader& header, const ResizeRequest& request);

  // Starts an image, and tells the decoder which planes are wanted. `luma_only` leaves colour away.
  // Throws std::bad_alloc.
  void begin(const JpegHeader& header, const ResizeRequest& request, bool luma_only,
             AxisPlanCache& plans, JpegDecoder& decoder);

  // The next rows from the decoder.
  void push(const PlaneBand& band, AxisPlanCache& plans);

  // True when nothing more is needed.
  bool done() const;

  // After the last row: pixels of `channels` bytes to the sink (1: gray; the fourth is 255).
  void finish(const JpegDecoder& decoder, int channels, RowSink& sink);

  void trim();

 private:
  // Rows of one resized plane.
  class Store final : public RowSink {
   public:
    void begin(uint8_t* data, ptrdiff_t stride, int width);
    void accept(int y, const uint8_t* row) override;
    uint8_t* row(int y) const { return data_ + y * stride_; }

   private:
    uint8_t* data_ = nullptr;
    ptrdiff_t stride_ = 0;
    int width_ = 0;
  };

  struct Plane {
    explicit Plane(SimdLevel level) : resizer(level) {}
    ResizePlan plan;
    RowResizer resizer;
    Store store;
  };

  void plan_planes(const std::array<int, 3>& halvings, AxisPlanCache& plans);

  const ImageKernels& kernels_;
  std::array<Plane, 3> planes_;
  size_t count_ = 0;
  ResizeRequest request_;
  Halvings chroma_;
  Scratch scratch_;
  uint8_t* packed_ = nullptr;
};

}  // namespace pyloader
