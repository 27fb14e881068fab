// The ring of slots: its bound, its leases, its memory.
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "check.h"
#include "inputs.h"
#include "memory/host_buffer.h"
#include "ring/ring.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr size_t kBytes = 10000;

SlotHandle acquire(Ring& ring, size_t bytes = kBytes) {
  NoSlot why = NoSlot::kMemory;
  SlotHandle slot = ring.acquire(bytes, why);
  check(why == (slot ? NoSlot::kNone : NoSlot::kDepth), "why");
  return slot;
}

void check_counts(const Ring& ring, int slots, int busy, int leased, int line = __builtin_LINE()) {
  const RingCounts counts = ring.counts();
  check_equal(counts.slots, slots, "slots", __FILE__, line);
  check_equal(counts.busy, busy, "busy", __FILE__, line);
  check_equal(counts.leased, leased, "leased", __FILE__, line);
}

void depth_bounds_what_is_busy() {
  for (int depth = 1; depth <= 5; ++depth) {
    const auto ring = std::make_shared<Ring>(depth);
    check_equal(ring->depth(), depth);
    std::vector<SlotHandle> slots;
    for (int i = 0; i < depth; ++i) {
      slots.push_back(acquire(*ring));
      check(static_cast<bool>(slots.back()), "a slot below the bound");
    }
    check_counts(*ring, depth, depth, 0);
    check(!acquire(*ring), "a slot beyond the bound");
    slots.front().release();
    slots.front().release();
    check(!slots.front(), "a released handle is empty");
    slots.front() = acquire(*ring);
    check(static_cast<bool>(slots.front()), "a slot that came back");
    check(!acquire(*ring), "a slot beyond the bound");
  }
}

void leases_do_not_count() {
  const auto ring = std::make_shared<Ring>(2);
  std::vector<SlotHandle> leased;
  std::set<uint8_t*> places;
  for (int i = 0; i < 50; ++i) {
    leased.push_back(acquire(*ring));
    check(static_cast<bool>(leased.back()), "who keeps every batch gets the next");
    places.insert(leased.back().data());
    std::memset(leased.back().data(), i, kBytes);
    leased.back().lease();
    leased.back().lease();  // once is enough
  }
  check_equal(places.size(), size_t{50}, "slots of their own");
  check_counts(*ring, 50, 0, 50);
  check_equal(ring->counts().bytes, uint64_t{50} * kBytes);
  int value = 0;
  for (const SlotHandle& slot : leased) check(slot.data()[kBytes - 1] == value++, "kept");
}

void leases_that_end_shrink_the_ring() {
  const auto ring = std::make_shared<Ring>(3);
  std::vector<SlotHandle> leased;
  for (int i = 0; i < 20; ++i) {
    leased.push_back(acquire(*ring));
    leased.back().lease();
  }
  leased.clear();
  check_counts(*ring, 5, 0, 0);  // depth and two
  check_equal(ring->counts().bytes, uint64_t{5} * kBytes);
}

void a_steady_loop_reuses_its_memory() {
  const auto ring = std::make_shared<Ring>(2);
  std::set<uint8_t*> places;
  SlotHandle batch, last;
  for (int i = 0; i < 100; ++i) {
    SlotHandle ahead = acquire(*ring);
    SlotHandle slot = acquire(*ring);
    places.insert(slot.data());
    slot.lease();
    last = std::move(batch);
    batch = std::move(slot);
  }
  check(places.size() <= 4, "more memory than depth and two");
  check(ring->counts().slots <= 4, "more slots than depth and two");
}

void sizes_may_change() {
  const auto ring = std::make_shared<Ring>(2);
  Random random(41);
  for (int i = 0; i < 300; ++i) {
    const auto bytes = static_cast<size_t>(random.between(1, 60000));
    SlotHandle a = acquire(*ring, bytes), b = acquire(*ring, bytes / 2 + 1);
    std::memset(a.data(), 1, bytes);
    std::memset(b.data(), 2, bytes / 2 + 1);
    check(a.data()[bytes - 1] == 1, "slots overlap");
    check(ring->counts().slots <= 4, "slots pile up");
    check(ring->counts().bytes <= 4 * 60000, "bytes pile up");
    if (random.below(2) == 0) a.lease();
  }
  check_counts(*ring, ring->counts().slots, 0, 0);
}

void handles_outlive_the_owner() {
  auto ring = std::make_shared<Ring>(1);
  const std::weak_ptr<Ring> watch = ring;
  SlotHandle slot = acquire(*ring);
  slot.lease();
  ring.reset();
  check(!watch.expired(), "a handle keeps its ring");
  std::memset(slot.data(), 7, kBytes);
  SlotHandle moved = std::move(slot);
  check(moved.data()[kBytes - 1] == 7);
  moved.release();
  check(watch.expired(), "the last handle ends the ring");
}

void handles_move() {
  const auto ring = std::make_shared<Ring>(3);
  SlotHandle a = acquire(*ring), b = acquire(*ring);
  uint8_t* const place = b.data();
  a.lease();
  a = std::move(b);
  check(a.data() == place);
  check_counts(*ring, 2, 1, 0);
  SlotHandle& self = a;
  a = std::move(self);
  check(a.data() == place, "moved to itself");
  a.lease();
  SlotHandle c(std::move(a));
  check_counts(*ring, 2, 0, 1);
  c = SlotHandle();
  check_counts(*ring, 2, 0, 0);
  SlotHandle empty;
  empty.lease();
  empty.release();
}

void what_does_not_fit_in_memory_is_told() {
  const auto ring = std::make_shared<Ring>(1);
  NoSlot why = NoSlot::kNone;
  const SlotHandle slot = ring->acquire(size_t{1} << 62, why);
  check(why == NoSlot::kMemory && !slot);
  check_counts(*ring, 0, 0, 0);
  check(static_cast<bool>(acquire(*ring)), "the place is free again");
}

void a_forked_child_only_lets_go() {
  const auto ring = std::make_shared<Ring>(1);
  SlotHandle slot = acquire(*ring);
  const pid_t child = ::fork();
  if (child == 0) {
    slot.release();
    ::_exit(ring->counts().busy == 1 ? 0 : 1);  // the child's ring is left as it was
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  check_equal(status, 0);
  check_counts(*ring, 1, 1, 0);
}

void threads_share_a_ring() {
  const auto ring = std::make_shared<Ring>(3);
  std::atomic<int> busy{0};
  std::vector<std::thread> threads;
  for (uint8_t id = 1; id <= 5; ++id) {
    threads.emplace_back([&, id] {
      Random random(id);
      std::vector<SlotHandle> kept;
      for (int i = 0; i < 400; ++i) {
        SlotHandle slot = acquire(*ring);
        if (!slot) {
          std::this_thread::yield();
          continue;
        }
        check(busy.fetch_add(1) < 3, "too many slots are busy");
        std::memset(slot.data(), id, kBytes);
        for (size_t at = 0; at < kBytes; at += 500) check(slot.data()[at] == id, "shared slot");
        busy.fetch_sub(1);
        if (random.below(2) == 0) {
          slot.lease();
          kept.push_back(std::move(slot));
        }
        for (const SlotHandle& handle : kept) check(handle.data()[77] == id, "overwritten lease");
        if (kept.size() > 4) kept.erase(kept.begin());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  check_counts(*ring, ring->counts().slots, 0, 0);
  check(ring->counts().slots <= 5, "slots pile up");
}

void buffers_are_zero_and_move() {
  HostBuffer buffer = HostBuffer::allocate(12345);
  check(buffer.data() != nullptr && buffer.size() == 12345);
  for (size_t i = 0; i < 12345; ++i) check(buffer.data()[i] == 0);
  uint8_t* const place = buffer.data();
  HostBuffer other = std::move(buffer);
  check(other.data() == place && buffer.data() == nullptr && buffer.size() == 0);
  buffer = std::move(other);
  check(buffer.data() == place && other.data() == nullptr);
  check(reinterpret_cast<uintptr_t>(place) % 4096 == 0, "page-aligned");
  check(HostBuffer::allocate(size_t{1} << 62).data() == nullptr, "too large");
  HostBuffer large = HostBuffer::allocate(size_t{9} << 20);
  large.data()[(size_t{9} << 20) - 1] = 1;
}

void a_room_bounds_all_slots_together() {
  const auto returned = std::make_shared<std::condition_variable>();
  const auto ring = std::make_shared<Ring>(4, Pinning::kOff, 3 * kBytes, returned);
  NoSlot why = NoSlot::kNone;
  std::vector<SlotHandle> leased;
  for (int i = 0; i < 3; ++i) {
    leased.push_back(ring->acquire(kBytes, why));
    check(static_cast<bool>(leased.back()));
    leased.back().lease();
  }
  check_equal(ring->counts().leased_bytes, uint64_t{3 * kBytes});
  check(!ring->acquire(kBytes, why) && why == NoSlot::kRoom, "no room");
  leased.pop_back();
  check(!ring->acquire(kBytes + 1, why) && why == NoSlot::kRoom, "no room for a larger one");
  check(static_cast<bool>(ring->acquire(kBytes, why)), "room again");
  leased.clear();
  check_equal(ring->counts().leased_bytes, uint64_t{0});
  // Free slots make way for one of another size.
  check(static_cast<bool>(ring->acquire(3 * kBytes, why)), "all the room");
  check(ring->counts().bytes <= 3 * kBytes, "within the room");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"depth bounds the slots that are filling or ready", depth_bounds_what_is_busy},
          {"leased slots do not count and are never handed out again", leases_do_not_count},
          {"leases that end shrink the ring to depth and two", leases_that_end_shrink_the_ring},
          {"a steady loop reuses its memory", a_steady_loop_reuses_its_memory},
          {"sizes may change from slot to slot", sizes_may_change},
          {"handles outlive the ring's owner", handles_outlive_the_owner},
          {"handles move and release what they held", handles_move},
          {"what does not fit in memory is told, and takes no place",
           what_does_not_fit_in_memory_is_told},
          {"a forked child only lets go of its slots", a_forked_child_only_lets_go},
          {"threads share a ring without sharing a slot", threads_share_a_ring},
          {"buffers are zero, page-aligned, and move", buffers_are_zero_and_move},
          {"a room bounds all slots together, the users' too", a_room_bounds_all_slots_together},
      });
}
