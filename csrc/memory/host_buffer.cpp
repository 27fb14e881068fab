#include "memory/host_buffer.h"

#include <sys/mman.h>

#include "memory/cuda_runtime.h"
#include "memory/process.h"

namespace pyloader {
namespace {

// Above this, fewer and larger pages save page faults.
constexpr size_t kHugePages = size_t{4} << 20;

Pinned pin(void* memory, size_t bytes, Pinning pinning) {
  if (pinning == Pinning::kOff) return Pinned::kNot;
  if (register_with_cuda(memory, bytes)) return Pinned::kRegistered;
  if (pinning == Pinning::kAlways && ::mlock(memory, bytes) == 0) return Pinned::kLocked;
  return Pinned::kNot;
}

}  // namespace

HostBuffer HostBuffer::allocate(size_t bytes, Pinning pinning) {
  HostBuffer buffer;
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return buffer;
#if defined(MADV_HUGEPAGE)
  if (bytes >= kHugePages) ::madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  buffer.data_ = static_cast<uint8_t*>(memory);
  buffer.size_ = bytes;
  buffer.pinned_ = pin(memory, bytes, pinning);
  buffer.owner_ = process_id();
  return buffer;
}

void HostBuffer::reset() {
  // A forked child has no CUDA: what the parent registered is the parent's.
  if (pinned_ == Pinned::kRegistered && owner_ == process_id()) unregister_from_cuda(data_);
  if (data_ != nullptr) ::munmap(data_, size_);  // unlocks
  data_ = nullptr;
  size_ = 0;
  pinned_ = Pinned::kNot;
}

}  // namespace pyloader
