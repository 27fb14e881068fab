// Which instruction sets this process may use.
#pragma once

namespace pyloader {

enum class SimdLevel { kScalar = 0, kAvx2 = 1, kAvx512 = 2 };

// The best level that both the processor and this build have.
SimdLevel available_simd_level();

// The level in use: the available one, or a lower one named by the environment variable
// PYLOADER_SIMD (scalar, avx2, avx512). Read once per process. Every level gives the same bits.
SimdLevel simd_level();

const char* simd_level_name(SimdLevel level);

}  // namespace pyloader
