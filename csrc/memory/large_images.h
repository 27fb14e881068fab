// Memory for images that take much of it while they are decoded, shared by the workers of a loader.
//
// Note [large images]: a worker that waits here holds none of it, and who holds some waits for
// nobody: it decodes one image and gives it back. So every image that fits at all gets its turn,
// and which ones fit does not depend on what the others do.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace pyloader {

// Any thread.
class LargeImages {
 public:
  // Images that need no more are not counted.
  static constexpr uint64_t kSmall = uint64_t{4} << 20;

  // `room` in bytes; 0: no bound.
  explicit LargeImages(uint64_t room) : room_(room) {}

  // Room taken; given back when it dies. Movable, empty by default.
  class Hold {
   public:
    Hold() = default;
    ~Hold() { give_back(); }
    Hold(Hold&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), bytes_(other.bytes_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(from_, other.from_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    // What it is held for must be freed already. Also returns to the system what the heap has left.
    void give_back();

   private:
    friend class LargeImages;
    LargeImages* from_ = nullptr;
    uint64_t bytes_ = 0;
  };

  bool bounded() const { return room_ != 0; }
  uint64_t room() const { return room_; }
  bool fits(uint64_t bytes) const { return !bounded() || bytes <= kSmall || bytes <= room_; }

  // Waits for room for an image that `fits`. Of several who wait, the first comes first.
  Hold take(uint64_t bytes);

 private:
  const uint64_t room_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  // Guarded by mutex_.
  uint64_t taken_ = 0;
  uint64_t next_turn_ = 0, turn_ = 0;
};

}  // namespace pyloader
