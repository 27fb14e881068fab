#include "cache/cache_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

#include "cache/checksum.h"

namespace pyloader {
namespace {

struct Header {
  std::array<char, 16> magic = {'p', 'y', 'l', 'o', 'a', 'd', 'e', 'r',
                                ' ', 'c', 'a', 'c', 'h', 'e', '1', '\n'};
  uint64_t id = 0;
  uint64_t bytes = 0;
  uint64_t stride = 0;
  std::array<char, 208> name{};
  uint64_t seal = 0;  // checksum of what stands before

  uint64_t right_seal() const { return checksum(this, offsetof(Header, seal), 0); }
};
static_assert(sizeof(Header) == CacheFile::kHeaderBytes);
static_assert(sizeof(Header::name) > CacheFormat::kMaxName);

struct StoredRecord {
  uint64_t high, low, checksum;
  uint32_t slot, was_gray;
  uint64_t seal;

  uint64_t right_seal(uint64_t id) const {
    return pyloader::checksum(this, offsetof(StoredRecord, seal), id);
  }
};
static_assert(sizeof(StoredRecord) == CacheFile::kRecordBytes);

bool read_all_at(int file, void* data, size_t bytes, uint64_t offset) {
  auto* to = static_cast<uint8_t*>(data);
  while (bytes > 0) {
    const ssize_t got = ::pread(file, to, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

bool write_all_at(int file, const void* data, size_t bytes, uint64_t offset) {
  const auto* from = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const ssize_t got = ::pwrite(file, from, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = ENOSPC;
    if (got <= 0) return false;
    from += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

std::string with_ending(const std::string& index_path, const char* ending) {
  return index_path.substr(0, index_path.size() - std::strlen(CacheFile::kIndexEnding)) + ending;
}

// For reading and writing where that is allowed.
int open_file(const std::string& path) {
  const int both = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  return both >= 0 ? both : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

bool is_regular(int file, struct stat& info) {
  return ::fstat(file, &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

void Descriptor::reset(int number) {
  if (number_ >= 0) ::close(number_);
  number_ = number;
}

uint64_t CacheFile::stride_of(const CacheFormat& format) {
  // Whole pages for what fills many: the system copies by the page.
  const uint64_t unit = format.bytes < (uint64_t{1} << 15) ? 64 : 4096;
  return (format.bytes + unit - 1) / unit * unit;
}

CacheFile::CacheFile(std::string index_path, const CacheFormat& format)
    : index_path_(std::move(index_path)),
      images_path_(with_ending(index_path_, kImagesEnding)),
      format_(format),
      stride_(stride_of(format)) {}

std::unique_ptr<CacheFile> CacheFile::open(const std::string& index_path,
                                           const CacheFormat& format) {
  std::unique_ptr<CacheFile> file(new CacheFile(index_path, format));
  file->index_.reset(open_file(file->index_path_));
  file->images_file_.reset(open_file(file->images_path_));
  struct stat info;
  if (!is_regular(file->index_.get(), info) || !is_regular(file->images_file_.get(), info) ||
      !file->check_header()) {
    return nullptr;
  }
  return file;
}

bool CacheFile::check_header() {
  Header header;
  const Header right;
  if (!read_all_at(index_.get(), &header, sizeof(header), 0)) return false;
  header.name.back() = '\0';
  id_ = header.id;
  return header.magic == right.magic && header.seal == header.right_seal() &&
         header.bytes == format_.bytes && header.stride == stride_ &&
         format_.name == header.name.data();
}

std::unique_ptr<CacheFile> CacheFile::create(const std::string& folder, const CacheFormat& format) {
  std::random_device random;
  Header header;
  header.id = uint64_t{random()} << 32 | random();
  header.bytes = format.bytes;
  header.stride = stride_of(format);
  std::copy(format.name.begin(), format.name.end(), header.name.begin());
  header.seal = header.right_seal();

  std::string name = folder + "/" + format.name + ".";
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[header.id >> shift & 15];
  std::unique_ptr<CacheFile> file(new CacheFile(name + kIndexEnding, format));
  file->id_ = header.id;
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  // Whoever finds the index by its name finds it locked and with its header.
  const std::string unfinished = file->index_path_ + ".new";
  file->images_file_.reset(::open(file->images_path_.c_str(), kFlags, 0666));
  if (file->images_file_.get() < 0) return nullptr;
  file->index_.reset(::open(unfinished.c_str(), kFlags, 0666));
  if (file->index_.get() >= 0 && write_all_at(file->index_.get(), &header, sizeof(header), 0)) {
    (void)::flock(file->index_.get(), LOCK_EX | LOCK_NB);
    if (::rename(unfinished.c_str(), file->index_path_.c_str()) == 0) return file;
  }
  const int error = errno;
  ::unlink(unfinished.c_str());
  ::unlink(file->images_path_.c_str());
  errno = error;
  return nullptr;
}

std::string CacheFile::name() const {
  return index_path_.substr(index_path_.find_last_of('/') + 1);
}

void CacheFile::refresh(const std::function<void(const CacheRecord&)>& take) {
  struct stat info;
  if (::fstat(index_.get(), &info) != 0) return;
  const auto size = static_cast<uint64_t>(info.st_size);
  std::vector<StoredRecord> records;
  while (read_ + kRecordBytes <= size) {
    const uint64_t count = std::min<uint64_t>((size - read_) / kRecordBytes, 4096);
    records.resize(count);
    if (!read_all_at(index_.get(), records.data(), count * kRecordBytes, read_)) return;
    read_ += count * kRecordBytes;
    const uint64_t before = images_;
    for (const StoredRecord& record : records) {
      if (record.seal != record.right_seal(id_) || record.high == 0 || record.slot == UINT32_MAX) {
        continue;
      }
      ++images_;
      slots_in_use_ = std::max(slots_in_use_, record.slot + 1);
      take({{record.high, record.low}, record.checksum, record.slot, record.was_gray & 1});
    }
    if (count == 4096 && images_ == before) read_ = size;  // no index: do not read all of it
  }
}

bool CacheFile::read(uint32_t slot, uint8_t* pixels) const {
  return read_all_at(images_file_.get(), pixels, format_.bytes, slot * stride_);
}

bool CacheFile::try_take_over() {
  struct stat index, images;
  return (::fcntl(index_.get(), F_GETFL) & O_ACCMODE) == O_RDWR &&
         (::fcntl(images_file_.get(), F_GETFL) & O_ACCMODE) == O_RDWR &&
         is_regular(index_.get(), index) && is_regular(images_file_.get(), images) &&
         index.st_nlink > 0 && images.st_nlink > 0 && ::flock(index_.get(), LOCK_EX | LOCK_NB) == 0;
}

bool CacheFile::resize(uint32_t slots) {
  return ::ftruncate(images_file_.get(), static_cast<off_t>(slots * (stride_ + kRecordBytes))) == 0;
}

bool CacheFile::write_image(uint32_t slot, const uint8_t* pixels) const {
  return write_all_at(images_file_.get(), pixels, format_.bytes, slot * stride_);
}

bool CacheFile::append(const CacheRecord& record) {
  StoredRecord stored = {.high = record.key.high,
                         .low = record.key.low,
                         .checksum = record.checksum,
                         .slot = record.slot,
                         .was_gray = record.was_gray,
                         .seal = 0};
  stored.seal = stored.right_seal(id_);
  if (!write_all_at(index_.get(), &stored, sizeof(stored), read_)) return false;
  read_ += sizeof(stored);
  ++images_;
  slots_in_use_ = std::max(slots_in_use_, record.slot + 1);
  return true;
}

void CacheFile::finish() {
  (void)!::ftruncate(images_file_.get(), static_cast<off_t>(slots_in_use_ * stride_));
  if (images_ > 0) return;
  ::unlink(index_path_.c_str());
  ::unlink(images_path_.c_str());
}

}  // namespace pyloader
