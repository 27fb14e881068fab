// What happens to the rows of one image on their way to the target size.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/pixels.h"
#include "image/axis_plan.h"

namespace pyloader {

// How often each axis of a plane was halved, as subsampled chroma is.
struct Halvings {
  int x = 0;
  int y = 0;
};

// The size of such a plane: the last sample may stand for fewer pixels.
Size plane_size(Size image, Halvings halvings);

// Keras' crop: the part of `source` that has the target's aspect ratio, in its middle. In pixels.
struct Box {
  int left = 0;
  int top = 0;
  int right = 0;
  int bottom = 0;
};
Box crop_box(Size source, Size target);

// The part of `target` that an image of size `source` fills when it is fitted into its middle with
// its aspect ratio kept, as TensorFlow's resize_with_pad computes it. No side is empty.
Box fitted_box(Size source, Size target);

struct ResizeRequest {
  Size source;  // of the image
  Size target;
  Filter filter = Filter::kNearest;
  // Keras' center crop to the target's aspect ratio before the resize.
  bool keep_aspect_ratio = false;
  // Of the plane that is to be resized; none for nearest.
  Halvings halvings = {};
};

struct ResizePlan {
  enum class Kind { kCopy, kNearest, kFilter };

  Kind kind = Kind::kCopy;
  Size source;  // of the plane
  Size target;
  // Source rows outside [first_row, end_row) have no effect on the result.
  int first_row = 0;
  int end_row = 0;
  // Per source row, 1 where it has an effect (nearest leaves rows out in between).
  std::vector<uint8_t> needed_rows;
  // kFilter: null where an axis keeps its size.
  std::shared_ptr<const AxisPlan> horizontal;
  std::shared_ptr<const AxisPlan> vertical;
  // Pillow 13 takes the vertical pass first where that shrinks the image sooner; the order shows in
  // the rounding.
  bool vertical_first = false;
  // kNearest: source column (row) of every output column (row), -1 for zero.
  std::vector<int32_t> columns;
  std::vector<int32_t> rows;
};

// Remembers recent axis plans, since folders repeat their sizes. One owner, one thread.
class AxisPlanCache {
 public:
  explicit AxisPlanCache(size_t byte_limit = size_t{8} << 20) : byte_limit_(byte_limit) {}
  std::shared_ptr<const AxisPlan> get(const AxisKey& key);

 private:
  struct Entry {
    AxisKey key;
    std::shared_ptr<const AxisPlan> plan;
  };
  struct Hash {
    size_t operator()(const AxisKey& key) const;
  };
  size_t byte_limit_;
  size_t bytes_ = 0;
  std::list<Entry> entries_;  // the most recently used first
  std::unordered_map<AxisKey, std::list<Entry>::iterator, Hash> by_key_;
};

// Sizes must be positive.
ResizePlan make_resize_plan(const ResizeRequest& request, AxisPlanCache& cache);

}  // namespace pyloader
