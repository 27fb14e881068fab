// What tests feed to the core: seeded noise, rows that end where their memory ends, JPEG files made
// on the spot, a folder that goes away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_source.h"
#include "base/cpu.h"
#include "base/pixels.h"

namespace pyloader::testing {

// The same numbers on every machine.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t next() { return static_cast<uint32_t>(engine_()); }
  int below(int limit) { return static_cast<int>(next() % static_cast<uint32_t>(limit)); }
  int between(int low, int high) { return low + below(high - low + 1); }  // both included
  void fill(std::span<uint8_t> bytes);

 private:
  std::mt19937 engine_;
};

// scalar up to what this machine has.
std::vector<SimdLevel> all_levels();

// Rows of `bytes` bytes and kRowSlack more, each at the end of a heap block of its own, so that the
// address sanitizer sees who goes further. All of it is noise.
class ExactRows {
 public:
  ExactRows(int count, size_t bytes, Random& random);
  uint8_t* const* data() const { return rows_.data(); }
  const uint8_t* const* source() const { return rows_.data(); }
  uint8_t* operator[](int row) const { return rows_[static_cast<size_t>(row)]; }
  int count() const { return static_cast<int>(rows_.size()); }
  // The first `bytes` bytes of every row agree.
  bool same(const ExactRows& other) const;
  // Other noise behind the rows.
  void change_slack(Random& random);

 private:
  size_t bytes_;
  std::vector<std::unique_ptr<uint8_t[]>> memory_;
  std::vector<uint8_t*> rows_;
};

enum class JpegColor { kGray, kYcc, kRgb, kCmyk, kYcck };

struct JpegRecipe {
  Size size;
  JpegColor color = JpegColor::kYcc;
  int luma_h = 1, luma_v = 1;      // sampling factors of the first component
  int chroma_h = 1, chroma_v = 1;  // and of the others (the fourth follows the first)
  bool progressive = false;
  bool separate_scans = false;  // a scan per component
  bool arithmetic = false;
  int restart_interval = 0;  // in MCUs
  int quality = 90;
  int comment_bytes = 0;  // in comments between header and data
  bool noisy = false;     // pure noise: large files
  uint32_t seed = 1;
};

std::vector<uint8_t> make_jpeg(const JpegRecipe& recipe);

// Content in windows of `window` bytes, each in a heap block of its own that dies with the window.
class ChoppedSource final : public ByteSource {
 public:
  ChoppedSource(std::span<const uint8_t> content, size_t window);
  bool refill() override;
  bool rewind() override;

 private:
  std::span<const uint8_t> content_;
  std::span<const uint8_t> rest_;
  size_t step_;
  std::unique_ptr<uint8_t[]> block_;
};

// A heap block that ends where the content ends.
class ExactCopy {
 public:
  explicit ExactCopy(std::span<const uint8_t> content);
  std::span<const uint8_t> view() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t size_;
};

// A folder in TMPDIR (or /tmp), removed with all its files.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(std::string_view name) const { return folder_ + "/" + std::string(name); }
  // Returns the path.
  std::string write(std::string_view name, std::span<const uint8_t> content) const;

 private:
  std::string folder_;
};

}  // namespace pyloader::testing
