// Large, page-aligned memory for batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace pyloader {

// Owns `size()` bytes, or nothing. Fresh memory is zero.
class HostBuffer {
 public:
  HostBuffer() = default;
  ~HostBuffer() { reset(); }
  HostBuffer(HostBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  HostBuffer& operator=(HostBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // Empty when the system has no memory.
  static HostBuffer allocate(size_t bytes);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void reset();

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace pyloader
