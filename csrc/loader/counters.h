// What the loader did and where its time went.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

namespace pyloader {

inline uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

// Counters of one worker. Only that worker writes; anybody may read.
struct alignas(64) WorkerCounters {
  std::atomic<uint64_t> samples{0};
  std::atomic<uint64_t> errors{0};
  std::atomic<uint64_t> bytes_read{0};
  std::atomic<uint64_t> jpegs_own{0};      // by the entropy decoder of our own
  std::atomic<uint64_t> jpegs_libjpeg{0};  // by libjpeg's
  std::atomic<uint64_t> read_ns{0};
  std::atomic<uint64_t> decode_ns{0};
  std::atomic<uint64_t> resize_ns{0};
  std::atomic<uint64_t> other_ns{0};
  std::atomic<uint64_t> hook_ns{0};
  std::atomic<uint64_t> cache_hits{0};
  std::atomic<uint64_t> cache_misses{0};
  std::atomic<uint64_t> cache_ns{0};  // copying from the cache and to it
  std::atomic<uint64_t> idle_ns{0};
  std::atomic<uint64_t> cpu_ns{0};  // of the worker's thread, since its start

  // Relaxed: a counter orders nothing, and with one writer load and store lose no update.
  static void add(std::atomic<uint64_t>& counter, uint64_t value) {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
};

// Time since construction or the last `lap`, in nanoseconds.
class Stopwatch {
 public:
  uint64_t lap() {
    const uint64_t now = now_ns();
    return now - std::exchange(start_, now);
  }

 private:
  uint64_t start_ = now_ns();
};

}  // namespace pyloader
