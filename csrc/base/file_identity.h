// What tells one state of a file from another without reading it.
#pragma once

#include <cstdint>

namespace pyloader {

// Size and inode, and the times of the last change of content and of anything, in nanoseconds
// since 1970. No program can set the latter, so that it tells a restored mtime, a renamed or a
// replaced file too.
struct FileIdentity {
  uint64_t size = 0;
  uint64_t inode = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

}  // namespace pyloader
