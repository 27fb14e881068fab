// The Python side of a loader as the core sees it: pyloader.sample_hooks, called from any thread.
#pragma once

#include "bind/bind.h"
#include "image/sample_store.h"
#include "loader/foreign_code.h"

namespace pyloader {

class PythonCode final : public ForeignCode {
 public:
  // `hooks` follows SampleHooks in _pyloader.pyi. Samples have `layout` and the batch's `dtype`.
  // Construction needs the GIL; nothing else does.
  PythonCode(py::object hooks, py::dtype dtype, const SampleLayout& layout);
  ~PythonCode() override;

  PyObject* hooks() const { return hooks_.ptr(); }  // borrowed

  Status decode_other(std::span<const uint8_t> content, uint8_t* destination,
                      const double* transform, OtherImage& image) override;
  Status check_beginning(std::span<const uint8_t> beginning) override;
  uint64_t memory_needed(std::span<const uint8_t> beginning, uint64_t size) override;
  bool has_finish() const override { return has_finish_; }
  bool wants_transformed() const override { return native_transform_; }
  Status finish(const float* image, uint8_t* destination, const double* transform) override;

 private:
  py::object sample_view(uint8_t* destination) const;
  OtherImage image_of(const py::object& result) const;

  py::object hooks_;
  py::dtype dtype_;
  py::str decode_other_, check_beginning_, memory_needed_, finish_;  // names of methods
  const SampleLayout layout_;
  const std::vector<py::ssize_t> shape_;  // of one sample
  const bool has_finish_;
  const bool native_transform_;
};

// The shape of one sample: (H, W, C) or (C, H, W).
std::vector<py::ssize_t> sample_shape(const SampleLayout& layout);

}  // namespace pyloader
