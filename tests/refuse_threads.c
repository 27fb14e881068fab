/* For LD_PRELOAD: a system that refuses new threads, once it is told to. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

typedef int create_function(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

/* Threads that may still be created; negative: any number. */
static atomic_int granted = -1;

void grant_threads(int count) { atomic_store(&granted, count); }

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  static _Atomic(create_function*) original;
  if (atomic_load(&original) == 0) {
    atomic_store(&original, (create_function*)dlsym(RTLD_NEXT, "pthread_create"));
  }
  if (atomic_load(&granted) == 0) return EAGAIN;
  if (atomic_load(&granted) > 0) atomic_fetch_sub(&granted, 1);
  return atomic_load(&original)(thread, attributes, start, argument);
}
