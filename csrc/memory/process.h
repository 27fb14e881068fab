// What the core asks of the operating system about processes and threads.
#pragma once

#include <cstdint>

namespace pyloader {

// Identifies this process. A forked child differs from its parent: threads and locks of the parent
// do not exist in it.
int process_id();

// Tells the scheduler that the calling thread does bulk work: when it wakes up it does not push
// aside the thread that runs, such as the consumer who woke it. Its share of the processor stays.
void become_background_thread();

// Processor time that the calling thread has used, in nanoseconds; 0 where that is not known.
uint64_t thread_cpu_ns();

}  // namespace pyloader
