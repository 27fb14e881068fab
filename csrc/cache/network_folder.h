// Which file systems other machines may write to as well.
#pragma once

#include <string>

namespace pyloader {

// Whether a folder is on a network file system, as far as the system tells.
bool is_network_folder(const std::string& folder);

}  // namespace pyloader
