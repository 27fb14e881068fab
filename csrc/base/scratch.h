// Reusable, aligned working memory: grows to what an image needs, lets go of what is unusual.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace pyloader {

inline constexpr size_t kAlignment = 64;

constexpr size_t align_up(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Bytes without a value, 64-byte aligned. One owner, one thread. Throws std::bad_alloc.
class Scratch {
 public:
  // At least `bytes` bytes; earlier content is lost when they grow.
  uint8_t* require(size_t bytes) {
    if (bytes > capacity_) {
      memory_.reset();
      capacity_ = 0;
      memory_.reset(new (std::align_val_t{kAlignment}) uint8_t[bytes]);
      capacity_ = bytes;
    }
    return memory_.get();
  }

  // Gives memory back when there is more of it than `bytes`.
  void shrink_to(size_t bytes) {
    if (capacity_ <= bytes) return;
    memory_.reset();
    capacity_ = 0;
  }

  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(uint8_t* memory) const {
      ::operator delete[](memory, std::align_val_t{kAlignment});
    }
  };
  std::unique_ptr<uint8_t[], Free> memory_;
  size_t capacity_ = 0;
};

// What one worker may keep between images in any one scratch.
inline constexpr size_t kKeptScratch = size_t{4} << 20;

}  // namespace pyloader
