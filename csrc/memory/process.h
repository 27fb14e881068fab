// What the core asks of the operating system about processes and threads.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

namespace pyloader {

// Identifies this process. A forked child differs from its parent: threads and locks of the parent
// do not exist in it.
int process_id();

// Tells the scheduler that the calling thread does bulk work: when it wakes up it does not push
// aside the thread that runs, such as the consumer who woke it. Its share of the processor stays.
void become_background_thread();

// Every fork waits for this mutex: no child finds half done what is done while it is held. The GIL
// must not be waited for meanwhile.
std::mutex& forks_wait_for();

// Has the heap return its free pages to the system, where it knows how to.
void return_free_memory();

// The file of the library or program that holds this code or data; "" where that is not known.
std::string library_of(const void* address);

// Processor time that the calling thread has used, in nanoseconds; 0 where that is not known.
uint64_t thread_cpu_ns();

}  // namespace pyloader
