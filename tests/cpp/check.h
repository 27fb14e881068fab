// A test is a sentence and a function. A check that fails is printed with its place and counted.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>

namespace pyloader::testing {

struct Test {
  const char* sentence;
  void (*run)();
};

inline std::atomic<int> failures{0};

// Any thread. `what` tells which case of a sweep it was.
inline void check(bool ok, std::string_view what = "", const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  if (ok) return;
  const int printed = failures.fetch_add(1);
  if (printed >= 20) return;
  const char* name = std::strrchr(file, '/');
  std::fprintf(stderr, "    %s:%d: failed%s%.*s\n", name != nullptr ? name + 1 : file, line,
               what.empty() ? "" : ": ", static_cast<int>(what.size()), what.data());
}

template <class Actual, class Expected>
void check_equal(const Actual& actual, const Expected& expected, std::string_view what = "",
                 const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (actual == expected) return;
  const std::string text = std::string(what) + (what.empty() ? "" : ", ") + "got " +
                           std::to_string(actual) + ", expected " + std::to_string(expected);
  check(false, text, file, line);
}

// True when the test failed. Exceptions are failures.
inline bool fails(const Test& test) {
  const auto start = std::chrono::steady_clock::now();
  failures = 0;
  try {
    test.run();
  } catch (const std::exception& error) {
    check(false, std::string("exception: ") + error.what());
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  const char* verbose = std::getenv("VERBOSE");
  if (verbose != nullptr && *verbose != '\0') {
    std::fprintf(stderr, "    %5.2f s  %s\n", time.count(), test.sentence);
  }
  return failures > 0;
}

// The body of main: runs the tests whose sentence has the words of argv[1], or all. A test that
// hangs ends the process. Returns the exit status.
inline int run_tests(int argc, char** argv, std::initializer_list<Test> tests) {
  ::alarm(240);
  const char* words = argc > 1 ? argv[1] : "";
  int count = 0, failed = 0;
  for (const Test& test : tests) {
    if (std::strstr(test.sentence, words) == nullptr) continue;
    ++count;
    if (!fails(test)) continue;
    ++failed;
    std::fprintf(stderr, "FAILED (%d checks): %s\n", failures.load(), test.sentence);
  }
  std::fprintf(stderr, "%s: %d tests, %d failed\n", argv[0], count, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace pyloader::testing
