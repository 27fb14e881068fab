// A cache in a folder: survives the process, and is shared by all that name the folder.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cache/cache_file.h"
#include "cache/image_cache.h"
#include "cache/key_table.h"

namespace pyloader {

// Each process adds to a pair of files of its own (see CacheFile) and reads those of all. Every
// image is checked every time: other programs may write to the files at any moment. Nothing is
// evicted; files of other formats in the folder count for the limit. The pixels are those that
// whoever may write to the folder put there.
class FolderCache final : public ImageCache {
 public:
  // `limit` in bytes of all files in the folder; kSane: until a twentieth of the file system is
  // left. Makes the folder where there is none. Throws std::bad_alloc.
  FolderCache(std::string folder, const CacheFormat& format, uint64_t limit);
  ~FolderCache() override;
  FolderCache(const FolderCache&) = delete;
  FolderCache& operator=(const FolderCache&) = delete;

  static constexpr uint64_t kSane = 0;

  // A failed lookup takes a lock, to look for what other processes have added.
  const uint8_t* read(const CacheKey& key, uint8_t* buffer, bool& was_gray) override;
  // Does nothing in a child of a fork: the files are its parent's.
  void write(const CacheKey& key, const uint8_t* pixels, bool was_gray) override;
  void trim() override;
  CacheState state() const override;
  bool has_problem() const override { return has_problem_; }

 private:
  static constexpr size_t kMaxFiles = 128;

  CacheEntry* find(const CacheKey& key);
  void refresh();
  void list_files();
  void read_records(size_t number);
  bool take_slot(uint32_t& slot);
  bool open_writer();
  bool reserve();
  uint64_t folder_bytes() const;
  bool has_room(uint64_t more) const;
  void stop(std::string_view what, int error);

  const std::string folder_;
  const CacheFormat format_;
  const uint64_t limit_;
  const int owner_;  // process id
  bool network_ = false;
  KeyTable table_;  // found without a lock, filled with it
  // Set with the lock, once each, and never changed; read without.
  std::array<std::atomic<CacheFile*>, kMaxFiles> files_{};
  std::atomic<bool> stopped_{false};  // nothing is written any more
  std::atomic<bool> has_problem_{false};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::array<std::string, kMaxFiles> names_;
  size_t file_count_ = 0;
  FileIdentity listed_;        // of the folder when it was last listed
  size_t writer_ = kMaxFiles;  // the file that this process adds to
  uint32_t next_slot_ = 0;
  uint32_t reserved_ = 0;  // slots
  std::string problem_;
};

}  // namespace pyloader
