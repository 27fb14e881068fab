// Large, page-aligned memory for batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace pyloader {

// Whether memory shall be page-locked, so that a GPU copies from it without the CPU.
enum class Pinning {
  kOff,
  kForCuda,  // where the program has loaded a CUDA runtime: registered with it
  kAlways,   // otherwise locked by the system, where it allows that
};

enum class Pinned { kNot, kLocked, kRegistered };

// Owns `size()` bytes, or nothing. Fresh memory is zero.
class HostBuffer {
 public:
  HostBuffer() = default;
  ~HostBuffer() { reset(); }
  HostBuffer(HostBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        pinned_(std::exchange(other.pinned_, Pinned::kNot)),
        owner_(other.owner_) {}
  HostBuffer& operator=(HostBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pinned_, other.pinned_);
    std::swap(owner_, other.owner_);
    return *this;
  }

  // Empty when the system has no memory. Memory that cannot be pinned is as good otherwise.
  static HostBuffer allocate(size_t bytes, Pinning pinning = Pinning::kOff);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  Pinned pinned() const { return pinned_; }

 private:
  void reset();

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  Pinned pinned_ = Pinned::kNot;
  int owner_ = 0;  // process id
};

}  // namespace pyloader
