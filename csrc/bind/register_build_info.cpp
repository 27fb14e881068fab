// build_info(): what this build is and what it found on this machine.
#include "base/cpu.h"
#include "bind/bind.h"
#include "jpeg/decoder.h"
#include "memory/process.h"

namespace pyloader {
namespace {

py::dict build_info() {
  using namespace py::literals;
#ifdef NDEBUG
  constexpr bool asserts = false;
#else
  constexpr bool asserts = true;
#endif
  return py::dict("version"_a = PYLOADER_VERSION, "compiler"_a = __VERSION__,
                  "simd"_a = simd_level_name(simd_level()),
                  "simd_available"_a = simd_level_name(available_simd_level()),
                  "libjpeg_turbo"_a = libjpeg_turbo_version(),
                  "libjpeg_file"_a = library_of(libjpeg_turbo_code()),
                  "entropy"_a = entropy_decoder_name(entropy_decoder()), "asserts"_a = asserts);
}

}  // namespace

void register_build_info(py::module_& module) { module.def("build_info", &build_info); }

}  // namespace pyloader
