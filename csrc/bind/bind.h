// What the files of bind/ share: conversions between the core's words and Python's. Every function
// here needs the GIL, but for what `hold` returns.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "augment/transform.h"
#include "base/pixels.h"
#include "base/status.h"
#include "bind/gil.h"
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

}  // namespace pyloader
