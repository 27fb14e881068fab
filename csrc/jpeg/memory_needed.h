// What decoding a file takes, by its header. Private to jpeg/.
#pragma once

#include <cstdint>

#include "jpeg/libjpeg.h"

namespace pyloader {

// Bytes at most, besides what rows are made into.
uint64_t memory_needed(const jpeg_decompress_struct& info);

// Whether libjpeg would hold many coefficients that a file of this size cannot fill. A complete
// file spends at least a bit on every block, be it blank; a header that promises twice that is an
// attack.
bool promises_too_much(const jpeg_decompress_struct& info, uint64_t file_bytes);

}  // namespace pyloader
