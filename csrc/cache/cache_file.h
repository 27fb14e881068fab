// One pair of files of a cache folder: images one after the other, and an index that grows by a
// record when an image is whole.
//
// Note [one writer]: at most one process writes to a pair, the one that made it or that has locked
// it after its writer ended. What has a record is never written again. So readers need no locks: a
// process that is killed leaves at most an image without a record; a record that is not whole, and
// an image that a power failure took, are told by their checksums. Nothing is mapped into memory:
// a file that shrinks, or a disk that fails, is a failed read and no signal.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cache/cache_key.h"
#include "cache/image_cache.h"

namespace pyloader {

// An open descriptor, or none.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor() { reset(-1); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void reset(int number);
  int get() const { return number_; }

 private:
  int number_;
};

struct CacheRecord {
  CacheKey key;
  uint64_t checksum = 0;  // of the image's bytes, seeded with key.low
  uint32_t slot = 0;      // the image's place: its offset is slot * stride
  uint32_t was_gray = 0;
};

class CacheFile {
 public:
  // What the names of the two files end with; they begin with the format's name.
  static constexpr const char* kIndexEnding = ".pyloader-index";
  static constexpr const char* kImagesEnding = ".pyloader-images";
  static constexpr uint64_t kHeaderBytes = 256;
  static constexpr uint64_t kRecordBytes = 40;

  // Opens the pair whose index is `index_path`. Null for anything but a sound pair of this format.
  static std::unique_ptr<CacheFile> open(const std::string& index_path, const CacheFormat& format);

  // Makes a new pair, of which the caller is the writer. Null on failure; errno tells.
  static std::unique_ptr<CacheFile> create(const std::string& folder, const CacheFormat& format);

  // Distance of images, in bytes.
  static uint64_t stride_of(const CacheFormat& format);

  // Calls `take` with every record that came since the last time. One caller at a time.
  void refresh(const std::function<void(const CacheRecord&)>& take);

  // Reads an image of format.bytes bytes. Any thread.
  bool read(uint32_t slot, uint8_t* pixels) const;

  // Makes the caller the writer, if nobody is. One caller at a time; `refresh` comes next.
  bool try_take_over();

  // The writer's own, false on failure (errno tells). Any thread: write_image; the others: one
  // caller at a time. `resize` gives the images' file room for `slots` images and their records.
  bool resize(uint32_t slots);
  bool write_image(uint32_t slot, const uint8_t* pixels) const;
  bool append(const CacheRecord& record);

  // Ends writing: the room that was not used is given back, and files without an image are removed.
  void finish();

  std::string name() const;                                // of the index, without the folder
  uint32_t slots_in_use() const { return slots_in_use_; }  // 1 + the highest slot of a record
  uint64_t images() const { return images_; }              // records

 private:
  CacheFile(std::string index_path, const CacheFormat& format);
  bool check_header();

  const std::string index_path_;
  const std::string images_path_;
  const CacheFormat format_;
  const uint64_t stride_;
  Descriptor index_;
  Descriptor images_file_;
  uint64_t id_ = 0;               // in the header, seeds the records' checksums
  uint64_t read_ = kHeaderBytes;  // of the index, up to here
  uint32_t slots_in_use_ = 0;
  uint64_t images_ = 0;
};

}  // namespace pyloader
