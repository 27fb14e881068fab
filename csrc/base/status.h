// The outcome of work on data: success, or what went wrong and with which sample.
#pragma once

#include <memory>
#include <string>
#include <utility>

namespace pyloader {

enum class StatusCode {
  kOk,
  kReadFailed,   // the file could not be opened or read
  kBadImage,     // the content is not an image that can be decoded, or is damaged
  kTooLarge,     // the header asks for more pixels than the limit
  kOutOfMemory,  // an allocation failed
  kMemoryLimit,  // the user's own bound on memory is reached
  kForeign,      // code of the user's side failed; `cause` holds its exception
  kClosed,       // the loader was closed while the caller waited
  kInvalid,      // the request itself is wrong (an unknown ticket)
};

// Cheap to return when ok: no allocation. A failed status carries the reason in plain words,
// without the path: whoever knows the path adds it.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string reason) : code_(code), reason_(std::move(reason)) {}

  // A failure of foreign code. `cause` keeps whatever the binding needs to raise it again.
  static Status foreign(std::shared_ptr<void> cause) {
    Status status(StatusCode::kForeign, "");
    status.cause_ = std::move(cause);
    return status;
  }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& reason() const { return reason_; }
  const std::shared_ptr<void>& cause() const { return cause_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string reason_;
  std::shared_ptr<void> cause_;
};

// Whether it is the fault of the image's file, not of the machine or of the user's code.
inline bool is_bad_image(const Status& status) {
  return status.code() == StatusCode::kReadFailed || status.code() == StatusCode::kBadImage ||
         status.code() == StatusCode::kTooLarge;
}

}  // namespace pyloader
