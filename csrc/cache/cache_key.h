// The name of one image in a cache: a digest of the file's path and state.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/file_identity.h"

namespace pyloader {

// 128 bits, never all zero in `high`. Keys that differ in anything are equal by accident only, once
// in 2^64 files; there is nothing to gain from making them so on purpose.
struct CacheKey {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const CacheKey&, const CacheKey&) = default;
};

// `base` is the folder that a relative `path` is meant from.
CacheKey make_cache_key(std::string_view base, std::string_view path, const FileIdentity& identity);

// Whether any later change of the file shows in its identity. File systems count time in ticks of
// up to ten milliseconds, some of two seconds: within one, a second change leaves no trace.
bool is_settled(const FileIdentity& identity);

}  // namespace pyloader
