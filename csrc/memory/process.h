// What the core asks of the operating system about processes and threads.
#pragma once

namespace pyloader {

// Identifies this process. A forked child differs from its parent: threads and locks of the parent
// do not exist in it.
int process_id();

// Tells the scheduler that the calling thread does bulk work: when it wakes up it does not push
// aside the thread that runs, such as the consumer who woke it. Its share of the processor stays.
void become_background_thread();

}  // namespace pyloader
