// Files as bytes: one reusable window per worker, refilled for files larger than it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/byte_source.h"
#include "base/file_identity.h"
#include "base/status.h"

namespace pyloader {

// The present state of the regular file at `path`; false when there is none.
bool identify(const char* path, FileIdentity& identity);

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

  // The file as it was just before its first byte was read.
  const FileIdentity& identity() const { return identity_; }

 private:
  int descriptor_ = -1;
  FileIdentity identity_;
  bool at_end_ = false;
  std::unique_ptr<uint8_t[]> buffer_;
  Status status_;
};

// Appends the rest of `source`, from its present window on, to `content`. `limit` bounds the bytes
// taken, in bytes; more is kTooLarge.
Status read_all(ByteSource& source, size_t limit, std::vector<uint8_t>& content);

}  // namespace pyloader
