// Where a loader keeps images: opens the cache for their format, in memory or in a folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cache/image_cache.h"

namespace pyloader {

// One caller at a time. A loader that is made anew with the same format finds the same images.
class CachePlace {
 public:
  // `folder`: where the files go, empty for memory. `limit` in bytes, 0 for a sane one (see
  // MemoryCache and FolderCache).
  CachePlace(std::string folder, uint64_t limit) : folder_(std::move(folder)), limit_(limit) {}

  // The cache for images of one format. Never null: where nothing can be kept, its state says why.
  // Throws std::bad_alloc.
  std::shared_ptr<ImageCache> open(const CacheFormat& format);

  // Of the cache last opened.
  CacheState state() const { return cache_ ? cache_->state() : CacheState{}; }
  bool has_problem() const { return cache_ && cache_->has_problem(); }

 private:
  const std::string folder_;
  const uint64_t limit_;
  CacheFormat format_;
  int owner_ = 0;  // process id
  std::shared_ptr<ImageCache> cache_;
};

}  // namespace pyloader
