#include "bind/python_code.h"

#include "augment/transform.h"

#include <memory>
#include <stdexcept>
#include <utility>

namespace pyloader {
namespace {

Status finalizing() { return {StatusCode::kClosed, "the interpreter is shutting down"}; }

py::object transform_row(const double* transform) {
  if (transform == nullptr) return py::none();
  return py::array_t<double>(SampleTransform::kColumns, transform);
}

// An OSError of the decoder of another format is a verdict on the file. Everything else, such as an
// exception of the user's function on a deep image, reaches the caller as it is.
Status verdict_of(py::error_already_set& error) {
  if (error.matches(PyExc_MemoryError)) return {StatusCode::kOutOfMemory, "no memory to decode it"};
  if (!error.matches(PyExc_OSError)) {
    return Status::foreign(std::make_shared<py::error_already_set>(error));
  }
  const py::object reason = py::getattr(error.value(), "reason", error.value());
  return {StatusCode::kBadImage, py::str(reason).cast<std::string>()};
}

}  // namespace

std::vector<py::ssize_t> sample_shape(const SampleLayout& layout) {
  const py::ssize_t height = layout.size.height, width = layout.size.width;
  const py::ssize_t channels = layout.channels;
  if (layout.channels_first) return {channels, height, width};
  return {height, width, channels};
}

PythonCode::PythonCode(py::object hooks, py::dtype dtype, const SampleLayout& layout)
    : hooks_(std::move(hooks)),
      dtype_(std::move(dtype)),
      layout_(layout),
      shape_(sample_shape(layout)),
      has_finish_(hooks_.attr("has_finish").cast<bool>()),
      native_transform_(hooks_.attr("native_transform").cast<bool>()) {}

PythonCode::~PythonCode() {
  if (python_is_finalizing()) {
    hooks_.release();
    dtype_.release();
    return;
  }
  py::gil_scoped_acquire gil;
  hooks_ = py::object();
  dtype_.release().dec_ref();
}

// The place of a sample inside its batch, as an array that owns nothing.
py::object PythonCode::sample_view(uint8_t* destination) const {
  if (destination == nullptr) return py::none();
  const py::capsule nobody(destination, [](void*) {});
  return py::array(dtype_, shape_, destination, nobody);
}

OtherImage PythonCode::image_of(const py::object& result) const {
  using Pixels = py::array_t<uint8_t, py::array::c_style>;
  if (!py::isinstance<Pixels>(result)) {
    throw std::invalid_argument("decode_other returned something else than a uint8 array");
  }
  auto pixels = py::cast<Pixels>(result);
  if (pixels.ndim() != 3 || pixels.shape(2) != layout_.channels || pixels.size() == 0) {
    throw std::invalid_argument("decode_other returned an array of another shape than (H, W, C)");
  }
  OtherImage image;
  image.view = {.data = pixels.data(),
                .size = {static_cast<int>(pixels.shape(1)), static_cast<int>(pixels.shape(0))},
                .channels = layout_.channels,
                .stride = pixels.strides(0)};
  image.owner = hold(std::move(pixels));
  return image;
}

Status PythonCode::decode_other(std::span<const uint8_t> content, uint8_t* destination,
                                const double* transform, OtherImage& image) {
  if (python_is_finalizing()) return finalizing();
  py::gil_scoped_acquire gil;
  try {
    const py::bytes bytes(reinterpret_cast<const char*>(content.data()), content.size());
    const py::object result = hooks_.attr("decode_other")(bytes, sample_view(destination), transform_row(transform));
    if (result.is_none()) {
      image.stored = true;
    } else {
      image = image_of(result);
    }
    return {};
  } catch (py::error_already_set& error) {
    return verdict_of(error);
  } catch (const std::invalid_argument& error) {
    return {StatusCode::kBadImage, error.what()};
  }
}

uint64_t PythonCode::memory_needed(std::span<const uint8_t> beginning, uint64_t size) {
  if (python_is_finalizing()) return 0;
  py::gil_scoped_acquire gil;
  try {
    const py::bytes bytes(reinterpret_cast<const char*>(beginning.data()), beginning.size());
    return hooks_.attr("memory_needed")(bytes, size).cast<uint64_t>();
  } catch (py::error_already_set&) {
    return size;  // decoding will tell what is wrong
  }
}

Status PythonCode::finish(const float* image, uint8_t* destination, const double* transform) {
  if (python_is_finalizing()) return finalizing();
  py::gil_scoped_acquire gil;
  try {
    // An array of its own: the user's function may keep it.
    const py::array_t<float> own(shape_, image);
    hooks_.attr("finish")(own, sample_view(destination), transform_row(transform));
    return {};
  } catch (py::error_already_set& error) {
    return Status::foreign(std::make_shared<py::error_already_set>(error));
  }
}

}  // namespace pyloader
