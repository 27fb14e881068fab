// Loader: the pool and the ring, with Python's words around them.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <pybind11/stl.h>

#include "bind/bind.h"
#include "bind/python_code.h"
#include "cache/cache_place.h"
#include "loader/pool.h"
#include "memory/process.h"

namespace pyloader {
namespace {

// How long a wait may go on before Ctrl-C is looked for.
constexpr std::chrono::milliseconds kSignalInterval{50};

class Loader {
 public:
  Loader(PoolConfig config, std::shared_ptr<PythonCode> python, py::dtype dtype)
      : hooks_(python->hooks()),
        pool_(std::make_shared<Pool>(std::move(config), std::move(python))),
        dtype_(std::move(dtype)),
        owner_(process_id()) {}

  ~Loader() {
    if (!is_own()) {
      // A forked child has the parent's memory but none of its threads; locks may be held by them.
      // Leaving the pool alone is all that is safe.
      new std::shared_ptr<Pool>(std::move(pool_));
      return;
    }
    close();
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  using Indices = py::array_t<int64_t, py::array::c_style | py::array::forcecast>;
  using Transforms = py::array_t<double, py::array::c_style | py::array::forcecast>;

  uint64_t submit(const Indices& array, const std::optional<Transforms>& transforms,
                  const std::optional<Indices>& substitutes) {
    if (array.ndim() != 1 || array.size() == 0) {
      throw py::value_error("a batch needs a one-dimensional array of at least one index");
    }
    std::vector<int64_t> indices = checked(array), others;
    if (substitutes) {
      if (substitutes->ndim() != 2 || substitutes->shape(0) != array.size()) {
        throw py::value_error("substitutes must hold a row per index");
      }
      others = checked(*substitutes);
    }
    std::vector<double> rows;
    if (transforms) {
      if (transforms->ndim() != 2 || transforms->shape(0) != array.size() ||
          transforms->shape(1) != py::ssize_t{SampleTransform::kColumns}) {
        throw py::value_error("transforms must hold a row per index");
      }
      rows.assign(transforms->data(), transforms->data() + transforms->size());
    }
    const WithoutGil released;
    return pool_->submit(std::move(indices), std::move(rows), std::move(others));
  }

  py::tuple wait(uint64_t ticket) {
    Fetched fetched;
    for (;;) {
      bool done;
      {
        const WithoutGil released;
        done = pool_->fetch(ticket, kSignalInterval, fetched);
      }
      if (done) break;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
    if (!fetched.status.ok()) {
      const PathTable& paths = pool_->config().paths;
      const auto failed = static_cast<size_t>(fetched.failed_index);
      raise_status(fetched.status, failed < paths.size() ? paths[failed] : nullptr);
    }
    std::vector<py::ssize_t> shape = sample_shape(pool_->config().spec.layout);
    shape.insert(shape.begin(), fetched.size);
    py::list bad_images;
    for (const BadImage& bad : fetched.bad_images) {
      bad_images.append(py::make_tuple(bad.position, bad.substitute, bad.reason));
    }
    return py::make_tuple(array_of_slot(std::move(fetched.slot), dtype_, std::move(shape)),
                          std::move(bad_images));
  }

  void cancel() {
    const WithoutGil released;
    pool_->cancel();
  }

  void close() {
    if (python_is_finalizing()) {  // Note [end of the interpreter]
      pool_->abandon();
      return;
    }
    const WithoutGil released;
    pool_->close();
  }

  // False in a forked child of the process that made it.
  bool is_own() const { return process_id() == owner_; }

  // Borrowed from the pool, for the garbage collector.
  PyObject* hooks() const { return hooks_; }

  bool closed() const { return pool_->closed(); }
  int files_wanted() const { return pool_->files_wanted(); }

  py::dict stats() const {
    using namespace py::literals;
    const PoolStats s = pool_->stats();
    return py::dict(
        "samples"_a = s.samples, "batches"_a = s.batches, "errors"_a = s.errors,
        "bytes_read"_a = s.bytes_read, "jpegs_own"_a = s.jpegs_own,
        "jpegs_libjpeg"_a = s.jpegs_libjpeg, "read_ns"_a = s.read_ns, "decode_ns"_a = s.decode_ns,
        "resize_ns"_a = s.resize_ns, "other_ns"_a = s.other_ns, "hook_ns"_a = s.hook_ns,
        "idle_ns"_a = s.idle_ns, "cpu_ns"_a = s.cpu_ns, "wait_ns"_a = s.wait_ns,
        "cache_hits"_a = s.cache_hits, "cache_misses"_a = s.cache_misses, "cache_ns"_a = s.cache_ns,
        "slots"_a = s.ring.slots, "slot_bytes"_a = s.ring.bytes, "slots_locked"_a = s.ring.locked,
        "slots_registered"_a = s.ring.registered, "slots_leased"_a = s.ring.leased,
        "files_ahead"_a = s.read_ahead.files, "files_ahead_waits"_a = s.read_ahead.waits,
        "reading_threads"_a = s.read_ahead.threads, "num_threads"_a = s.num_threads,
        "depth"_a = s.depth);
  }

 private:
  std::vector<int64_t> checked(const Indices& array) const {
    const auto count = static_cast<int64_t>(pool_->config().samples());
    std::vector<int64_t> indices(array.data(), array.data() + array.size());
    for (const int64_t index : indices) {
      if (index < 0 || index >= count) {
        throw py::index_error("index " + std::to_string(index) + " is out of range for " +
                              std::to_string(count) + " samples");
      }
    }
    return indices;
  }

  PyObject* const hooks_;
  std::shared_ptr<Pool> pool_;
  py::dtype dtype_;
  const int owner_;
};

// The loader of an object; null while it is being made.
Loader* loader_of(PyObject* self) {
  auto held = reinterpret_cast<py::detail::instance*>(self)->get_value_and_holder();
  return held.holder_constructed() ? held.value_ptr<Loader>() : nullptr;
}

// The user's function may lead back to the iterator that owns the loader: the garbage collector
// must see the way, or the cycle and its threads stay for good. Whatever else is on the cycle
// breaks it.
//
// Note [collected with threads]: the collector takes what it found apart, in any order, functions
// too; the threads of the loader among it would call what is left of them. It finalizes all of it
// before, and that ends the threads.
void let_collector_in(PyHeapTypeObject* heap_type) {
  PyTypeObject& type = heap_type->ht_type;
  type.tp_flags |= Py_TPFLAGS_HAVE_GC;
  type.tp_traverse = [](PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (const Loader* loader = loader_of(self)) Py_VISIT(loader->hooks());
    return 0;
  };
  type.tp_finalize = [](PyObject* self) {
    const py::error_scope kept;
    Loader* const loader = loader_of(self);
    if (loader != nullptr && loader->is_own()) loader->close();
  };
}

FloatTarget target_of(const py::dtype& dtype) {
  if (dtype.equal(py::dtype::of<double>())) return FloatTarget::kFloat64;
  if (dtype.equal(py::dtype::of<uint8_t>())) return FloatTarget::kUint8;
  if (dtype.kind() == 'f' && dtype.itemsize() == 2) return FloatTarget::kFloat16;
  return FloatTarget::kFloat32;
}

// A float32 data set, one sample of `layout` after the other. Sets the layout's size and channels.
ArraySource take_array(const py::object& object, SampleLayout& layout) {
  using Images = py::array_t<float, py::array::c_style>;
  if (!py::isinstance<Images>(object)) throw py::type_error("array must be float32, C-contiguous");
  auto images = py::cast<Images>(object);
  if (images.ndim() != 4) throw py::value_error("array must have rank 4");
  const auto side = [&](int axis) { return static_cast<int>(images.shape(axis)); };
  const int first = layout.channels_first ? 2 : 1;
  layout.size = {.width = side(first + 1), .height = side(first)};
  layout.channels = side(layout.channels_first ? 1 : 3);
  if (layout.values() == 0) throw py::value_error("array must hold images");
  return {.data = images.data(),
          .count = static_cast<size_t>(images.shape(0)),
          .owner = hold(std::move(images))};
}

// Statistics per channel, or per value of the image in (height, width, channels) order.
std::vector<double> take_statistics(const py::object& object, const SampleLayout& layout) {
  if (object.is_none()) return {};
  const auto values =
      py::cast<py::array_t<double, py::array::c_style | py::array::forcecast>>(object);
  if (static_cast<size_t>(values.size()) != layout.values() && values.size() != layout.channels) {
    throw py::value_error("mean and std must hold a value per channel or per value of the image");
  }
  return {values.data(), values.data() + values.size()};
}

// Paths as the file system knows them, from an iterator over bytes that may run Python code. A null
// byte would end a path early, and name another file.
void take_paths(const py::iterator& iterator, PathTable& paths) {
  const auto next = [&iterator] { return PyIter_Next(iterator.ptr()); };
  while (const auto path = py::reinterpret_steal<py::object>(run_python(next))) {
    const auto text = py::cast<std::string_view>(path);
    if (text.find('\0') != std::string_view::npos) {
      throw py::value_error("a path has no null bytes. Received: " +
                            py::repr(path).cast<std::string>());
    }
    paths.add(text);
  }
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
}

Pinning parse_pinning(const std::string& name) {
  if (name == "off") return Pinning::kOff;
  if (name == "for_cuda") return Pinning::kForCuda;
  if (name == "always") return Pinning::kAlways;
  throw py::value_error("unknown pinning: " + name);
}

OnError parse_on_error(const std::string& name) {
  if (name == "raise") return OnError::kRaise;
  if (name == "drop") return OnError::kDrop;
  if (name == "replace") return OnError::kReplace;
  throw py::value_error("unknown on_error: " + name);
}

std::unique_ptr<Loader> make_loader(
    const py::iterable& paths, py::object hooks, int height, int width,
    const std::string& color_mode, const std::string& interpolation, bool keep_aspect_ratio,
    bool pad_to_aspect_ratio, bool channels_first, const py::array& store_table, int num_threads,
    int depth, const py::object& array, const std::string& fill_mode, double cval, int order,
    double rescale, bool samplewise_center, bool samplewise_std, const py::object& mean,
    const py::object& std, const std::string& pinning, const std::string& fidelity,
    const std::shared_ptr<CachePlace>& cache, const py::bytes& cache_base,
    const std::string& on_error, int64_t max_pixels, bool load_truncated, uint64_t slot_room,
    uint64_t image_room, int files_ahead) {
  if (num_threads < 1 || depth < 1) throw py::value_error("num_threads and depth must be > 0");
  if (store_table.ndim() != 1 || store_table.shape(0) != 256 || store_table.itemsize() > 16 ||
      (store_table.flags() & py::array::c_style) == 0) {
    throw py::value_error("store_table must hold 256 values");
  }
  if (keep_aspect_ratio && pad_to_aspect_ratio) {
    throw py::value_error("keep_aspect_ratio crops, pad_to_aspect_ratio does not: choose one");
  }
  const py::dtype dtype = store_table.dtype();
  PoolConfig config;
  SampleSpec& spec = config.spec;
  spec.layout.channels_first = channels_first;
  spec.layout.item_size = static_cast<size_t>(store_table.itemsize());
  if (array.is_none()) {
    take_paths(py::iter(paths), config.paths);
    spec.layout.size = {.width = width, .height = height};
    spec.layout.channels = channels_of(parse_color_mode(color_mode));
  } else {
    config.array = take_array(array, spec.layout);
  }
  if (spec.layout.size.width < 1 || spec.layout.size.height < 1) {
    throw py::value_error("height and width must be > 0");
  }
  spec.table = StoreTable(
      {static_cast<const uint8_t*>(store_table.data()), static_cast<size_t>(store_table.nbytes())},
      dtype.equal(py::dtype::of<float>()));
  spec.filter = parse_filter(interpolation);
  spec.keep_aspect_ratio = keep_aspect_ratio;
  spec.pad_to_aspect_ratio = pad_to_aspect_ratio;
  spec.fidelity = parse_fidelity(fidelity);
  spec.limits = {.pixels = max_pixels};
  spec.load_truncated = load_truncated;
  spec.target = target_of(dtype);
  spec.augment = {.fill_mode = parse_fill_mode(fill_mode),
                  .cval = cval,
                  .order = order,
                  .exact = spec.target == FloatTarget::kUint8,
                  .rescale = static_cast<float>(rescale),
                  .samplewise_center = samplewise_center,
                  .samplewise_std = samplewise_std,
                  .mean = take_statistics(mean, spec.layout),
                  .std = take_statistics(std, spec.layout)};
  config.num_threads = num_threads;
  config.depth = depth;
  config.pinning = parse_pinning(pinning);
  config.slot_room = slot_room;
  config.image_room = image_room;
  config.read_ahead = read_ahead_allowed() && files_ahead > 0;
  config.files_ahead = std::max(files_ahead, 1);
  config.on_error = parse_on_error(on_error);
  if (cache != nullptr && array.is_none()) {
    config.cache = cache->open(cache_format(spec));
    config.cache_base = cache_base;
  }
  auto python = std::make_shared<PythonCode>(std::move(hooks), dtype, spec.layout);
  return std::make_unique<Loader>(std::move(config), std::move(python), dtype);
}

}  // namespace

void register_loader(py::module_& module) {
  py::class_<Loader>(module, "Loader", py::custom_type_setup(let_collector_in))
      .def(py::init(&make_loader), py::arg("paths"), py::arg("hooks"), py::kw_only(),
           py::arg("height"), py::arg("width"), py::arg("color_mode"), py::arg("interpolation"),
           py::arg("keep_aspect_ratio"), py::arg("pad_to_aspect_ratio"), py::arg("channels_first"),
           py::arg("store_table"), py::arg("num_threads"), py::arg("depth"),
           py::arg("array") = py::none(), py::arg("fill_mode") = "nearest", py::arg("cval") = 0.0,
           py::arg("order") = 1, py::arg("rescale") = 0.0, py::arg("samplewise_center") = false,
           py::arg("samplewise_std") = false, py::arg("mean") = py::none(),
           py::arg("std") = py::none(), py::arg("pinning") = "off", py::arg("fidelity") = "exact",
           py::arg("cache") = py::none(), py::arg("cache_base") = py::bytes(),
           py::arg("on_error") = "raise", py::arg("max_pixels") = ImageLimits().pixels,
           py::arg("load_truncated") = false, py::arg("slot_room") = 0, py::arg("image_room") = 0,
           py::arg("files_ahead") = ReadAhead::kMaxFiles)
      .def("submit", &Loader::submit, py::arg("indices"), py::arg("transforms") = py::none(),
           py::arg("substitutes") = py::none())
      .def("wait", &Loader::wait, py::arg("ticket"))
      .def("cancel", &Loader::cancel)
      .def("close", &Loader::close)
      .def_property_readonly("closed", &Loader::closed)
      .def_property_readonly("files_wanted", &Loader::files_wanted)
      .def("stats", &Loader::stats);
}

}  // namespace pyloader
