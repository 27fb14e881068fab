#include "memory/process.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

namespace pyloader {

int process_id() { return static_cast<int>(::getpid()); }

void become_background_thread() {
#if defined(SCHED_BATCH)
  const sched_param priority = {};
  (void)::pthread_setschedparam(::pthread_self(), SCHED_BATCH, &priority);
#endif
}

uint64_t thread_cpu_ns() {
  timespec used = {};
#if defined(CLOCK_THREAD_CPUTIME_ID)
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) return 0;
#endif
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
}

std::string library_of(const void* address) {
  Dl_info info;
  return ::dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

}  // namespace pyloader
