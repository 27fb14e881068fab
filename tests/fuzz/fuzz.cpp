#include "fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "check.h"

namespace pyloader::testing {

uint32_t Choices::next() {
  if (bytes_.size() < 2) return 0;
  const uint32_t number = bytes_[0] | uint32_t{bytes_[1]} << 8;
  bytes_ = bytes_.subspan(2);
  return number;
}

Input::Input(const uint8_t* data, size_t size)
    : content(data, size - std::min(size, kChoiceBytes)),
      choices({data + content.size(), size - content.size()}) {}

void expect(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "FINDING: %s\n", what);
  std::abort();
}

void reached() {
  static long inputs = [] {
    std::atexit([] { std::fprintf(stderr, "stat::units_that_reached_it: %ld\n", inputs); });
    return 0L;
  }();
  ++inputs;
}

void expect_no_failed_check() { expect(failures == 0, "a check failed"); }

}  // namespace pyloader::testing
