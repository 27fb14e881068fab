// Loader: the pool and the ring, with Python's words around them.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bind/bind.h"
#include "bind/python_code.h"
#include "loader/pool.h"
#include "memory/process.h"

namespace pyloader {
namespace {

// How long a wait may go on before Ctrl-C is looked for.
constexpr std::chrono::milliseconds kSignalInterval{50};

class Loader {
 public:
  Loader(PoolConfig config, std::shared_ptr<ForeignCode> foreign, py::dtype dtype)
      : pool_(std::make_shared<Pool>(std::move(config), std::move(foreign))),
        dtype_(std::move(dtype)),
        owner_(process_id()) {}

  ~Loader() {
    if (process_id() != owner_) {
      // A forked child has the parent's memory but none of its threads; locks may be held by them.
      // Leaving the pool alone is all that is safe.
      new std::shared_ptr<Pool>(std::move(pool_));
      return;
    }
    close();
  }
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  uint64_t submit(const py::array_t<int64_t, py::array::c_style | py::array::forcecast>& array) {
    const auto count = static_cast<int64_t>(pool_->config().paths.size());
    std::vector<int64_t> indices(array.data(), array.data() + array.size());
    if (array.ndim() != 1 || indices.empty()) {
      throw py::value_error("a batch needs a one-dimensional array of at least one index");
    }
    for (const int64_t index : indices) {
      if (index < 0 || index >= count) {
        throw py::index_error("index " + std::to_string(index) + " is out of range for " +
                              std::to_string(count) + " samples");
      }
    }
    py::gil_scoped_release release;
    return pool_->submit(std::move(indices));
  }

  py::array wait(uint64_t ticket) {
    Fetched fetched;
    for (;;) {
      bool done;
      {
        py::gil_scoped_release release;
        done = pool_->fetch(ticket, kSignalInterval, fetched);
      }
      if (done) break;
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    }
    if (!fetched.status.ok()) {
      const PathTable& paths = pool_->config().paths;
      raise_status(fetched.status, fetched.failed_index < 0
                                       ? nullptr
                                       : paths[static_cast<size_t>(fetched.failed_index)]);
    }
    std::vector<py::ssize_t> shape = sample_shape(pool_->config().spec.layout);
    shape.insert(shape.begin(), fetched.size);
    return array_of_slot(std::move(fetched.slot), dtype_, std::move(shape));
  }

  void cancel() {
    py::gil_scoped_release release;
    pool_->cancel();
  }

  void close() {
    py::gil_scoped_release release;
    pool_->close();
  }

  bool closed() const { return pool_->closed(); }

  py::dict stats() const {
    using namespace py::literals;
    const PoolStats s = pool_->stats();
    return py::dict(
        "samples"_a = s.samples, "batches"_a = s.batches, "errors"_a = s.errors,
        "bytes_read"_a = s.bytes_read, "read_ns"_a = s.read_ns, "decode_ns"_a = s.decode_ns,
        "resize_ns"_a = s.resize_ns, "other_ns"_a = s.other_ns, "hook_ns"_a = s.hook_ns,
        "idle_ns"_a = s.idle_ns, "wait_ns"_a = s.wait_ns, "slots"_a = s.ring.slots,
        "slot_bytes"_a = s.ring.bytes, "slots_leased"_a = s.ring.leased,
        "num_threads"_a = s.num_threads, "depth"_a = s.depth);
  }

 private:
  std::shared_ptr<Pool> pool_;
  py::dtype dtype_;
  const int owner_;
};

std::unique_ptr<Loader> make_loader(const py::sequence& paths, py::object hooks, int height,
                                    int width, const std::string& color_mode,
                                    const std::string& interpolation, bool keep_aspect_ratio,
                                    bool channels_first, const py::array& store_table,
                                    int num_threads, int depth) {
  if (height < 1 || width < 1) throw py::value_error("height and width must be > 0");
  if (num_threads < 1 || depth < 1) throw py::value_error("num_threads and depth must be > 0");
  if (store_table.ndim() != 1 || store_table.shape(0) != 256 || store_table.itemsize() > 16 ||
      (store_table.flags() & py::array::c_style) == 0) {
    throw py::value_error("store_table must hold 256 values");
  }
  PoolConfig config;
  for (const py::handle path : paths) config.paths.add(py::cast<std::string_view>(path));
  config.spec.layout = {.size = {width, height},
                        .channels = channels_of(parse_color_mode(color_mode)),
                        .channels_first = channels_first,
                        .item_size = static_cast<size_t>(store_table.itemsize())};
  const py::dtype dtype = store_table.dtype();
  config.spec.table =
      StoreTable({static_cast<const uint8_t*>(store_table.data()),
                  static_cast<size_t>(store_table.nbytes())},
                 dtype.equal(py::dtype::of<float>()));
  config.spec.filter = parse_filter(interpolation);
  config.spec.keep_aspect_ratio = keep_aspect_ratio;
  config.num_threads = num_threads;
  config.depth = depth;
  auto foreign = std::make_shared<PythonCode>(std::move(hooks), dtype, config.spec.layout);
  return std::make_unique<Loader>(std::move(config), std::move(foreign), dtype);
}

}  // namespace

void register_loader(py::module_& module) {
  py::class_<Loader>(module, "Loader")
      .def(py::init(&make_loader), py::arg("paths"), py::arg("hooks"), py::kw_only(),
           py::arg("height"), py::arg("width"), py::arg("color_mode"), py::arg("interpolation"),
           py::arg("keep_aspect_ratio"), py::arg("channels_first"), py::arg("store_table"),
           py::arg("num_threads"), py::arg("depth"))
      .def("submit", &Loader::submit, py::arg("indices"))
      .def("wait", &Loader::wait, py::arg("ticket"))
      .def("cancel", &Loader::cancel)
      .def("close", &Loader::close)
      .def_property_readonly("closed", &Loader::closed)
      .def("stats", &Loader::stats);
}

}  // namespace pyloader
