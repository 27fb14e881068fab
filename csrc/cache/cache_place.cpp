#include "cache/cache_place.h"

#include <unistd.h>

#include "cache/memory_cache.h"

namespace pyloader {

std::shared_ptr<ImageCache> CachePlace::open(const CacheFormat& format) {
  if (cache_ && format == format_) return cache_;
  cache_ = std::make_shared<MemoryCache>(format, limit_);
  format_ = format;
  owner_ = ::getpid();
  return cache_;
}

}  // namespace pyloader
