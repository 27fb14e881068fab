// What the core asks of the language above it: decoders of other formats and the user's own
// per-sample function. Implemented by bind/; called from worker threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/pixels.h"
#include "base/status.h"

namespace pyloader {

// A decoded image of 1, 3 or 4 channels, kept alive by `owner`.
struct OtherImage {
  ImageView view;
  std::shared_ptr<void> owner;
  bool stored = false;  // the sample is finished already; `view` is empty
};

class ForeignCode {
 public:
  virtual ~ForeignCode() = default;

  // Decodes content that is no JPEG. May instead store the finished sample at `destination` (null
  // when there is none) and say so.
  virtual Status decode_other(std::span<const uint8_t> content, uint8_t* destination,
                              OtherImage& image) = 0;

  // Whether samples pass through `finish` instead of the store table.
  virtual bool has_finish() const = 0;

  // Takes one resized image as float32 in the batch's layout and stores the sample.
  virtual Status finish(const float* image, uint8_t* destination) = 0;
};

}  // namespace pyloader
