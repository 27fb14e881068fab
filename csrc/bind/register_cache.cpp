// Cache: where a loader may keep resized images.
#include <memory>
#include <string>

#include "bind/bind.h"
#include "cache/cache_place.h"

namespace pyloader {
namespace {

std::shared_ptr<CachePlace> make_place(const py::object& folder, uint64_t limit) {
  return std::make_shared<CachePlace>(
      folder.is_none() ? std::string() : py::cast<std::string>(folder), limit);
}

py::dict state_of(const CachePlace& place) {
  using namespace py::literals;
  const CacheState state = place.state();
  return py::dict("bytes"_a = state.bytes, "full"_a = state.full, "problem"_a = state.problem);
}

}  // namespace

void register_cache(py::module_& module) {
  py::class_<CachePlace, std::shared_ptr<CachePlace>>(module, "Cache")
      .def(py::init(&make_place), py::arg("folder"), py::arg("limit"))
      .def("state", &state_of)
      .def_property_readonly("has_problem", &CachePlace::has_problem);
}

}  // namespace pyloader
