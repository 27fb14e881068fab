// Where each image of a cache lies: a hash table that any thread reads without a lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/cache_key.h"

namespace pyloader {

// One image. It stays where it is and is never taken out; its place may change once it is found
// bad.
struct CacheEntry {
  std::atomic<uint64_t> high{0};      // of the key; 0: no entry yet
  uint64_t low = 0;                   // written before `high`
  std::atomic<uint64_t> checksum{0};  // written before `place`
  std::atomic<uint64_t> place{0};     // what it means is the cache's business; 0: nowhere
};

class KeyTable {
 public:
  KeyTable() { grow(1024); }

  // Null when there is none. Any thread, at any time. Entries live as long as the table.
  CacheEntry* find(const CacheKey& key) const;

  // Makes an entry, or gives an existing one another place. One thread at a time. Throws
  // std::bad_alloc.
  void put(const CacheKey& key, uint64_t place, uint64_t checksum);

  size_t size() const { return size_; }

 private:
  struct Slots {
    explicit Slots(size_t count) : mask(count - 1), entries(new CacheEntry[count]) {}
    const size_t mask;
    const std::unique_ptr<CacheEntry[]> entries;
  };

  void grow(size_t count);
  static CacheEntry& slot_of(const Slots& slots, const CacheKey& key);

  std::atomic<const Slots*> slots_{nullptr};
  size_t size_ = 0;
  // All that ever were, the present one last: readers may still be in an outgrown one. Together
  // they are less than twice the present one.
  std::vector<std::unique_ptr<Slots>> generations_;
};

}  // namespace pyloader
