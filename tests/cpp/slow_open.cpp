#include "slow_open.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>

#include <cstdarg>

namespace pyloader::testing {
namespace {

std::function<void(const std::string&)>& call_before() {
  static std::function<void(const std::string&)> call;
  return call;
}

}  // namespace

void before_open(std::function<void(const std::string& path)> call) {
  call_before() = std::move(call);
}

}  // namespace pyloader::testing

// The program's own definition goes before the C library's.
extern "C" int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const bool creates = (flags & O_CREAT) != 0;
  const mode_t mode = creates ? static_cast<mode_t>(va_arg(arguments, unsigned)) : mode_t{0};
  va_end(arguments);
  using Open = int (*)(const char*, int, ...);
  static const Open next = reinterpret_cast<Open>(::dlsym(RTLD_NEXT, "open"));
  if (const auto& call = pyloader::testing::call_before()) call(path);
  return next(path, flags, mode);
}
