#include "bind/python_code.h"

#include "augment/transform.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace pyloader {
namespace {

Status finalizing() { return {StatusCode::kClosed, "the interpreter is shutting down"}; }

py::object transform_row(const double* transform) {
  if (transform == nullptr) return py::none();
  return py::array_t<double>(SampleTransform::kColumns, transform);
}

// What a call brought, with a reference: a value or an exception.
struct Outcome {
  PyObject* value = nullptr;
  PyObject* exception = nullptr;
};

PyObject* take_exception() {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return value;
#endif
}

template <class... Arguments>
Outcome call_method(const py::object& object, const py::str& name, const Arguments&... arguments) {
  return run_python([&] {
    Outcome outcome;
    outcome.value =
        PyObject_CallMethodObjArgs(object.ptr(), name.ptr(), arguments.ptr()..., nullptr);
    if (outcome.value == nullptr) outcome.exception = take_exception();
    return outcome;
  });
}

// The `reason` of an exception where it has one, else its text.
std::string reason_of(PyObject* exception) {
  PyObject* const text = run_python([exception] {
    PyObject* reason = PyObject_GetAttrString(exception, "reason");
    PyObject* const result = PyObject_Str(reason != nullptr ? reason : exception);
    Py_XDECREF(reason);
    PyErr_Clear();
    return result;
  });
  Py_ssize_t size = 0;
  const char* const bytes = text == nullptr ? nullptr : PyUnicode_AsUTF8AndSize(text, &size);
  PyErr_Clear();
  std::string reason =
      bytes == nullptr ? "it cannot be decoded" : std::string(bytes, static_cast<size_t>(size));
  Py_XDECREF(text);
  return reason;
}

Status failure(PyObject* exception) {
  return Status::foreign(hold(py::reinterpret_steal<py::object>(exception)));
}

// An OSError of the decoder of another format is a verdict on the file. Everything else, such as an
// exception of the user's function on a deep image, reaches the caller as it is.
Status verdict_of(PyObject* exception) {
  Status status;
  if (PyErr_GivenExceptionMatches(exception, PyExc_MemoryError) != 0) {
    status = {StatusCode::kOutOfMemory, "no memory to decode it"};
  } else if (PyErr_GivenExceptionMatches(exception, PyExc_OSError) != 0) {
    status = {StatusCode::kBadImage, reason_of(exception)};
  } else {
    return failure(exception);
  }
  run_python([exception] { Py_DECREF(exception); });
  return status;
}

// Memory as a Python object that copies nothing. What Python code still holds of it afterwards can
// no longer be used.
class BorrowedView {
 public:
  explicit BorrowedView(std::span<const uint8_t> memory)
      : view_(py::memoryview::from_memory(memory.data(), static_cast<py::ssize_t>(memory.size()))) {
  }
  ~BorrowedView() {
    PyObject* const view = view_.ptr();
    run_python([view] {
      Py_XDECREF(PyObject_CallMethod(view, "release", nullptr));
      PyErr_Clear();
    });
  }
  BorrowedView(const BorrowedView&) = delete;
  BorrowedView& operator=(const BorrowedView&) = delete;

  const py::object& object() const { return view_; }

 private:
  py::object view_;
};

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
      decode_other_("decode_other"),
      check_beginning_("check_beginning"),
      memory_needed_("memory_needed"),
      finish_("finish"),
      layout_(layout),
      shape_(sample_shape(layout)),
      has_finish_(hooks_.attr("has_finish").cast<bool>()),
      native_transform_(hooks_.attr("native_transform").cast<bool>()) {}

PythonCode::~PythonCode() {
  py::object* const members[] = {&hooks_,           &dtype_,         &decode_other_,
                                 &check_beginning_, &memory_needed_, &finish_};
  if (python_is_finalizing()) {
    for (py::object* member : members) member->release();
    return;
  }
  const WithGil gil;
  for (py::object* member : members) {
    PyObject* const object = member->release().ptr();
    run_python([object] { Py_DECREF(object); });
  }
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
  const WithGil gil;
  try {
    const BorrowedView view(content);
    const Outcome outcome = call_method(hooks_, decode_other_, view.object(),
                                        sample_view(destination), transform_row(transform));
    if (outcome.exception != nullptr) return verdict_of(outcome.exception);
    const auto result = py::reinterpret_steal<py::object>(outcome.value);
    if (result.is_none()) {
      image.stored = true;
    } else {
      const auto [pixels, cacheable] = result.cast<std::pair<py::object, bool>>();
      image = image_of(pixels);
      image.cacheable = cacheable;
    }
    return {};
  } catch (py::error_already_set& error) {  // no memory for an argument
    return verdict_of(error.value().inc_ref().ptr());
  } catch (const py::cast_error& error) {
    return {StatusCode::kBadImage, error.what()};
  } catch (const std::invalid_argument& error) {
    return {StatusCode::kBadImage, error.what()};
  }
}

Status PythonCode::check_beginning(std::span<const uint8_t> beginning) {
  if (python_is_finalizing()) return finalizing();
  const WithGil gil;
  try {
    const BorrowedView view(beginning);
    const Outcome outcome = call_method(hooks_, check_beginning_, view.object());
    if (outcome.exception != nullptr) return verdict_of(outcome.exception);
    Py_DECREF(outcome.value);  // None
    return {};
  } catch (py::error_already_set& error) {  // no memory for an argument
    return verdict_of(error.value().inc_ref().ptr());
  }
}

uint64_t PythonCode::memory_needed(std::span<const uint8_t> beginning, uint64_t size) {
  if (python_is_finalizing()) return 0;
  const WithGil gil;
  try {
    const BorrowedView view(beginning);
    const Outcome outcome = call_method(hooks_, memory_needed_, view.object(), py::int_(size));
    if (outcome.exception == nullptr) {
      return py::reinterpret_steal<py::object>(outcome.value).cast<uint64_t>();
    }
    run_python([&outcome] { Py_DECREF(outcome.exception); });
  } catch (py::error_already_set&) {
  }
  return size;  // decoding will tell what is wrong
}

Status PythonCode::finish(const float* image, uint8_t* destination, const double* transform) {
  if (python_is_finalizing()) return finalizing();
  const WithGil gil;
  try {
    // An array of its own: the user's function may keep it.
    const py::array_t<float> own(shape_, image);
    const Outcome outcome =
        call_method(hooks_, finish_, own, sample_view(destination), transform_row(transform));
    if (outcome.exception != nullptr) return failure(outcome.exception);
    Py_DECREF(outcome.value);  // None
    return {};
  } catch (py::error_already_set& error) {  // no memory for an argument
    return failure(error.value().inc_ref().ptr());
  }
}

}  // namespace pyloader
