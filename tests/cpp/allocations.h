// Counts the calls of operator new in a test that links allocations.cpp, and makes them fail.
#pragma once

#include <atomic>
#include <cstddef>

namespace pyloader::testing {

struct Allocations {
  std::atomic<bool> counting{false};
  std::atomic<long> count{0};
  std::atomic<long> fail_at{0};  // while counting, the call that fails, from 1; 0: none
  std::atomic<size_t> fail_above{~size_t{0}};  // larger ones fail always
};

inline Allocations allocations;

// Calls of this thread neither count nor fail.
inline thread_local bool is_exempt = false;

// How many calls `run` makes, on all threads.
template <class Run>
long count_allocations(Run run) {
  allocations.count = 0;
  allocations.counting = true;
  run();
  allocations.counting = false;
  return allocations.count;
}

}  // namespace pyloader::testing
