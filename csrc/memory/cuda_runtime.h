// The CUDA runtime, if the program has loaded one: looked up when it is needed, never linked.
#pragma once

#include <cstddef>

namespace pyloader {

// Page-locks memory for all devices. False where there is no runtime, or it refuses.
bool register_with_cuda(void* memory, size_t bytes);

// Takes that back; the memory must still be there.
void unregister_from_cuda(void* memory);

}  // namespace pyloader
