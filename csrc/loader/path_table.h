// The paths of a data set: millions of them in two allocations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pyloader {

class PathTable {
 public:
  // Bytes as the file system knows them; no encoding is assumed.
  void add(std::string_view path) {
    offsets_.push_back(text_.size());
    text_.append(path);
    text_.push_back('\0');
  }

  size_t size() const { return offsets_.size(); }
  const char* operator[](size_t index) const { return text_.data() + offsets_[index]; }

 private:
  std::string text_;
  std::vector<uint64_t> offsets_;
};

}  // namespace pyloader
