#include "ring/ring.h"

#include "memory/process.h"

#include <algorithm>
#include <utility>

namespace pyloader {

SlotHandle& SlotHandle::operator=(SlotHandle&& other) noexcept {
  if (this != &other) {
    release();
    ring_ = std::move(other.ring_);
    buffer_ = std::move(other.buffer_);
    leased_ = other.leased_;
  }
  return *this;
}

void SlotHandle::lease() {
  if (ring_ && !leased_) ring_->lease_one(buffer_.size());
  leased_ = true;
}

void SlotHandle::release() {
  if (!ring_) return;
  ring_->take_back(std::move(buffer_), leased_);
  ring_.reset();
  leased_ = false;
}

Ring::Ring(int depth, Pinning pinning, uint64_t room,
           std::shared_ptr<std::condition_variable> returned)
    : depth_(depth),
      pinning_(pinning),
      room_(room),
      returned_(std::move(returned)),
      owner_(process_id()) {
  free_.reserve(static_cast<size_t>(depth) + 2);  // giving a slot back allocates nothing
}

SlotHandle Ring::acquire(size_t bytes, NoSlot& why) {
  why = NoSlot::kNone;
  SlotHandle handle;
  {
    std::lock_guard lock(mutex_);
    if (counts_.busy == depth_) {
      why = NoSlot::kDepth;
      return handle;
    }
    // Slots are of one size but for a user who changed the batch size: the first that fits.
    const auto fits = [bytes](const HostBuffer& buffer) { return buffer.size() >= bytes; };
    const auto found = std::find_if(free_.begin(), free_.end(), fits);
    if (found != free_.end()) {
      handle.buffer_ = std::move(*found);
      free_.erase(found);
    } else if (!free_.empty()) {
      // None fits: make room for one that does.
      count_slot(free_.back(), -1);
      free_.pop_back();
    }
    if (handle.buffer_.data() == nullptr && room_ != 0) {
      while (counts_.bytes + promised_ + bytes > room_ && !free_.empty()) {
        count_slot(free_.back(), -1);
        free_.pop_back();
      }
      if (counts_.bytes + promised_ + bytes > room_) {
        why = NoSlot::kRoom;
        return handle;
      }
    }
    if (handle.buffer_.data() == nullptr) promised_ += bytes;
    ++counts_.busy;  // holds the place while memory is taken without the lock
  }
  const bool fresh = handle.buffer_.data() == nullptr;
  if (fresh) handle.buffer_ = HostBuffer::allocate(bytes, pinning_);

  std::lock_guard lock(mutex_);
  if (fresh) promised_ -= bytes;
  if (handle.buffer_.data() == nullptr) {
    why = NoSlot::kMemory;
    refused_ = true;
    --counts_.busy;
    return SlotHandle();
  }
  if (fresh) count_slot(handle.buffer_, 1);
  handle.ring_ = shared_from_this();
  return handle;
}

void Ring::lease_one(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  --counts_.busy;
  ++counts_.leased;
  counts_.leased_bytes += bytes;
}

void Ring::take_back(HostBuffer buffer, bool leased) {
  // In a forked child the lock may be held by a thread that does not exist there; the child has no
  // use for the slot anyway.
  if (process_id() != owner_) return;
  HostBuffer surplus;  // freed without the lock
  bool wanted = false;
  {
    std::lock_guard lock(mutex_);
    --(leased ? counts_.leased : counts_.busy);
    if (leased) counts_.leased_bytes -= buffer.size();
    wanted = leased && (room_ != 0 || std::exchange(refused_, false));
    // A steady loop needs the busy slots and two in the user's hands: this batch and the last one.
    if (static_cast<int>(free_.size()) + counts_.busy < depth_ + 2) {
      free_.push_back(std::move(buffer));
    } else {
      count_slot(buffer, -1);
      surplus = std::move(buffer);
    }
  }
  if (wanted && returned_) returned_->notify_one();
}

void Ring::count_slot(const HostBuffer& buffer, int by) {
  counts_.slots += by;
  counts_.bytes = by > 0 ? counts_.bytes + buffer.size() : counts_.bytes - buffer.size();
  if (buffer.pinned() == Pinned::kLocked) counts_.locked += by;
  if (buffer.pinned() == Pinned::kRegistered) counts_.registered += by;
}

bool Ring::has_room() const {
  std::lock_guard lock(mutex_);
  return counts_.busy < depth_;
}

RingCounts Ring::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace pyloader
