// Tells damaged bytes from whole ones.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pyloader {

// 64 bits that change with any byte, as good as certainly; no protection from forgery. About as
// fast as memory. The same on all machines of one byte order.
uint64_t checksum(const void* data, size_t bytes, uint64_t seed);

}  // namespace pyloader
