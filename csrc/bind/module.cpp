// The extension module: one line per concept, each registered in a file of its own.
#include "bind/bind.h"

PYBIND11_MODULE(_pyloader, module) {
  module.doc() = "Native core of pyloader.";
  pyloader::register_build_info(module);
  pyloader::register_images(module);
  pyloader::register_transforms(module);
  pyloader::register_cache(module);
  pyloader::register_loader(module);
}
