// What the core asks of the language above it: decoders of other formats and the user's own
// per-sample function. Implemented by bind/; called from worker threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_source.h"
#include "base/pixels.h"
#include "base/status.h"

namespace pyloader {

// A decoded image of 1, 3 or 4 channels, kept alive by `owner`.
struct OtherImage {
  ImageView view;
  std::shared_ptr<void> owner;
  bool stored = false;    // the sample is finished already; `view` is empty
  bool cacheable = true;  // a later decoding gives the same pixels
};

class ForeignCode {
 public:
  virtual ~ForeignCode() = default;

  // Decodes content that is no JPEG. May instead store the finished sample at `destination` (null
  // when there is none) and say so. `transform` is the sample's row of SampleTransform::kColumns
  // numbers, or null.
  virtual Status decode_other(std::span<const uint8_t> content, uint8_t* destination,
                              const double* transform, OtherImage& image) = 0;

  // Bytes that decoding content of `size` bytes that begins like this takes, at most; 0 where its
  // beginning does not tell.
  virtual uint64_t memory_needed(std::span<const uint8_t> beginning, uint64_t size) = 0;

  // Whether content that is no JPEG and begins like this will be refused, whatever follows; ok if
  // it may be an image.
  virtual Status check_beginning(std::span<const uint8_t> beginning) = 0;

  // Whether samples pass through `finish` instead of being stored by the core.
  virtual bool has_finish() const = 0;

  // Whether the core transforms samples before `finish`; else `finish` gets the transform.
  virtual bool wants_transformed() const = 0;

  // Takes one image as float32 in the batch's layout and stores the sample. `transform` is what is
  // still to be done to it, or null.
  virtual Status finish(const float* image, uint8_t* destination, const double* transform) = 0;
};

// Larger files that are no JPEGs are refused, because they are read whole.
constexpr size_t kMaxOtherFile = size_t{1} << 30;

// Whether `source`, at its beginning and no JPEG, can be refused before more of it is read.
Status check_other(const ByteSource& source, ForeignCode& foreign);

}  // namespace pyloader
