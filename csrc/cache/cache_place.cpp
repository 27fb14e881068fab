#include "cache/cache_place.h"

#include <unistd.h>

#include "cache/folder_cache.h"
#include "cache/memory_cache.h"

namespace pyloader {

std::shared_ptr<ImageCache> CachePlace::open(const CacheFormat& format) {
  // A child of a fork goes on in its parent's memory, but not in its parent's files.
  const bool usable = folder_.empty() || owner_ == ::getpid();
  if (cache_ && usable && format == format_) return cache_;
  if (folder_.empty()) {
    cache_ = std::make_shared<MemoryCache>(format, limit_);
  } else {
    cache_ = std::make_shared<FolderCache>(folder_, format, limit_);
  }
  format_ = format;
  owner_ = ::getpid();
  return cache_;
}

}  // namespace pyloader
