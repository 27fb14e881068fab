// What a pool does with a cache of resized images: looks before it reads a file, keeps what it has
// decoded. Bytes of samples are the same with and without.
#pragma once

#include <memory>
#include <string>

#include "base/file_identity.h"
#include "cache/image_cache.h"
#include "loader/counters.h"
#include "loader/sample_maker.h"

namespace pyloader {

// The format of the images that samples of `spec` are made of. Everything is in it that resized
// pixels depend on, but for the file.
CacheFormat cache_format(const SampleSpec& spec);

// What is known of a file whose sample was not in the cache.
struct CacheMiss {
  bool keepable = false;
  FileIdentity identity;
  CacheKey key;
};

// Any thread. Without a cache it does nothing.
class CachedSamples {
 public:
  // `base`: the folder that relative paths are meant from.
  CachedSamples(std::shared_ptr<ImageCache> cache, std::string base)
      : cache_(std::move(cache)), base_(std::move(base)) {}

  bool in_use() const { return cache_ != nullptr; }

  // Makes the sample of the file at `path`, as it is now, from the cache; arguments as for
  // SampleMaker::make. False, and `miss` for `keep`, when it is not there. Throws std::bad_alloc.
  bool make(const char* path, const double* transform, uint8_t* destination, SampleMaker& maker,
            WorkerCounters& counters, Status& status, CacheMiss& miss) const;

  // Keeps the image of a file that was missing. `opened` is the identity of the file that was then
  // opened: unless the path led to that one before, and still does, nobody knows which content was
  // read.
  void keep(const char* path, const CacheMiss& miss, const FileIdentity& opened,
            const ResizedImage& image, WorkerCounters& counters) const;

 private:
  const std::shared_ptr<ImageCache> cache_;
  const std::string base_;
};

}  // namespace pyloader
