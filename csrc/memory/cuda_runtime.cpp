#include "memory/cuda_runtime.h"

#include <dlfcn.h>

#include <initializer_list>
#include <mutex>

#include "memory/process.h"

namespace pyloader {
namespace {

// The runtime's own declarations, as its documentation gives them; an int stands for cudaError_t.
using HostRegister = int (*)(void*, size_t, unsigned);
using HostUnregister = int (*)(void*);
constexpr unsigned kPortable = 1;  // pinned for every device's context

// A function of the runtime that is loaded already; null without one. Frameworks load theirs where
// a global lookup does not find it, so it is asked for by its name. glibc looks into its cache of
// libraries for that, and the child of a fork that finds it half closed dies with its next dlopen.
void* find_function(const char* function) {
  const std::lock_guard lock(forks_wait_for());
  for (const char* name :
       {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so"}) {
    void* library = ::dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) continue;
    void* found = ::dlsym(library, function);
    ::dlclose(library);  // only what RTLD_NOLOAD counted: the program keeps it loaded
    if (found != nullptr) return found;
  }
  return nullptr;
}

}  // namespace

bool register_with_cuda(void* memory, size_t bytes) {
  const auto host_register = reinterpret_cast<HostRegister>(find_function("cudaHostRegister"));
  return host_register != nullptr && host_register(memory, bytes, kPortable) == 0;
}

void unregister_from_cuda(void* memory) {
  const auto unregister = reinterpret_cast<HostUnregister>(find_function("cudaHostUnregister"));
  if (unregister != nullptr) (void)unregister(memory);
}

}  // namespace pyloader
