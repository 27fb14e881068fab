// Files as bytes: one reusable window per worker, refilled for files larger than it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/byte_source.h"
#include "base/status.h"

namespace pyloader {

// A regular file. The window holds up to kWindow bytes, allocated once and reused for every file.
// One thread at a time.
class FileSource final : public ByteSource {
 public:
  static constexpr size_t kWindow = size_t{1} << 20;

  FileSource() = default;
  ~FileSource() override { close(); }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  // Opens `path` (any previous file is closed) and fills the window. Fails on anything that is not
  // a readable regular file; never waits on pipes or devices. An empty file opens with an empty
  // window.
  Status open(const char* path);
  bool refill() override;
  bool rewind() override;
  Status status() const override { return status_; }
  void close();

  // Exchanges everything: files, windows, positions.
  void swap(FileSource& other) noexcept;

 private:
  int descriptor_ = -1;
  bool at_end_ = false;
  std::unique_ptr<uint8_t[]> buffer_;
  Status status_;
};

// Appends the rest of `source`, from its present window on, to `content`. `limit` bounds the bytes
// taken, in bytes; more is kTooLarge.
Status read_all(ByteSource& source, size_t limit, std::vector<uint8_t>& content);

}  // namespace pyloader
