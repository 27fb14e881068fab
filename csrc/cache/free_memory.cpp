#include "cache/free_memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace pyloader {
namespace {

// The number in a file that holds nothing else; false for "max" and for no file.
bool read_number(const std::string& path, uint64_t& number) {
  std::ifstream file(path);
  return static_cast<bool>(file >> number);
}

// The value of a line "name value" or "name: value kB"; 0 without one.
uint64_t read_line(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    uint64_t value = 0;
    if (word == name && file >> value) return value;
    file.ignore(1 << 10, '\n');
  }
  return 0;
}

// What a control group of version 1 or 2 leaves: its limit less what cannot be taken back.
void apply_group(const std::string& folder, const char* limit_name, const char* usage_name,
                 const char* cached_name, FreeMemory& memory) {
  uint64_t limit = 0, used = 0;
  if (!read_number(folder + limit_name, limit) || limit >= memory.total) return;
  if (!read_number(folder + usage_name, used)) return;
  used -= std::min(used, read_line(folder + "/memory.stat", cached_name));
  memory.total = limit;
  memory.available = std::min(memory.available, limit - std::min(limit, used));
}

void apply_groups(FreeMemory& memory) {
  const std::string root = "/sys/fs/cgroup";
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (!controllers.empty() && controllers != "memory") continue;
    // Inside a container some of these folders are not there, and its own limit is at the root.
    for (;; group.erase(group.find_last_of('/'))) {
      if (group == "/") group.clear();
      if (controllers.empty()) {
        apply_group(root + group, "/memory.max", "/memory.current", "inactive_file", memory);
      } else {
        apply_group(root + "/memory" + group, "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                    "total_inactive_file", memory);
      }
      if (group.find('/') == group.npos) break;
    }
  }
}

}  // namespace

FreeMemory free_memory() {
  FreeMemory memory;
  memory.total = 1024 * read_line("/proc/meminfo", "MemTotal:");
  memory.available = 1024 * read_line("/proc/meminfo", "MemAvailable:");
  if (memory.total != 0) apply_groups(memory);
  return memory;
}

}  // namespace pyloader
