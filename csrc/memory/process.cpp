#include "memory/process.h"

#include <dlfcn.h>
#if defined(__linux__)
#include <malloc.h>
#endif
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

namespace pyloader {
namespace {

std::mutex& make_mutex_of_forks() {
  static std::mutex& made = *new std::mutex;  // forks at the end of the process need it, too
  const auto unlock = [] { made.unlock(); };
  (void)::pthread_atfork([] { made.lock(); }, unlock, unlock);
  return made;
}

std::mutex& made_early = make_mutex_of_forks();  // before there are threads

}  // namespace

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

std::mutex& forks_wait_for() { return made_early; }

void return_free_memory() {
#if defined(__GLIBC__)
  (void)::malloc_trim(0);
#endif
}

std::string library_of(const void* address) {
  Dl_info info;
  return ::dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

}  // namespace pyloader
