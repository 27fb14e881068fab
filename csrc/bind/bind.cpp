#include "bind/bind.h"

#include <memory>
#include <utility>

namespace pyloader {

ColorMode parse_color_mode(const std::string& name) {
  if (name == "grayscale") return ColorMode::kGrayscale;
  if (name == "rgb") return ColorMode::kRgb;
  if (name == "rgba") return ColorMode::kRgba;
  throw py::value_error("unknown color_mode: " + name);
}

Filter parse_filter(const std::string& name) {
  constexpr std::pair<const char*, Filter> kNames[] = {
      {"nearest", Filter::kNearest}, {"box", Filter::kBox},         {"bilinear", Filter::kBilinear},
      {"hamming", Filter::kHamming}, {"bicubic", Filter::kBicubic}, {"lanczos", Filter::kLanczos},
  };
  for (const auto& [known, filter] : kNames) {
    if (name == known) return filter;
  }
  throw py::value_error("unknown interpolation: " + name);
}

Fidelity parse_fidelity(const std::string& name) {
  if (name == "exact") return Fidelity::kExact;
  if (name == "fast") return Fidelity::kFast;
  throw py::value_error("unknown fidelity: " + name);
}

FillMode parse_fill_mode(const std::string& name) {
  constexpr std::pair<const char*, FillMode> kNames[] = {{"nearest", FillMode::kNearest},
                                                         {"constant", FillMode::kConstant},
                                                         {"reflect", FillMode::kReflect},
                                                         {"wrap", FillMode::kWrap}};
  for (const auto& [known, mode] : kNames) {
    if (name == known) return mode;
  }
  throw py::value_error("unknown fill_mode: " + name);
}

std::shared_ptr<void> hold(py::object object) {
  return {object.release().ptr(), [](void* held) {
            if (python_is_finalizing()) return;
            const WithGil gil;
            run_python([held] { Py_DECREF(static_cast<PyObject*>(held)); });
          }};
}

namespace {

py::object path_object(const char* path) {
  if (path == nullptr) return py::none();
  return py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefault(path));
}

[[noreturn]] void raise(const py::object& exception) {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

}  // namespace

void raise_status(const Status& status, const char* path) {
  const py::module_ errors = py::module_::import("pyloader.errors");
  switch (status.code()) {
    case StatusCode::kForeign: {
      const auto exception =
          py::reinterpret_borrow<py::object>(static_cast<PyObject*>(status.cause().get()));
      errors.attr("attach_path")(exception, path_object(path));
      raise(exception);
    }
    case StatusCode::kOutOfMemory: {
      const std::string where = path == nullptr ? "" : std::string(" (") + path + ")";
      PyErr_SetString(PyExc_MemoryError, (status.reason() + where).c_str());
      throw py::error_already_set();
    }
    case StatusCode::kMemoryLimit: raise(errors.attr("MemoryLimitError")(status.reason()));
    case StatusCode::kReadFailed:
    case StatusCode::kBadImage:
    case StatusCode::kTooLarge:
      raise(errors.attr("ImageError")(path_object(path), status.reason()));
    case StatusCode::kOk:
    case StatusCode::kClosed:
    case StatusCode::kInvalid: break;
  }
  throw std::runtime_error(status.reason());
}

py::array array_of_slot(SlotHandle slot, const py::dtype& dtype, std::vector<py::ssize_t> shape) {
  auto held = std::make_unique<SlotHandle>(std::move(slot));
  void* data = held->data();
  py::capsule lease(held.get(), [](void* handle) { delete static_cast<SlotHandle*>(handle); });
  held.release();
  return py::array(dtype, std::move(shape), data, lease);
}

}  // namespace pyloader
