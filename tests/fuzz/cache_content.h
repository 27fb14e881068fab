// The two files of a cache folder as bytes: what stands where, and who vouches for which image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/cache_file.h"
#include "cache/cache_key.h"
#include "cache/image_cache.h"

namespace pyloader::testing {

// Small images, so that a file holds many.
inline const CacheFormat kFuzzFormat = {.name = "fuzz", .bytes = 48};

// The keys that are looked up, and their images.
inline constexpr uint64_t kFuzzKeys = 8;
CacheKey fuzz_key(uint64_t number);
std::vector<uint8_t> fuzz_pixels(uint64_t number);
inline bool fuzz_gray(uint64_t number) { return number % 2 == 1; }

// A pair of files.
struct CacheContent {
  std::vector<uint8_t> index;
  std::vector<uint8_t> images;

  bool has_sound_header() const;
  // The records whose seals are right, in their order.
  std::vector<CacheRecord> records() const;
  // The image of a record; empty when the file ends before.
  std::span<const uint8_t> image(const CacheRecord& record) const;
  // Whether the image of a record is the one whose checksum it holds.
  bool vouches(const CacheRecord& record) const;

  void seal_header();
  void seal_records();
};

CacheContent read_content(const std::string& index_path);
void write_content(const std::string& index_path, const CacheContent& content);

}  // namespace pyloader::testing
