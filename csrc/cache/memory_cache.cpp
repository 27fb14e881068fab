#include "cache/memory_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/pixels.h"
#include "base/scratch.h"
#include "cache/free_memory.h"

namespace pyloader {
namespace {

constexpr size_t kChunk = size_t{64} << 20;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr uint64_t kGray = 1;  // in a place: images are aligned, so the bit is free

// Zeros in huge pages where the system has them; null when it has no memory.
uint8_t* map_memory(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
  if (bytes >= 2 * kHugePage) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return static_cast<uint8_t*>(memory);
}

}  // namespace

MemoryCache::MemoryCache(const CacheFormat& format, uint64_t limit)
    : image_bytes_(format.bytes),
      stride_(align_up(format.bytes + kRowSlack)),
      limit_(limit),
      owner_(::getpid()) {}

MemoryCache::~MemoryCache() {
  for (const Chunk& chunk : chunks_) ::munmap(chunk.data, chunk.bytes);
}

// In a forked child a thread that does not exist there may hold the mutex for ever.
std::unique_lock<std::mutex> MemoryCache::lock() const {
  if (::getpid() == owner_) return std::unique_lock(mutex_);
  return std::unique_lock(mutex_, std::try_to_lock);
}

const uint8_t* MemoryCache::read(const CacheKey& key, uint8_t*, bool& was_gray) {
  const CacheEntry* entry = table_.find(key);
  if (entry == nullptr) return nullptr;
  const uint64_t place = entry->place.load(std::memory_order_relaxed);  // written before the key
  was_gray = (place & kGray) != 0;
  return reinterpret_cast<const uint8_t*>(place & ~kGray);
}

bool MemoryCache::add_chunk() {
  size_t bytes = std::max(kChunk / stride_ * stride_, stride_);
  if (limit_ != kSane) {
    bytes = std::min(bytes,
                     static_cast<size_t>((limit_ - std::min(limit_, used_)) / stride_) * stride_);
  } else if (const FreeMemory memory = free_memory();
             memory.total != 0 && memory.available < memory.total / 4 + bytes) {
    return false;
  }
  if (bytes == 0) return false;
  chunks_.reserve(chunks_.size() + 1);
  uint8_t* data = map_memory(bytes);
  if (data == nullptr) return false;
  chunks_.push_back({data, bytes});
  chunk_used_ = 0;
  return true;
}

// Memory for one image more, or null: there is no room, or it is kept already.
uint8_t* MemoryCache::take_place(const CacheKey& key) {
  const auto held = lock();
  if (!held || full_ || table_.find(key) != nullptr) return nullptr;
  if (!returned_.empty()) {
    uint8_t* place = returned_.back();
    returned_.pop_back();
    return place;
  }
  if (chunks_.empty() || chunk_used_ + stride_ > chunks_.back().bytes) full_ = !add_chunk();
  if (full_) return nullptr;
  uint8_t* place = chunks_.back().data + chunk_used_;
  chunk_used_ += stride_;
  used_ += stride_;
  return place;
}

void MemoryCache::write(const CacheKey& key, const uint8_t* pixels, bool was_gray) try {
  uint8_t* place = take_place(key);
  if (place == nullptr) return;
  std::memcpy(place, pixels, image_bytes_);
  const auto held = lock();
  if (!held) return;
  if (table_.find(key) != nullptr) {
    returned_.push_back(place);
  } else {
    table_.put(key, reinterpret_cast<uint64_t>(place) | (was_gray ? kGray : 0), 0);
  }
} catch (const std::bad_alloc&) {
  // One image less in the cache; the next one may find memory again.
}

CacheState MemoryCache::state() const {
  const auto held = lock();
  if (!held) return {};
  return {.bytes = used_ - stride_ * returned_.size(), .full = full_, .problem = {}};
}

}  // namespace pyloader
