#include "io/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

namespace pyloader {
namespace {

Status system_failure(int error) {
  return {StatusCode::kReadFailed, std::generic_category().message(error)};
}

int64_t nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

FileIdentity identity_of(const struct stat& info) {
#if defined(__APPLE__)
  const timespec &modified = info.st_mtimespec, &changed = info.st_ctimespec;
#else
  const timespec &modified = info.st_mtim, &changed = info.st_ctim;
#endif
  return {.size = static_cast<uint64_t>(info.st_size),
          .inode = static_cast<uint64_t>(info.st_ino),
          .modified_ns = nanoseconds(modified),
          .changed_ns = nanoseconds(changed)};
}

}  // namespace

bool identify(const char* path, FileIdentity& identity) {
  struct stat info;
  if (::stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  identity = identity_of(info);
  return true;
}

void FileSource::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  window_ = {};
}

Status FileSource::open(const char* path) {
  close();
  status_ = {};
  at_end_ = false;
  bytes_read_ = 0;
  if (!buffer_) {
    buffer_.reset(new (std::nothrow) uint8_t[kWindow]);
    if (!buffer_) return {StatusCode::kOutOfMemory, "no memory for the file window"};
  }
  // O_NONBLOCK: opening a pipe must not wait for its writer. It has no effect on regular files.
  do {
    descriptor_ = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) return system_failure(errno);

  struct stat info;
  if (::fstat(descriptor_, &info) != 0) return system_failure(errno);
  if (S_ISDIR(info.st_mode)) return system_failure(EISDIR);
  if (!S_ISREG(info.st_mode)) return {StatusCode::kReadFailed, "it is not a regular file"};

  identity_ = identity_of(info);
  size_ = identity_.size;
  refill();
  // A whole file in one window needs its descriptor no longer.
  if (status_.ok() && bytes_read_ < kWindow) {
    ::close(descriptor_);
    descriptor_ = -1;
  }
  return status_;
}

bool FileSource::refill() {
  if (at_end_ || descriptor_ < 0) return false;
  size_t filled = 0;
  while (filled < kWindow) {
    const ssize_t got = ::read(descriptor_, buffer_.get() + filled, kWindow - filled);
    if (got < 0) {
      if (errno == EINTR) continue;
      status_ = system_failure(errno);
      at_end_ = true;
      return false;
    }
    if (got == 0) {
      at_end_ = true;
      break;
    }
    filled += static_cast<size_t>(got);
  }
  window_ = {buffer_.get(), filled};
  bytes_read_ += filled;
  return filled > 0;
}

bool FileSource::rewind() {
  if (descriptor_ < 0) return status_.ok();  // all of it is in the window, and stays there
  at_end_ = false;
  status_ = {};
  if (::lseek(descriptor_, 0, SEEK_SET) != 0) {
    status_ = system_failure(errno);
    return false;
  }
  return refill();
}

void FileSource::swap(FileSource& other) noexcept {
  std::swap(window_, other.window_);
  std::swap(size_, other.size_);
  std::swap(bytes_read_, other.bytes_read_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(at_end_, other.at_end_);
  std::swap(buffer_, other.buffer_);
  std::swap(status_, other.status_);
  std::swap(identity_, other.identity_);
}

Status read_all(ByteSource& source, size_t limit, std::vector<uint8_t>& content) {
  if (source.size() <= limit - content.size()) content.reserve(content.size() + source.size());
  do {
    const auto window = source.window();
    if (window.size() > limit - content.size()) {
      return {StatusCode::kTooLarge, "the file is too large to be decoded"};
    }
    content.insert(content.end(), window.begin(), window.end());
  } while (source.refill());
  return source.status();
}

}  // namespace pyloader
