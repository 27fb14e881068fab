// What the files of bind/ share: conversions between the core's words and Python's. Every function
// here needs the GIL.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "augment/transform.h"
#include "base/pixels.h"
#include "base/status.h"
#include "image/axis_plan.h"
#include "ring/ring.h"

namespace pyloader {

namespace py = pybind11;

void register_build_info(py::module_& module);
void register_images(py::module_& module);
void register_transforms(py::module_& module);
void register_cache(py::module_& module);  // before the loader, which takes one
void register_loader(py::module_& module);

// Raise ValueError naming the value for unknown names.
ColorMode parse_color_mode(const std::string& name);
Filter parse_filter(const std::string& name);
Fidelity parse_fidelity(const std::string& name);
FillMode parse_fill_mode(const std::string& name);

// Raises the Python exception of a failed status: pyloader.errors.ImageError for a bad sample, what
// foreign code raised with the path attached, MemoryError, RuntimeError. `path` may be null.
[[noreturn]] void raise_status(const Status& status, const char* path);

// A writable, C-contiguous array over a leased slot; the slot goes back to the ring when the last
// view of the array dies.
py::array array_of_slot(SlotHandle slot, const py::dtype& dtype, std::vector<py::ssize_t> shape);

// Keeps a Python object alive from code that does not hold the GIL.
std::shared_ptr<void> hold(py::object object);

// Lets other threads into Python while it lives; made with the GIL, which it takes back at its end.
//
// Note [end of the interpreter]: until 3.14, CPython ends a daemon thread that wants the GIL while
// the interpreter goes down, by unwinding its stack; that would meet destructors, which terminate
// the process. From 3.14 on the thread sleeps until the process ends, and so it does here.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* const state_;
};

// True when the interpreter is going down and no thread may enter it any more.
bool python_is_finalizing();

}  // namespace pyloader
