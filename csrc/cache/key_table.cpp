#include "cache/key_table.h"

namespace pyloader {

// The entry of a key, or the free one where it would go. There always is a free one.
CacheEntry& KeyTable::slot_of(const Slots& slots, const CacheKey& key) {
  for (size_t i = static_cast<size_t>(key.low) & slots.mask;; i = (i + 1) & slots.mask) {
    CacheEntry& entry = slots.entries[i];
    // Acquire: `low` and the rest were written before `high`, by a release.
    const uint64_t high = entry.high.load(std::memory_order_acquire);
    if (high == 0 || (high == key.high && entry.low == key.low)) return entry;
  }
}

CacheEntry* KeyTable::find(const CacheKey& key) const {
  // Acquire: the slots were written before the pointer to them, by a release.
  CacheEntry& entry = slot_of(*slots_.load(std::memory_order_acquire), key);
  // A free one may be taken by another key meanwhile.
  const bool found = entry.high.load(std::memory_order_acquire) == key.high && entry.low == key.low;
  return found ? &entry : nullptr;
}

void KeyTable::put(const CacheKey& key, uint64_t place, uint64_t checksum) {
  if (4 * (size_ + 1) > 3 * (slots_.load()->mask + 1)) grow(2 * (slots_.load()->mask + 1));
  CacheEntry& entry = slot_of(*slots_.load(), key);
  const bool fresh = entry.high.load() == 0;
  entry.checksum.store(checksum);
  entry.place.store(place);
  if (!fresh) return;
  entry.low = key.low;
  entry.high.store(key.high, std::memory_order_release);
  ++size_;
}

void KeyTable::grow(size_t count) {
  auto larger = std::make_unique<Slots>(count);
  generations_.reserve(generations_.size() + 1);
  if (const Slots* old = slots_.load(); old != nullptr) {
    for (size_t i = 0; i <= old->mask; ++i) {
      const CacheEntry& from = old->entries[i];
      const CacheKey key{from.high.load(), from.low};
      if (key.high == 0) continue;
      CacheEntry& to = slot_of(*larger, key);
      to.low = key.low;
      to.checksum.store(from.checksum.load());
      to.place.store(from.place.load());
      to.high.store(key.high);
    }
  }
  slots_.store(larger.get(), std::memory_order_release);
  generations_.push_back(std::move(larger));
}

}  // namespace pyloader
