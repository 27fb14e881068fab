// The ring of batch slots: free -> filling -> ready -> leased -> free.
//
// At most `depth` slots are filling or ready at a time; that bound is the backpressure. Leased
// slots belong to the user and do not count: who keeps every batch makes the ring grow, and never
// sees a batch overwritten or waits for itself.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "memory/host_buffer.h"

namespace pyloader {

struct RingCounts {
  int slots = 0;              // in existence
  int busy = 0;               // filling or ready
  int leased = 0;             // in the users' hands
  uint64_t bytes = 0;         // held by all slots
  uint64_t leased_bytes = 0;  // by those in the users' hands
  int locked = 0;             // slots locked by the system
  int registered = 0;         // slots registered with CUDA
};

// Why there is no slot to be had.
enum class NoSlot { kNone, kDepth, kRoom, kMemory };

class Ring;

// One slot's memory in somebody's hands: the loader's while a batch is filled and waits, the user's
// once it is leased. Gives the slot back when it dies. Movable, empty by default; any thread.
class SlotHandle {
 public:
  SlotHandle() = default;
  ~SlotHandle() { release(); }
  SlotHandle(SlotHandle&& other) noexcept = default;
  SlotHandle& operator=(SlotHandle&& other) noexcept;

  uint8_t* data() const { return buffer_.data(); }
  explicit operator bool() const { return ring_ != nullptr; }

  // From the loader's hands to the user's: ready -> leased.
  void lease();
  void release();

 private:
  friend class Ring;
  std::shared_ptr<Ring> ring_;
  HostBuffer buffer_;
  bool leased_ = false;
};

// Create with std::make_shared: handles keep their ring alive. Any thread.
class Ring : public std::enable_shared_from_this<Ring> {
 public:
  // `room`: bytes that all slots together may take, the users' too; 0: no bound. `returned` is
  // notified when a user's slot comes back and there is a bound, or the system had no memory.
  explicit Ring(int depth, Pinning pinning = Pinning::kOff, uint64_t room = 0,
                std::shared_ptr<std::condition_variable> returned = nullptr);

  // free -> filling: a slot of at least `bytes`. An empty handle while `depth` slots are busy, when
  // there is no room for it beside the slots in use, or when the system has no memory; `why` tells.
  SlotHandle acquire(size_t bytes, NoSlot& why);

  // Whether `acquire` would find a place.
  bool has_room() const;

  RingCounts counts() const;
  int depth() const { return depth_; }

 private:
  friend class SlotHandle;
  void lease_one(uint64_t bytes);
  void take_back(HostBuffer buffer, bool leased);
  void count_slot(const HostBuffer& buffer, int by);  // with mutex_

  const int depth_;
  const Pinning pinning_;
  const uint64_t room_;
  const std::shared_ptr<std::condition_variable> returned_;
  const int owner_;  // process id
  mutable std::mutex mutex_;
  std::vector<HostBuffer> free_;  // guarded by mutex_
  uint64_t promised_ = 0;         // bytes of slots that are being allocated; guarded by mutex_
  bool refused_ = false;          // the system had no memory for a slot; guarded by mutex_
  RingCounts counts_;             // guarded by mutex_
};

}  // namespace pyloader
