#include "memory/process.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

namespace pyloader {

int process_id() { return static_cast<int>(::getpid()); }

void become_background_thread() {
#if defined(SCHED_BATCH)
  const sched_param priority = {};
  (void)::pthread_setschedparam(::pthread_self(), SCHED_BATCH, &priority);
#endif
}

}  // namespace pyloader
