// Writes the inputs from which the fuzz targets start:
//
//     make_corpus FOLDER [JPEG FILE OR FOLDER OF THEM ...]
//
// A folder for each target. JPEG files of every kind, small, and some with what only odd encoders
// write; where photographs are given, pieces of those too. Files of a cache as its writer leaves
// them. The same on every run.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cache/folder_cache.h"
#include "cache_content.h"
#include "decoding.h"
#include "fuzz.h"
#include "inputs.h"
#include "jpeg_files.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace fs = std::filesystem;

namespace {

using Bytes = std::vector<uint8_t>;

// Content becomes an input with numbers behind it.
class Writer {
 public:
  explicit Writer(const fs::path& folder) : folder_(folder) { fs::create_directories(folder_); }

  void add(Bytes content, std::initializer_list<int> choices = {}) {
    const size_t size = content.size();
    content.resize(size + kChoiceBytes);
    random_.fill({content.data() + size, kChoiceBytes});
    size_t at = size;
    for (const int choice : choices) {
      content[at++] = static_cast<uint8_t>(choice);
      content[at++] = static_cast<uint8_t>(choice >> 8);
    }
    std::ofstream stream(folder_ / ("seed-" + std::to_string(count_++)), std::ios::binary);
    stream.write(reinterpret_cast<const char*>(content.data()),
                 static_cast<std::streamsize>(content.size()));
  }
  int count() const { return count_; }

 private:
  const fs::path folder_;
  Random random_{71};
  int count_ = 0;
};

Bytes read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void add_photograph(const fs::path& path, std::vector<Photograph>& photographs) {
  JpegDecoder decoder(available_simd_level(), EntropyDecoder::kLibjpeg);
  const Pixels pixels = decode(decoder, read_file(path));
  const JpegPixels form = pixels.header.pixels;
  if (!pixels.status.ok() || (form != JpegPixels::kColor && form != JpegPixels::kPlanes)) return;
  Photograph photograph{.samples = {}, .size = pixels.header.size};
  for (size_t i = 0; i < pixels.bytes.size(); ++i) {
    if (i % 4 != 3) photograph.samples.push_back(pixels.bytes[i]);
  }
  photographs.push_back(std::move(photograph));
}

std::vector<Photograph> read_photographs(int count, char** paths) {
  std::vector<fs::path> files;
  for (int i = 0; i < count; ++i) {
    if (!fs::is_directory(paths[i])) {
      files.emplace_back(paths[i]);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(paths[i])) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Photograph> photographs;
  for (const fs::path& file : files) add_photograph(file, photographs);
  return photographs;
}

// With another byte, counted from a marker; the file as it is where it has no such marker.
Bytes with_byte(Bytes content, uint8_t marker, size_t offset, uint8_t value) {
  for (size_t at = 2; at + offset < content.size() && content[at] == 0xFF;
       at += 2u + content[at + 2] * 256u + content[at + 3]) {
    if (content[at + 1] != marker) continue;
    content[at + offset] = value;
    break;
  }
  return content;
}

Bytes with_segment(Bytes content, uint8_t marker, const std::string& text) {
  Bytes segment = {0xFF, marker, 0, static_cast<uint8_t>(text.size() + 2)};
  segment.insert(segment.end(), text.begin(), text.end());
  content.insert(content.begin() + 2, segment.begin(), segment.end());
  return content;
}

Bytes joined(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// What encoders of our own time do not write.
std::vector<Bytes> odd_files() {
  const Bytes plain = make_jpeg({.size = {19, 13}, .luma_h = 2, .luma_v = 2});
  const Bytes gray = make_jpeg({.size = {9, 9}, .color = JpegColor::kGray});
  constexpr uint8_t kFrame = 0xC0, kScan = 0xDA;
  std::vector<Bytes> files = {
      with_byte(plain, kFrame, 4, 12),    // bits of a sample
      with_byte(plain, kFrame, 1, 0xC1),  // extended
      with_byte(plain, kFrame, 1, 0xC3),  // lossless
      with_byte(plain, kFrame, 5, 0xFF),  // height
      with_byte(plain, kFrame, 6, 0),     // height to follow after the scan
      with_byte(plain, kFrame, 9, 2),     // components
      with_byte(plain, kScan, 4, 1),      // components of the scan
      with_segment(plain, 0xE1, "Exif"),
      with_segment(plain, 0xEE, std::string("Adobe\0d\0\0\0\0\2", 12)),
      with_segment(gray, 0xFE, "a comment"),
      joined(plain, gray),
      joined({0x00, 0xFF}, plain),
      joined({0xFF, 0xD8}, plain),
      {0xFF, 0xD8, 0xFF, 0xD9},
      {0xFF, 0xD8, 0xFF},
      {},
  };
  for (const size_t length : {plain.size() - 2, plain.size() - 20, plain.size() / 2, size_t{30}}) {
    files.emplace_back(plain.begin(), plain.begin() + static_cast<ptrdiff_t>(length));
  }
  files.push_back(encode(
      {17, 11}, false, [](int x, int y) { return static_cast<uint8_t>(x * y); },
      [](jpeg_compress_struct& info) { jpeg_set_quality(&info, 1, FALSE); }));
  return files;
}

// Where a marker stands, from a place on; the end where there is none.
Bytes::const_iterator find_marker(const Bytes& file, uint8_t marker, Bytes::const_iterator from) {
  const uint8_t bytes[] = {0xFF, marker};
  return std::search(from, file.end(), bytes, bytes + 2);
}

// Only the first scans of progressive files, as where a download was cut and closed.
std::vector<Bytes> files_that_lack_scans(const std::vector<Bytes>& files) {
  constexpr uint8_t kProgressive = 0xC2, kScan = 0xDA;
  std::vector<Bytes> cut;
  for (const Bytes& file : files) {
    if (find_marker(file, kProgressive, file.begin()) == file.end()) continue;
    auto at = find_marker(file, kScan, file.begin());
    for (int scans = 1; scans <= 3 && at != file.end(); ++scans) {
      at = find_marker(file, kScan, at + 2);
      if (at != file.end()) cut.push_back(joined({file.begin(), at}, {0xFF, 0xD9}));
    }
  }
  return cut;
}

std::vector<Bytes> jpeg_files(const std::vector<Photograph>& photographs) {
  std::vector<Bytes> files = odd_files();
  for (const Size size : {Size{1, 1}, Size{8, 8}, Size{17, 9}, Size{37, 41}}) {
    for (JpegRecipe recipe : recipes_of(size)) {
      recipe.quality = std::min(recipe.quality, 75);
      files.push_back(make_jpeg(recipe));
    }
  }
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    Random random(seed);
    const bool photographed = !photographs.empty() && seed % 2 == 0;
    files.push_back(random_file(
        random, photographed ? &photographs[random.next() % photographs.size()] : nullptr));
  }
  const std::vector<Bytes> lacking = files_that_lack_scans(files);
  files.insert(files.end(), lacking.begin(), lacking.end());
  // A large one costs more than it finds.
  std::erase_if(files, [](const Bytes& file) { return file.size() > 3000; });
  return files;
}

// Of every number of images; whole, and with something missing or behind.
void write_cache_files(Writer& writer) {
  for (uint64_t images = 0; images <= kFuzzKeys; ++images) {
    const TemporaryFolder folder;
    {
      FolderCache cache(folder.path(""), kFuzzFormat, 1 << 20);
      for (uint64_t number = 0; number < std::max<uint64_t>(images, 1); ++number) {
        cache.write(fuzz_key(number), fuzz_pixels(number).data(), fuzz_gray(number));
      }
    }
    for (const auto& entry : fs::directory_iterator(folder.path(""))) {
      if (!entry.path().string().ends_with(CacheFile::kIndexEnding)) continue;
      CacheContent content = read_content(entry.path());
      if (images == 0) content.index.resize(CacheFile::kHeaderBytes);
      for (const size_t cut : {size_t{0}, size_t{7}, size_t{41}}) {
        CacheContent part = content;
        part.index.resize(part.index.size() - cut);
        part.images.resize(part.images.size() - std::min(cut, part.images.size()));
        const auto index_bytes = static_cast<int>(part.index.size());
        for (const int seals : {0, 3}) {
          writer.add(joined(part.index, part.images), {index_bytes, seals});
        }
      }
      CacheContent twice = content;
      twice.index.insert(twice.index.end(), content.index.begin() + CacheFile::kHeaderBytes,
                         content.index.end());
      writer.add(joined(twice.index, twice.images), {static_cast<int>(twice.index.size()), 0});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FOLDER [JPEG FILE OR FOLDER OF THEM ...]\n", argv[0]);
    return 2;
  }
  const fs::path folder = argv[1];
  const std::vector<Photograph> photographs = read_photographs(argc - 2, argv + 2);
  const std::vector<Bytes> files = jpeg_files(photographs);
  int inputs = 0;
  for (const char* target : {"header", "decode", "entropy"}) {
    Writer writer(folder / target);
    for (const Bytes& file : files) writer.add(file);
    inputs += writer.count();
  }
  Writer resize(folder / "resize");
  Random random(72);
  for (int i = 0; i < 300; ++i) {
    Bytes pixels(static_cast<size_t>(random.below(64)));
    random.fill(pixels);
    resize.add(std::move(pixels));
  }
  Writer cache(folder / "cache");
  write_cache_files(cache);
  inputs += resize.count() + cache.count();
  std::fprintf(stderr, "%d inputs, %zu photographs to cut from\n", inputs, photographs.size());
  return 0;
}
