// A library to be preloaded that makes files slow, as on a network file system: each open, and each
// read that returns data, of files below a folder waits first. Waits of several threads overlap.
//
//     cc -shared -fPIC -O2 slow_files.c -o slow_files.so -ldl
//     SLOW_FILES_BELOW=/data/ SLOW_FILES_OPEN_US=10000 LD_PRELOAD=./slow_files.so python ...
//
// SLOW_FILES_READ_US is the wait of a read. With SLOW_FILES_REPORT=FILE, the end of the process
// writes there the number of files opened and the maximum of simultaneous waits.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kDescriptors = 65536 };

typedef int (*open_function)(const char*, int, ...);
typedef int (*close_function)(int);
typedef ssize_t (*read_function)(int, void*, size_t);

static open_function next_open;
static close_function next_close;
static read_function next_read;
static const char* below;
static long open_us, read_us;
static atomic_char is_slow[kDescriptors];
static atomic_long opened, waiting, most_waiting;

static long number(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : atol(text);
}

__attribute__((constructor)) static void begin(void) {
  next_open = (open_function)dlsym(RTLD_NEXT, "open");
  next_close = (close_function)dlsym(RTLD_NEXT, "close");
  next_read = (read_function)dlsym(RTLD_NEXT, "read");
  below = getenv("SLOW_FILES_BELOW");
  open_us = number("SLOW_FILES_OPEN_US");
  read_us = number("SLOW_FILES_READ_US");
}

__attribute__((destructor)) static void end(void) {
  const char* path = getenv("SLOW_FILES_REPORT");
  FILE* file = path == NULL ? NULL : fopen(path, "w");
  if (file == NULL) return;
  fprintf(file, "%ld %ld\n", atomic_load(&opened), atomic_load(&most_waiting));
  fclose(file);
}

static void wait_for(long microseconds) {
  if (microseconds <= 0) return;
  const long now_waiting = atomic_fetch_add(&waiting, 1) + 1;
  long most = atomic_load(&most_waiting);
  while (now_waiting > most && !atomic_compare_exchange_weak(&most_waiting, &most, now_waiting)) {
  }
  struct timespec rest = {microseconds / 1000000, microseconds % 1000000 * 1000};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
  atomic_fetch_sub(&waiting, 1);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const int slow = below != NULL && strncmp(path, below, strlen(below)) == 0;
  if (slow) {
    atomic_fetch_add(&opened, 1);
    wait_for(open_us);
  }
  const int descriptor = next_open(path, flags, mode);
  if (descriptor >= 0 && descriptor < kDescriptors) is_slow[descriptor] = (char)slow;
  return descriptor;
}

int open64(const char* path, int flags, ...) __attribute__((alias("open")));

int close(int descriptor) {
  if (descriptor >= 0 && descriptor < kDescriptors) is_slow[descriptor] = 0;
  return next_close(descriptor);
}

ssize_t read(int descriptor, void* bytes, size_t count) {
  const ssize_t got = next_read(descriptor, bytes, count);
  const int slow = descriptor >= 0 && descriptor < kDescriptors && is_slow[descriptor];
  if (slow && got > 0) wait_for(read_us);  // the end of a file is known without asking
  return got;
}
