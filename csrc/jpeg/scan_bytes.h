// The bytes of a scan between markers, freed from stuffing, in pieces that stay in the cache.
// Private to jpeg/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_source.h"

namespace pyloader {

// Stuffed zeros are dropped here once, so that reading bits need not look for 0xFF. A segment ends
// at a marker or where the content ends; zeros follow it. One thread, reused from file to file.
class ScanBytes {
 public:
  // A reader at or before `mark()` may read this many bytes without asking for more.
  static constexpr size_t kMargin = 64;

  // `rest` is what is left of the source's present window. Throws std::bad_alloc.
  void begin(ByteSource& source, std::span<const uint8_t> rest);

  // Starts the segment behind a marker (or the first). Returns its first byte.
  const uint8_t* begin_segment();

  // Makes the bytes from `at` on the first, adds more behind them. Returns where `at` is now.
  const uint8_t* more(const uint8_t* at);

  // Readers beyond it call `more`, or, once the segment has ended, see whether they passed its end.
  const uint8_t* mark() const { return mark_; }
  bool ended() const { return ended_; }
  const uint8_t* end() const { return buffer_.get() + filled_; }
  // The code behind 0xFF that ended the segment; 0 where content ended.
  int marker() const { return marker_; }

 private:
  static constexpr size_t kCapacity = 16384;

  void fill();

  std::unique_ptr<uint8_t[]> buffer_;  // kCapacity and kMargin bytes
  ByteSource* source_ = nullptr;
  std::span<const uint8_t> rest_;
  size_t filled_ = 0;
  const uint8_t* mark_ = nullptr;
  bool after_ff_ = false;
  bool ended_ = false;
  int marker_ = 0;
};

}  // namespace pyloader
