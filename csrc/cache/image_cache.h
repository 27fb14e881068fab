// What every kind of cache does: keeps the pixels of resized images, all of one size, by key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cache/cache_key.h"

namespace pyloader {

// The images that one cache keeps: what they are in words, and bytes of each.
struct CacheFormat {
  std::string name;  // up to kMaxName characters that may stand in a file's name
  size_t bytes = 0;

  static constexpr size_t kMaxName = 100;
  friend bool operator==(const CacheFormat&, const CacheFormat&) = default;
};

struct CacheState {
  uint64_t bytes = 0;   // taken by images, of whichever process
  bool full = false;    // no more images are taken
  std::string problem;  // why it does less than it should, in words; empty: nothing is wrong
};

class ImageCache {
 public:
  virtual ~ImageCache() = default;

  // The pixels under a key, or null. They lie in `buffer` (format.bytes bytes), or in memory of the
  // cache's own, valid as long as it, with kRowSlack bytes behind them. `was_gray`: as for `write`.
  // Any thread; no lock, no allocation.
  virtual const uint8_t* read(const CacheKey& key, uint8_t* buffer, bool& was_gray) = 0;

  // Keeps a copy of the pixels if there is room. `was_gray`: the image has one channel, repeated
  // here. Any thread; never fails: what cannot be kept is decoded again.
  virtual void write(const CacheKey& key, const uint8_t* pixels, bool was_gray) = 0;

  // Gives back room that was set aside and is not used. Any thread; writing may go on.
  virtual void trim() {}

  virtual CacheState state() const = 0;
  // Whether the state tells a problem; cheap.
  virtual bool has_problem() const { return false; }
};

}  // namespace pyloader
