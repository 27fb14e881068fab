// load_image(): one image on the calling thread. fitted_place(): where a padded one lies.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <pybind11/stl.h>

#include "bind/bind.h"
#include "bind/python_code.h"
#include "image/resize_plan.h"
#include "io/file_source.h"
#include "loader/load_image.h"

namespace pyloader {
namespace {

py::object load_image_bound(const py::bytes& source, bool is_path, py::object hooks,
                            const std::string& color_mode, int height, int width,
                            const std::string& interpolation, bool keep_aspect_ratio,
                            const std::string& fidelity, int64_t max_pixels, bool load_truncated) {
  const ImageRequest request = {.color_mode = parse_color_mode(color_mode),
                                .target = {width, height},
                                .filter = parse_filter(interpolation),
                                .keep_aspect_ratio = keep_aspect_ratio,
                                .fidelity = parse_fidelity(fidelity),
                                .limits = {.pixels = max_pixels},
                                .load_truncated = load_truncated};
  const int channels = channels_of(request.color_mode);
  PythonCode foreign(std::move(hooks), py::dtype::of<uint8_t>(),
                     {.size = request.target, .channels = channels});
  const auto text = static_cast<std::string_view>(source);  // which the caller keeps alive
  bool stored = false;
  Status status;
  py::array_t<uint8_t> pixels;
  {
    const WithoutGil released;
    const auto allocate = [&](Size size) {
      const WithGil gil;
      pixels = py::array_t<uint8_t>({size.height, size.width, channels});
      return pixels.mutable_data();
    };
    if (is_path) {
      FileSource file;
      status = file.open(text.data());  // bytes objects end with a null
      if (status.ok()) status = load_image(file, request, foreign, allocate, stored);
    } else {
      MemorySource content({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
      status = load_image(content, request, foreign, allocate, stored);
    }
  }
  if (!status.ok()) raise_status(status, is_path ? text.data() : nullptr);
  if (stored) return py::none();
  return pixels;
}

py::tuple fitted_place(std::pair<int, int> size, std::pair<int, int> target) {
  if (std::min({size.first, size.second, target.first, target.second}) < 1) {
    throw py::value_error("sizes must be > 0");
  }
  const Box box = fitted_box({.width = size.second, .height = size.first},
                             {.width = target.second, .height = target.first});
  return py::make_tuple(box.top, box.left, box.bottom - box.top, box.right - box.left);
}

}  // namespace

void register_images(py::module_& module) {
  module.def("load_image", &load_image_bound, py::arg("source"), py::arg("is_path"),
             py::arg("hooks"), py::kw_only(), py::arg("color_mode"), py::arg("height"),
             py::arg("width"), py::arg("interpolation"), py::arg("keep_aspect_ratio"),
             py::arg("fidelity") = "exact", py::arg("max_pixels") = ImageLimits().pixels,
             py::arg("load_truncated") = false);
  module.def("fitted_place", &fitted_place, py::arg("size"), py::arg("target"));
}

}  // namespace pyloader
