// A cache in this process's memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "cache/image_cache.h"
#include "cache/key_table.h"

namespace pyloader {

// Keeps what comes first and never lets go of it: with room for a third of a data set, every epoch
// finds that third, whatever its order. A child of a fork keeps what was there, and goes on.
class MemoryCache final : public ImageCache {
 public:
  // `limit` in bytes of pixels; kSane: until a quarter of the machine's memory, or of the
  // container's, is all that is left to programs.
  MemoryCache(const CacheFormat& format, uint64_t limit);
  ~MemoryCache() override;
  MemoryCache(const MemoryCache&) = delete;
  MemoryCache& operator=(const MemoryCache&) = delete;

  static constexpr uint64_t kSane = 0;

  const uint8_t* read(const CacheKey& key, uint8_t* buffer, bool& was_gray) override;
  void write(const CacheKey& key, const uint8_t* pixels, bool was_gray) override;
  CacheState state() const override;

 private:
  struct Chunk {
    uint8_t* data = nullptr;
    size_t bytes = 0;
  };

  uint8_t* take_place(const CacheKey& key);
  bool add_chunk();
  std::unique_lock<std::mutex> lock() const;

  const size_t image_bytes_;
  const size_t stride_;
  const uint64_t limit_;
  const int owner_;  // process id
  KeyTable table_;   // found without a lock, filled with it
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Chunk> chunks_;
  size_t chunk_used_ = 0;           // bytes of the last chunk
  uint64_t used_ = 0;               // bytes of all
  std::vector<uint8_t*> returned_;  // places taken for an image that another thread has kept
  bool full_ = false;
};

}  // namespace pyloader
