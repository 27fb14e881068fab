#include "memory/large_images.h"

#include "memory/process.h"

namespace pyloader {

LargeImages::Hold LargeImages::take(uint64_t bytes) {
  Hold hold;
  if (!bounded() || bytes <= kSmall) return hold;
  std::unique_lock lock(mutex_);
  const uint64_t mine = next_turn_++;
  given_back_.wait(lock, [&] { return turn_ == mine && taken_ + bytes <= room_; });
  taken_ += bytes;
  ++turn_;
  given_back_.notify_all();  // the next may fit beside it
  hold.from_ = this;
  hold.bytes_ = bytes;
  return hold;
}

void LargeImages::Hold::give_back() {
  if (from_ == nullptr) return;
  return_free_memory();
  {
    const std::lock_guard lock(from_->mutex_);
    from_->taken_ -= bytes_;
  }
  from_->given_back_.notify_all();
  from_ = nullptr;
}

}  // namespace pyloader
