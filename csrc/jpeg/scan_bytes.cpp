#include "jpeg/scan_bytes.h"

#include <algorithm>
#include <cstring>

namespace pyloader {

void ScanBytes::begin(ByteSource& source, std::span<const uint8_t> rest) {
  if (!buffer_) buffer_.reset(new uint8_t[kCapacity + kMargin]);
  source_ = &source;
  rest_ = rest;
}

const uint8_t* ScanBytes::begin_segment() {
  filled_ = 0;
  ended_ = after_ff_ = false;
  marker_ = 0;
  fill();
  return buffer_.get();
}

const uint8_t* ScanBytes::more(const uint8_t* at) {
  const auto unread = static_cast<size_t>(end() - at);
  std::memmove(buffer_.get(), at, unread);
  filled_ = unread;
  fill();
  return buffer_.get();
}

void ScanBytes::fill() {
  uint8_t* const out = buffer_.get();
  while (filled_ < kCapacity && !ended_) {
    if (rest_.empty()) {
      ended_ = !source_->refill();
      if (!ended_) rest_ = source_->window();
      continue;
    }
    if (after_ff_) {
      after_ff_ = false;
      const uint8_t code = rest_[0];
      rest_ = rest_.subspan(1);
      if (code == 0) {
        out[filled_++] = 0xFF;
      } else {
        marker_ = code;
        ended_ = true;
      }
      continue;
    }
    const size_t count = std::min(rest_.size(), kCapacity - filled_);
    const void* found = std::memchr(rest_.data(), 0xFF, count);
    after_ff_ = found != nullptr;
    const size_t plain =
        after_ff_ ? static_cast<size_t>(static_cast<const uint8_t*>(found) - rest_.data()) : count;
    std::memcpy(out + filled_, rest_.data(), plain);
    filled_ += plain;
    rest_ = rest_.subspan(plain + (after_ff_ ? 1 : 0));
  }
  if (ended_) {
    std::memset(out + filled_, 0, kMargin);
    mark_ = out + filled_;
  } else {
    mark_ = out + filled_ - kMargin;
  }
}

}  // namespace pyloader
