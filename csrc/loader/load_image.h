// One image outside any batch, on the calling thread.
#pragma once

#include <cstdint>
#include <functional>

#include "base/byte_source.h"
#include "base/limits.h"
#include "base/pixels.h"
#include "base/status.h"
#include "image/axis_plan.h"
#include "loader/foreign_code.h"

namespace pyloader {

struct ImageRequest {
  ColorMode color_mode = ColorMode::kRgb;
  Size target;  // zero: the image's own size
  Filter filter = Filter::kNearest;
  bool keep_aspect_ratio = false;
  Fidelity fidelity = Fidelity::kExact;
  ImageLimits limits = {};
  bool load_truncated = false;  // see SampleSpec
};

// Decodes encoded content, from its beginning on, into memory that `allocate` gives for the final
// size: rows of packed pixels. `stored` is set when foreign code kept the image to itself (deeper
// than 8 bits); nothing is allocated then. Throws std::bad_alloc.
Status load_image(ByteSource& source, const ImageRequest& request, ForeignCode& foreign,
                  const std::function<uint8_t*(Size)>& allocate, bool& stored);

}  // namespace pyloader
