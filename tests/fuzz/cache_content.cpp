#include "cache_content.h"

#include <cstring>
#include <fstream>
#include <iterator>

#include "cache/checksum.h"
#include "inputs.h"

namespace pyloader::testing {
namespace {

// The layout of the header: magic (16), id, bytes, stride, name (208), seal; of a record: key (16),
// checksum, slot (4), was_gray (4), seal.
constexpr size_t kHeader = CacheFile::kHeaderBytes, kRecord = CacheFile::kRecordBytes;
constexpr size_t kIdAt = 16, kBytesAt = 24, kStrideAt = 32, kNameAt = 40;
constexpr size_t kHeaderSealAt = kHeader - 8, kRecordSealAt = kRecord - 8;

template <class Number>
Number number_at(const uint8_t* at) {
  Number number;
  std::memcpy(&number, at, sizeof(number));
  return number;
}

void put(uint8_t* at, uint64_t number) { std::memcpy(at, &number, sizeof(number)); }

std::string images_path(const std::string& index_path) {
  return index_path.substr(0, index_path.size() - std::strlen(CacheFile::kIndexEnding)) +
         CacheFile::kImagesEnding;
}

std::vector<uint8_t> read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

CacheKey fuzz_key(uint64_t number) { return make_cache_key("/", "name", {.size = number}); }

std::vector<uint8_t> fuzz_pixels(uint64_t number) {
  std::vector<uint8_t> pixels(kFuzzFormat.bytes);
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<uint8_t>((number + 3) * (i + 5) * 37 >> 2);
  }
  return pixels;
}

bool CacheContent::has_sound_header() const {
  const uint8_t* at = index.data();
  if (index.size() < kHeader || std::memcmp(at, "pyloader cache1\n", 16) != 0) return false;
  std::string name(reinterpret_cast<const char*>(at) + kNameAt, kHeaderSealAt - kNameAt - 1);
  name.resize(std::strlen(name.c_str()));
  if (at[kHeaderSealAt - 1] != 0) return false;  // no writer's name is that long
  return number_at<uint64_t>(at + kHeaderSealAt) == checksum(at, kHeaderSealAt, 0) &&
         number_at<uint64_t>(at + kBytesAt) == kFuzzFormat.bytes &&
         number_at<uint64_t>(at + kStrideAt) == CacheFile::stride_of(kFuzzFormat) &&
         name == kFuzzFormat.name;
}

std::vector<CacheRecord> CacheContent::records() const {
  std::vector<CacheRecord> records;
  for (size_t end = kHeader + kRecord; end <= index.size(); end += kRecord) {
    const uint8_t* at = index.data() + end - kRecord;
    const auto id = number_at<uint64_t>(index.data() + kIdAt);
    const CacheRecord record = {.key = {number_at<uint64_t>(at), number_at<uint64_t>(at + 8)},
                                .checksum = number_at<uint64_t>(at + 16),
                                .slot = number_at<uint32_t>(at + 24),
                                .was_gray = number_at<uint32_t>(at + 28) & 1};
    if (number_at<uint64_t>(at + kRecordSealAt) == checksum(at, kRecordSealAt, id) &&
        record.key.high != 0 && record.slot != UINT32_MAX) {
      records.push_back(record);
    }
  }
  return records;
}

std::span<const uint8_t> CacheContent::image(const CacheRecord& record) const {
  const uint64_t at = record.slot * CacheFile::stride_of(kFuzzFormat);
  if (at + kFuzzFormat.bytes > images.size()) return {};
  return std::span(images).subspan(at, kFuzzFormat.bytes);
}

bool CacheContent::vouches(const CacheRecord& record) const {
  const auto pixels = image(record);
  return !pixels.empty() &&
         checksum(pixels.data(), pixels.size(), record.key.low) == record.checksum;
}

void CacheContent::seal_header() {
  if (index.size() < kHeader) return;
  put(index.data() + kHeaderSealAt, checksum(index.data(), kHeaderSealAt, 0));
}

void CacheContent::seal_records() {
  for (size_t end = kHeader + kRecord; end <= index.size(); end += kRecord) {
    uint8_t* at = index.data() + end - kRecord;
    put(at + kRecordSealAt, checksum(at, kRecordSealAt, number_at<uint64_t>(index.data() + kIdAt)));
  }
}

CacheContent read_content(const std::string& index_path) {
  return {.index = read_bytes(index_path), .images = read_bytes(images_path(index_path))};
}

void write_content(const std::string& index_path, const CacheContent& content) {
  write_bytes(index_path, content.index);
  write_bytes(images_path(index_path), content.images);
}

}  // namespace pyloader::testing
