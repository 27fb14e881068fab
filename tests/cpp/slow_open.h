// Files that are slow to open, or do not open until they are told to: the `open` of this program.
#pragma once

#include <functional>
#include <string>

namespace pyloader::testing {

// Called with the path before every open of this program, on the opening thread; nothing by
// default. Only while no other thread opens files.
void before_open(std::function<void(const std::string& path)> call);

}  // namespace pyloader::testing
