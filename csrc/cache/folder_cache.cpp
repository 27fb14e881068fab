#include "cache/folder_cache.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <new>
#include <system_error>

#include "cache/checksum.h"
#include "cache/network_folder.h"

namespace pyloader {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kExtent = uint64_t{64} << 20;  // bytes that a process sets aside at a time

// A place: the file's number and one, the slot, and whether the image was gray.
constexpr uint64_t kGray = 1;

uint64_t place_of(size_t file, uint32_t slot, bool was_gray) {
  return (uint64_t{file} + 1) << 40 | uint64_t{slot} << 8 | (was_gray ? kGray : 0);
}
size_t file_of(uint64_t place) { return static_cast<size_t>(place >> 40) - 1; }
uint32_t slot_of(uint64_t place) { return static_cast<uint32_t>(place >> 8); }

bool change_time(const std::string& folder, FileIdentity& identity) {
  struct stat info;
  if (::stat(folder.c_str(), &info) != 0) return false;
#if defined(__APPLE__)
  const timespec& time = info.st_mtimespec;
#else
  const timespec& time = info.st_mtim;
#endif
  identity = {.inode = info.st_ino,
              .changed_ns = static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec};
  return true;
}

}  // namespace

FolderCache::FolderCache(std::string folder, const CacheFormat& format, uint64_t limit)
    : folder_(std::move(folder)), format_(format), limit_(limit), owner_(::getpid()) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_, error)) {
    if (!error) error = std::make_error_code(std::errc::not_a_directory);
    stop("the folder cannot be used", error.value());
    return;
  }
  network_ = is_network_folder(folder_);
  const std::lock_guard lock(mutex_);
  refresh();
}

FolderCache::~FolderCache() {
  if (::getpid() == owner_ && writer_ < kMaxFiles) files_[writer_].load()->finish();
  for (auto& file : files_) delete file.load();
}

CacheEntry* FolderCache::find(const CacheKey& key) {
  CacheEntry* entry = table_.find(key);
  return entry != nullptr && entry->place.load() != 0 ? entry : nullptr;
}

const uint8_t* FolderCache::read(const CacheKey& key, uint8_t* buffer, bool& was_gray) {
  CacheEntry* entry = find(key);
  if (entry == nullptr) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock) refresh();
    entry = find(key);
  }
  if (entry == nullptr) return nullptr;
  uint64_t place = entry->place.load();
  if (place == 0) return nullptr;
  was_gray = (place & kGray) != 0;
  if (files_[file_of(place)].load()->read(slot_of(place), buffer) &&
      checksum(buffer, format_.bytes, key.low) == entry->checksum.load()) {
    return buffer;
  }
  entry->place.compare_exchange_strong(place, 0);  // unless it has a new one already
  return nullptr;
}

void FolderCache::write(const CacheKey& key, const uint8_t* pixels, bool was_gray) try {
  if (stopped_ || ::getpid() != owner_) return;
  uint32_t slot = 0;
  CacheFile* file = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || find(key) != nullptr || !take_slot(slot)) return;
    file = files_[writer_];
  }
  const CacheRecord record = {.key = key,
                              .checksum = checksum(pixels, format_.bytes, key.low),
                              .slot = slot,
                              .was_gray = was_gray};
  const bool written = file->write_image(slot, pixels);
  const int error = errno;
  const std::lock_guard lock(mutex_);
  if (find(key) != nullptr) return;  // by another thread, meanwhile
  if (!written) return stop("no more images are kept", error);
  if (!file->append(record)) return stop("no more images are kept", errno);
  table_.put(key, place_of(writer_, slot, was_gray), record.checksum);
} catch (const std::bad_alloc&) {
  // One image less in the cache; the next one may find memory again.
}

void FolderCache::trim() {
  if (::getpid() != owner_) return;
  const std::lock_guard lock(mutex_);
  if (next_slot_ < reserved_ && files_[writer_].load()->resize(next_slot_)) reserved_ = next_slot_;
}

CacheState FolderCache::state() const {
  CacheState state;
  std::unique_lock held(mutex_, std::defer_lock);
  if (::getpid() == owner_) {
    held.lock();
  } else if (!held.try_lock()) {
    return state;  // a thread of the parent's holds it, for ever
  }
  uint64_t images = 0;
  for (size_t i = 0; i < file_count_; ++i) images += files_[i].load()->images();
  return {.bytes = images * CacheFile::stride_of(format_),
          .full = stopped_ && problem_.empty(),
          .problem = problem_};
}

// Ends writing. Without an error it is just full.
void FolderCache::stop(std::string_view what, int error) {
  stopped_ = true;
  if (error == 0) return;
  problem_ = std::string(what) + " (" + std::generic_category().message(error) + ")";
  has_problem_ = true;
}

// Takes in what other processes have added.
void FolderCache::refresh() {
  FileIdentity now;
  if (change_time(folder_, now) && !(now == listed_)) {
    listed_ = now;
    list_files();
  }
  for (size_t i = 0; i < file_count_; ++i) {
    if (i != writer_) read_records(i);
  }
}

void FolderCache::list_files() {
  std::error_code error;
  const std::string beginning = format_.name + ".";
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(beginning) || !name.ends_with(CacheFile::kIndexEnding)) continue;
    const auto known = names_.begin() + static_cast<ptrdiff_t>(file_count_);
    if (file_count_ == kMaxFiles || std::find(names_.begin(), known, name) != known) continue;
    auto file = CacheFile::open(entry->path().string(), format_);
    if (!file) continue;
    names_[file_count_] = name;
    files_[file_count_++] = file.release();
  }
}

void FolderCache::read_records(size_t number) {
  files_[number].load()->refresh([&](const CacheRecord& record) {
    const CacheEntry* entry = table_.find(record.key);
    const uint64_t place = entry == nullptr ? 0 : entry->place.load();
    // A later record of the same file stands for an image that was found damaged.
    if (place != 0 && file_of(place) != number) return;
    table_.put(record.key, place_of(number, record.slot, record.was_gray != 0), record.checksum);
  });
}

bool FolderCache::take_slot(uint32_t& slot) {
  if (writer_ == kMaxFiles && !open_writer()) return false;
  if (next_slot_ == reserved_ && !reserve()) return false;
  slot = next_slot_++;
  return true;
}

// Takes over a pair whose writer has ended, or makes a new one. Locks are not to be trusted on
// network file systems.
bool FolderCache::open_writer() {
  for (size_t i = 0; i < file_count_ && !network_; ++i) {
    CacheFile* file = files_[i];
    if (!file->try_take_over()) continue;
    read_records(i);
    writer_ = i;
    next_slot_ = reserved_ = file->slots_in_use();
    return true;
  }
  if (file_count_ == kMaxFiles) {
    stop("the folder holds too many files of other processes", EMFILE);
    return false;
  }
  auto file = CacheFile::create(folder_, format_);
  if (!file) {
    stop("no more images are kept", errno);
    return false;
  }
  writer_ = file_count_;
  names_[file_count_] = file->name();
  files_[file_count_++] = file.release();
  return true;
}

// Sets slots aside: first takes the room, then asks whether all that was taken is too much. Of two
// processes that do so at once, at least one sees the other's.
bool FolderCache::reserve() {
  CacheFile* file = files_[writer_];
  int error = 0;
  const uint64_t each = CacheFile::stride_of(format_) + CacheFile::kRecordBytes;
  for (uint64_t count = std::max<uint64_t>(kExtent / each, 1); count > 0; count /= 2) {
    if (next_slot_ + count >= UINT32_MAX) continue;
    const auto slots = static_cast<uint32_t>(next_slot_ + count);
    error = file->resize(slots) ? 0 : errno;
    if (error == 0 && has_room(count * each)) {
      reserved_ = slots;
      return true;
    }
  }
  (void)file->resize(next_slot_);
  stop("no more images are kept", error);
  return false;
}

// Whether the files, of which `more` bytes are not written yet, are within the limit.
bool FolderCache::has_room(uint64_t more) const {
  if (limit_ != kSane) return folder_bytes() <= limit_;
  struct statvfs info;
  if (::statvfs(folder_.c_str(), &info) != 0) return true;  // a deleted folder
  const uint64_t total = uint64_t{info.f_blocks} * info.f_frsize;
  return uint64_t{info.f_bavail} * info.f_frsize >= total / 20 + more;
}

uint64_t FolderCache::folder_bytes() const {
  std::error_code error;
  uint64_t bytes = 0;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(CacheFile::kIndexEnding) || name.ends_with(CacheFile::kImagesEnding)) {
      std::error_code gone;
      const uint64_t size = entry->file_size(gone);
      if (!gone) bytes += size;
    }
  }
  return bytes;
}

}  // namespace pyloader
