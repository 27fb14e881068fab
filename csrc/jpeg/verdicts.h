// What is wrong with a JPEG, in words. Private to jpeg/.
#pragma once

#include <string>

#include "base/byte_source.h"
#include "base/limits.h"
#include "base/status.h"
#include "jpeg/libjpeg.h"

namespace pyloader {

inline Status truncated(const ByteSource& source) {
  if (Status status = source.status(); !status.ok()) return status;
  return {StatusCode::kBadImage, "the file is truncated"};
}

// After libjpeg gave up.
inline Status damaged(const LibjpegErrors& errors, const ImageLimits& limits) {
  if (errors.too_many_scans) {
    return {StatusCode::kTooLarge,
            "it has more than " + std::to_string(limits.scans) + " scans, the limit"};
  }
  return {StatusCode::kBadImage, std::string("damaged JPEG data: ") + errors.message};
}

inline Status not_read_again(const ByteSource& source) {
  if (Status status = source.status(); !status.ok()) return status;
  return {StatusCode::kReadFailed, "it could not be read a second time"};
}

// Whether a marker is that of a frame that libjpeg decodes: SOF0, 1, 2, 9 and 10.
inline bool begins_frame(int marker) {
  return (marker >= 0xC0 && marker <= 0xC2) || marker == 0xC9 || marker == 0xCA;
}

}  // namespace pyloader
