// transform_image(): one image's augmentation on the calling thread.
#include <array>
#include <string>

#include "augment/augmenter.h"
#include "bind/bind.h"

namespace pyloader {
namespace {

using Image = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Row = py::array_t<double, py::array::c_style | py::array::forcecast>;

py::array_t<float> transform_image(const Image& image, const Row& transform, bool channels_first,
                                   const std::string& fill_mode, double cval, int order) {
  if (image.ndim() != 3 || image.size() == 0) throw py::value_error("image must have rank 3");
  if (transform.size() != py::ssize_t{SampleTransform::kColumns}) {
    throw py::value_error("transform must be one row");
  }
  const auto side = [&](int axis) { return static_cast<int>(image.shape(axis)); };
  const int first = channels_first ? 1 : 0;
  const SampleLayout layout = {.size = {.width = side(first + 1), .height = side(first)},
                               .channels = side(channels_first ? 0 : 2),
                               .channels_first = channels_first,
                               .item_size = sizeof(float)};
  const AugmentSpec spec = {
      .fill_mode = parse_fill_mode(fill_mode), .cval = cval, .order = order, .exact = true};
  const SampleTransform parsed =
      transform_from_row(std::span<const double, SampleTransform::kColumns>(
          transform.data(), SampleTransform::kColumns));
  py::array_t<float> result({image.shape(0), image.shape(1), image.shape(2)});
  auto* out = reinterpret_cast<uint8_t*>(result.mutable_data());
  const float* pixels = image.data();
  {
    const WithoutGil released;
    Augmenter augmenter(layout, spec, FloatTarget::kFloat32, simd_level());
    augmenter.run(parsed, pixels, out);
  }
  return result;
}

}  // namespace

void register_transforms(py::module_& module) {
  module.def("transform_image", &transform_image, py::arg("image"), py::arg("transform"),
             py::kw_only(), py::arg("channels_first"), py::arg("fill_mode"), py::arg("cval"),
             py::arg("order"));
}

}  // namespace pyloader
