#include "base/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pyloader {

SimdLevel available_simd_level() {
#if defined(__x86_64__)
  // AVX-512 here means what the kernels use: byte and word operations, byte shuffles and VNNI.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512vbmi")) {
    return SimdLevel::kAvx512;
  }
  if (__builtin_cpu_supports("avx2")) return SimdLevel::kAvx2;
#endif
  return SimdLevel::kScalar;
}

SimdLevel simd_level() {
  static const SimdLevel level = [] {
    const SimdLevel available = available_simd_level();
    const char* asked = std::getenv("PYLOADER_SIMD");
    if (asked == nullptr) return available;
    for (SimdLevel candidate : {SimdLevel::kScalar, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
      if (std::strcmp(asked, simd_level_name(candidate)) == 0) {
        return std::min(candidate, available);
      }
    }
    return available;
  }();
  return level;
}

const char* simd_level_name(SimdLevel level) {
  switch (level) {
    case SimdLevel::kAvx512: return "avx512";
    case SimdLevel::kAvx2: return "avx2";
    case SimdLevel::kScalar: break;
  }
  return "scalar";
}

}  // namespace pyloader
