// What the fuzz targets share. An input is some content and, behind it, numbers that say what is
// done with it: a file becomes an input by adding a few bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pyloader::testing {

// Bytes of numbers behind the content of an input, of every target.
inline constexpr size_t kChoiceBytes = 32;

// The numbers. Once they are used up, all are 0.
class Choices {
 public:
  explicit Choices(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint32_t next();  // of 16 bits
  int below(int limit) { return static_cast<int>(next() % static_cast<uint32_t>(limit)); }
  int between(int low, int high) { return low + below(high - low + 1); }  // both included
  bool one_in(int count) { return below(count) == count - 1; }

 private:
  std::span<const uint8_t> bytes_;
};

struct Input {
  Input(const uint8_t* data, size_t size);
  std::span<const uint8_t> content;
  Choices choices;
};

// Ends the process with a word on what is wrong, unless `ok`.
void expect(bool ok, const char* what);

// Counts an input that got to what its target is about. How many did is printed at the end: where
// hardly anything does, nothing is tested.
void reached();

// Ends the process when a check of the helpers (check.h) has failed.
void expect_no_failed_check();

}  // namespace pyloader::testing

// libFuzzer's names.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
