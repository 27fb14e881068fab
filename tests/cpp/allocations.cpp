#include "allocations.h"

#include <cstdlib>
#include <new>

namespace {

void* take(size_t size, size_t alignment) noexcept {
  auto& state = pyloader::testing::allocations;
  if (!pyloader::testing::is_exempt) {
    if (state.counting && ++state.count == state.fail_at) return nullptr;
    if (size > state.fail_above) return nullptr;
  }
  // aligned_alloc wants a multiple of the alignment.
  const size_t rounded = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

void* take_or_throw(size_t size, size_t alignment) {
  void* memory = take(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr size_t kUsual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

void* operator new(size_t size) { return take_or_throw(size, kUsual); }
void* operator new[](size_t size) { return take_or_throw(size, kUsual); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return take(size, kUsual); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return take(size, kUsual); }
void* operator new(size_t size, std::align_val_t alignment) {
  return take_or_throw(size, static_cast<size_t>(alignment));
}
void* operator new[](size_t size, std::align_val_t alignment) {
  return take_or_throw(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
