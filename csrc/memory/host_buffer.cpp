#include "memory/host_buffer.h"

#include <sys/mman.h>

namespace pyloader {
namespace {

// Above this, fewer and larger pages save page faults.
constexpr size_t kHugePages = size_t{4} << 20;

}  // namespace

HostBuffer HostBuffer::allocate(size_t bytes) {
  HostBuffer buffer;
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return buffer;
#if defined(MADV_HUGEPAGE)
  if (bytes >= kHugePages) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  buffer.data_ = static_cast<uint8_t*>(memory);
  buffer.size_ = bytes;
  return buffer;
}

void HostBuffer::reset() {
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace pyloader
