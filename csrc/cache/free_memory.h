// How much memory this machine, or the container that the process is in, has left.
#pragma once

#include <cstdint>

namespace pyloader {

struct FreeMemory {
  uint64_t total = 0;      // bytes, of the machine or of the least limit of a control group
  uint64_t available = 0;  // of those, what programs may still take
};

// All zero where the system does not tell.
FreeMemory free_memory();

}  // namespace pyloader
