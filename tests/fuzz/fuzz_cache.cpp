// Arbitrary bytes as the files of a cache folder: opened, looked up, changed under the reader,
// taken over and added to. What comes back is what a whole record of the files vouches for, or
// nothing; what was written comes back.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cache/folder_cache.h"
#include "cache_content.h"
#include "fuzz.h"
#include "inputs.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr uint64_t kLimit = uint64_t{1} << 20;
constexpr int kSecondPair = 5;  // a scene

// Whether a record of these contents vouches for what was found.
bool backed(const CacheContent& content, uint64_t number, const std::vector<uint8_t>& pixels,
            bool was_gray) {
  if (!content.has_sound_header()) return false;
  for (const CacheRecord& record : content.records()) {
    if (record.key == fuzz_key(number) && (record.was_gray != 0) == was_gray &&
        content.vouches(record) && std::ranges::equal(content.image(record), pixels)) {
      return true;
    }
  }
  return false;
}

// Whether the key must be found: one record alone has it, and vouches for its image.
bool certain(const CacheContent& content, uint64_t number) {
  if (!content.has_sound_header()) return false;
  const CacheRecord* only = nullptr;
  const std::vector<CacheRecord> records = content.records();
  for (const CacheRecord& record : records) {
    if (record.key != fuzz_key(number)) continue;
    if (only != nullptr) return false;
    only = &record;
  }
  return only != nullptr && content.vouches(*only);
}

struct Found {
  std::vector<uint8_t> pixels;  // empty: nothing
  bool was_gray = false;
};

Found look_up(FolderCache& cache, uint64_t number) {
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[kFuzzFormat.bytes]);
  Found found;
  const uint8_t* pixels = cache.read(fuzz_key(number), buffer.get(), found.was_gray);
  if (pixels != nullptr) found.pixels.assign(pixels, pixels + kFuzzFormat.bytes);
  return found;
}

bool is_written(const Found& found, uint64_t number) {
  return found.pixels == fuzz_pixels(number) && found.was_gray == fuzz_gray(number);
}

// Looks all keys up; whether any is there. `known` is what may be found besides the pixels that
// this fuzzer writes.
bool look_up_all(FolderCache& cache, const CacheContent& known, bool all_there) {
  bool any = false;
  for (uint64_t number = 0; number < kFuzzKeys; ++number) {
    const Found found = look_up(cache, number);
    if (!found.pixels.empty()) any = true;
    if (found.pixels.empty()) {
      expect(!all_there || !certain(known, number), "an image is missing");
    } else {
      expect(is_written(found, number) || backed(known, number, found.pixels, found.was_gray),
             "a wrong image");
    }
  }
  return any;
}

// One more pair by a writer that is gone, or the files in a state in which no writer leaves them.
void set_scene(const TemporaryFolder& folder, const std::string& index_path, int scene) {
  const std::string images_path =
      index_path.substr(0, index_path.size() - 5) + "images";  // index -> images
  switch (scene) {
    case 0: ::unlink(images_path.c_str()); break;
    case 1: ::unlink(index_path.c_str()); break;
    case 2:
      ::unlink(images_path.c_str());
      (void)!::symlink(index_path.c_str(), images_path.c_str());
      break;
    case 3:
      ::unlink(index_path.c_str());
      (void)!::mkfifo(index_path.c_str(), 0600);
      break;
    case 4:
      ::unlink(index_path.c_str());
      ::mkdir(index_path.c_str(), 0700);
      break;
    case kSecondPair: {
      FolderCache other(folder.path(""), kFuzzFormat, kLimit);
      for (const uint64_t number : {uint64_t{0}, uint64_t{3}}) {
        other.write(fuzz_key(number), fuzz_pixels(number).data(), fuzz_gray(number));
      }
      break;
    }
    default: break;
  }
}

// What other programs may do to the files at any moment.
CacheContent changed(CacheContent content, Choices& choices) {
  for (std::vector<uint8_t>* bytes : {&content.index, &content.images}) {
    if (bytes->empty()) continue;
    const auto at = choices.next() % bytes->size();
    const int way = choices.below(4);
    if (way == 0) bytes->resize(at);
    if (way == 1) (*bytes)[at] ^= static_cast<uint8_t>(1 + choices.below(255));
    if (way == 2) {
      const std::vector<uint8_t> tail(bytes->begin() + static_cast<ptrdiff_t>(at), bytes->end());
      bytes->insert(bytes->end(), tail.begin(), tail.end());
    }
  }
  return content;
}

// What a reader knows that has read one index and then, from where that ended, another; with images
// as they are now.
CacheContent taken_in(const CacheContent& before, const CacheContent& now) {
  CacheContent known = {.index = before.index, .images = now.images};
  constexpr size_t kHeader = CacheFile::kHeaderBytes, kRecord = CacheFile::kRecordBytes;
  if (known.index.size() < kHeader) return known;
  known.index.resize(kHeader + (known.index.size() - kHeader) / kRecord * kRecord);
  if (now.index.size() > known.index.size()) {
    known.index.insert(known.index.end(),
                       now.index.begin() + static_cast<ptrdiff_t>(known.index.size()),
                       now.index.end());
  }
  return known;
}

// Adds some keys. What is not refused is found, in this cache and in the next one.
void add_and_reopen(std::unique_ptr<FolderCache> cache, const std::string& path,
                    const CacheContent& known, bool alone, Choices& choices) {
  bool written[kFuzzKeys] = {};
  const int mask = choices.below(256);
  for (uint64_t number = 0; number < kFuzzKeys; ++number) {
    if ((mask >> number & 1) == 0 || !look_up(*cache, number).pixels.empty()) continue;
    cache->write(fuzz_key(number), fuzz_pixels(number).data(), fuzz_gray(number));
    const CacheState state = cache->state();
    written[number] = !state.full && state.problem.empty();
    if (written[number]) expect(is_written(look_up(*cache, number), number), "lost at once");
    if (choices.one_in(8)) cache->trim();
  }
  cache.reset();
  FolderCache again(path, kFuzzFormat, kLimit);
  for (uint64_t number = 0; number < kFuzzKeys; ++number) {
    // Of two pairs, the one that is read first wins, even where its image is damaged.
    if (written[number] && alone) expect(is_written(look_up(again, number), number), "lost later");
  }
  (void)look_up_all(again, known, false);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Choices& choices = input.choices;
  const size_t index_bytes = std::min<size_t>(choices.next(), input.content.size());
  CacheContent content;
  content.index.assign(input.content.begin(),
                       input.content.begin() + static_cast<ptrdiff_t>(index_bytes));
  content.images.assign(input.content.begin() + static_cast<ptrdiff_t>(index_bytes),
                        input.content.end());
  const int seals = choices.below(4);  // without them, hardly any change would get past the header
  if ((seals & 1) == 0) content.seal_header();
  if ((seals & 2) == 0) content.seal_records();

  const TemporaryFolder folder;
  const std::string path = folder.path(""), index = folder.path("fuzz.1.pyloader-index");
  write_content(index, content);
  const int scene = choices.below(40);
  set_scene(folder, index, scene);
  auto cache = std::make_unique<FolderCache>(path, kFuzzFormat, kLimit);
  if (look_up_all(*cache, content, scene > kSecondPair)) reached();
  if (choices.one_in(2)) {
    add_and_reopen(std::move(cache), path, content, scene != kSecondPair, choices);
  } else if (scene > kSecondPair) {
    const CacheContent now = changed(content, choices);
    write_content(index, now);
    (void)look_up_all(*cache, taken_in(content, now), false);
  }
  return 0;
}
