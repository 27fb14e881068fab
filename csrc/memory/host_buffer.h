// Large, page-aligned memory for batches, and the process that owns it.
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

// Identifies this process. A forked child differs from its parent: threads and locks of the parent
// do not exist in it.
int process_id();

}  // namespace pyloader
