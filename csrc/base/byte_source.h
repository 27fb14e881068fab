// Encoded bytes as decoders see them, wherever they come from.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"

namespace pyloader {

// Encoded bytes that arrive in one or more windows. A window is valid until the next `refill`.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // The bytes at hand: at first the beginning of the content, after `refill` what follows.
  std::span<const uint8_t> window() const { return window_; }

  // Puts the bytes after the present window into `window()`. False at the end of the content, or
  // when reading failed (`status()` tells).
  virtual bool refill() = 0;

  // Makes `window()` the beginning of the content again. False when it cannot be read once more
  // (`status()` tells).
  virtual bool rewind() = 0;

  virtual Status status() const { return {}; }

  // Bytes in all, as far as known beforehand; a file may still change.
  uint64_t size() const { return size_; }
  uint64_t bytes_read() const { return bytes_read_; }

 protected:
  std::span<const uint8_t> window_;
  uint64_t size_ = 0;
  uint64_t bytes_read_ = 0;
};

// Goes back to the beginning of the content, or tells why not.
inline Status read_again(ByteSource& source) {
  if (source.rewind()) return {};
  if (Status status = source.status(); !status.ok()) return status;
  return {StatusCode::kReadFailed, "it could not be read a second time"};
}

// Content that is in memory already.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const uint8_t> content) {
    window_ = content;
    size_ = bytes_read_ = content.size();
  }
  bool refill() override { return false; }
  bool rewind() override { return true; }
};

}  // namespace pyloader
