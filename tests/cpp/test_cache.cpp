// Caches: what comes back is what went in, from any thread and process, in any state of the files.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache/cache_key.h"
#include "cache/cache_place.h"
#include "cache/checksum.h"
#include "cache/folder_cache.h"
#include "cache/free_memory.h"
#include "cache/memory_cache.h"
#include "check.h"
#include "image_folder.h"
#include "loader/cached_samples.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

namespace fs = std::filesystem;

const CacheFormat kFormat = {.name = "test-format", .bytes = 3000};

CacheKey key_of(uint64_t number) { return make_cache_key("/", "name", {.size = number}); }

std::vector<uint8_t> pixels_of(uint64_t number, size_t bytes = kFormat.bytes) {
  std::vector<uint8_t> pixels(bytes);
  Random(static_cast<uint32_t>(number) * 7 + 1).fill(pixels);
  return pixels;
}

void write_to(ImageCache& cache, uint64_t number) {
  const std::vector<uint8_t> pixels = pixels_of(number);
  cache.write(key_of(number), pixels.data(), number % 2 == 1);
}

// 1: the right pixels; 0: none; -1: wrong ones.
int read_from(ImageCache& cache, uint64_t number) {
  std::vector<uint8_t> buffer(kFormat.bytes);
  bool was_gray = false;
  const uint8_t* found = cache.read(key_of(number), buffer.data(), was_gray);
  if (found == nullptr) return 0;
  const std::vector<uint8_t> right = pixels_of(number);
  const bool same = std::equal(right.begin(), right.end(), found);
  return same && was_gray == (number % 2 == 1) ? 1 : -1;
}

std::unique_ptr<ImageCache> open_folder(const std::string& path, uint64_t limit = 1 << 30) {
  return std::make_unique<FolderCache>(path, kFormat, limit);
}

uint64_t bytes_below(const std::string& path) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(path)) bytes += entry.file_size();
  return bytes;
}

// Runs `work` in a child of a fork; returns its process id.
template <class Work>
pid_t in_child(Work work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::_exit(work() ? 0 : 1);
}

bool ends_well(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void every_part_of_an_identity_counts() {
  const FileIdentity first = {.size = 1, .inode = 2, .modified_ns = 3, .changed_ns = 4};
  std::vector<FileIdentity> identities(5, first);
  identities[1].size = 9;
  identities[2].inode = 9;
  identities[3].modified_ns = 9;
  identities[4].changed_ns = 9;
  std::set<std::pair<uint64_t, uint64_t>> keys;
  for (const FileIdentity& identity : identities) {
    for (const char* path : {"/a", "/b", "/ab", "a", "b", "ab", "/a-longer-path/of-words/x.jpg",
                             "/a-longer-path/of-words/y.jpg", "/a-longer-path/of-word/sy.jpg"}) {
      for (const char* base : {"/", "/a", "/a-base-of-sixteen"}) {
        const CacheKey key = make_cache_key(base, path, identity);
        keys.insert({key.high, key.low});
        check(key == make_cache_key(base, path, identity));
      }
    }
  }
  // The base counts for the three relative paths, not for the six absolute ones.
  check_equal(keys.size(), size_t{5 * (6 + 3 * 3)});
}

void a_file_is_settled_once_its_clock_has_ticked() {
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  constexpr int64_t kMs = 1'000'000;
  check(!is_settled({.changed_ns = now}));
  check(!is_settled({.changed_ns = now + 5 * kMs}));
  check(is_settled({.changed_ns = (now - 5000 * kMs) | 1}));
  check(!is_settled({.changed_ns = now / (1000 * kMs) * (1000 * kMs)}), "whole seconds");
  check(is_settled({.changed_ns = (now / (1000 * kMs) - 5) * (1000 * kMs)}), "whole, long ago");
}

void a_checksum_tells_every_bit_and_the_length() {
  for (const size_t bytes : {0, 1, 7, 8, 63, 64, 127, 128, 129, 300}) {
    std::vector<uint8_t> data = pixels_of(bytes, bytes);
    std::set<uint64_t> seen = {checksum(data.data(), bytes, 1), checksum(data.data(), bytes, 2)};
    size_t expected = 2;
    for (size_t bit = 0; bit < 8 * bytes; ++bit, ++expected) {
      data[bit / 8] = static_cast<uint8_t>(data[bit / 8] ^ (1 << bit % 8));
      seen.insert(checksum(data.data(), bytes, 1));
      data[bit / 8] = static_cast<uint8_t>(data[bit / 8] ^ (1 << bit % 8));
    }
    data.push_back(0);
    seen.insert(checksum(data.data(), bytes + 1, 1));
    check_equal(seen.size(), expected + 1, std::to_string(bytes));
  }
}

void threads_share(ImageCache& cache, uint64_t images) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < 600; ++i) {
        const auto number = static_cast<uint64_t>(random.below(static_cast<int>(images)));
        const int result = read_from(cache, number);
        if (result < 0) ++wrong;
        if (result == 0) write_to(cache, number);
        if (i % 50 == 0) (void)cache.state();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  check_equal(wrong.load(), 0, "wrong pixels");
}

void threads_share_a_cache_in_memory() {
  MemoryCache cache(kFormat, MemoryCache::kSane);
  threads_share(cache, 3000);  // the table grows meanwhile
  MemoryCache small(kFormat, 100 * kFormat.bytes);
  threads_share(small, 300);
  check(small.state().full);
  check(small.state().bytes <= 100 * kFormat.bytes);
  check(small.state().bytes >= 90 * kFormat.bytes);
}

void threads_share_a_cache_in_a_folder() {
  const TemporaryFolder folder;
  const std::string path = folder.path("a/b");
  threads_share(*open_folder(path), 3000);
  threads_share(*open_folder(path, 50 * kFormat.bytes), 300);
}

void a_cache_is_bounded_by_its_limit() {
  const TemporaryFolder folder;
  for (const uint64_t limit : {1, 2000, 3000, 4000, 10000, 200000}) {
    const std::string path = folder.path(std::to_string(limit));
    MemoryCache memory(kFormat, limit);
    auto files = open_folder(path, limit);
    for (ImageCache* cache : {static_cast<ImageCache*>(&memory), files.get()}) {
      for (uint64_t i = 0; i < 100; ++i) write_to(*cache, i);
      check(cache->state().full, "full");
      check(cache->state().bytes <= limit, "bytes");
      uint64_t kept = 0;
      for (uint64_t i = 0; i < 100; ++i) kept += read_from(*cache, i) == 1 ? 1 : 0;
      check(kept <= limit / kFormat.bytes);
      check(kept + 1 >= limit / (kFormat.bytes + 150), "uses its room");
    }
    files.reset();
    check(bytes_below(path) <= limit, "bytes of files");
  }
}

void a_place_finds_its_images_again() {
  const TemporaryFolder folder;
  for (const std::string& path : {std::string(), folder.path("kept")}) {
    CachePlace place(path, 1 << 30);
    write_to(*place.open(kFormat), 1);
    check_equal(read_from(*place.open(kFormat), 1), 1);
    CacheFormat other = kFormat;
    other.name = "another";
    check_equal(read_from(*place.open(other), 1), 0);
    check_equal(read_from(*place.open(kFormat), 1), path.empty() ? 0 : 1);
  }
}

void processes_fill_a_folder_together() {
  const TemporaryFolder folder;
  const std::string path = folder.path("shared");
  constexpr uint64_t kImages = 300;
  std::vector<pid_t> children;
  for (uint32_t k = 0; k < 4; ++k) {
    children.push_back(in_child([&] {
      const auto cache = open_folder(path);
      Random random(k);
      for (uint64_t i = 0; i < 2 * kImages; ++i) {
        const auto number = static_cast<uint64_t>(random.below(kImages));
        if (read_from(*cache, number) < 0) return false;
        write_to(*cache, number);
        if (read_from(*cache, number) != 1) return false;
      }
      for (uint64_t i = k; i < kImages; i += 4) write_to(*cache, i);
      return true;
    }));
  }
  for (const pid_t child : children) check(ends_well(child));
  const auto cache = open_folder(path);
  for (uint64_t i = 0; i < kImages; ++i) check_equal(read_from(*cache, i), 1);
}

void killed_processes_leave_nothing_wrong() {
  const TemporaryFolder folder;
  const std::string path = folder.path("killed");
  constexpr uint64_t kImages = 2000;
  Random random(3);
  uint64_t kept = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<pid_t> children;
    for (uint64_t k = 0; k < 2; ++k) {
      children.push_back(in_child([&] {
        const auto cache = open_folder(path);
        for (uint64_t i = k; i < kImages; ++i) write_to(*cache, i);
        return true;
      }));
    }
    ::usleep(static_cast<useconds_t>(random.between(200, 6000)));
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    uint64_t found = 0;
    const auto cache = open_folder(path);
    for (uint64_t i = 0; i < kImages; ++i) {
      const int result = read_from(*cache, i);
      check(result >= 0, "wrong pixels");
      found += result == 1 ? 1 : 0;
    }
    check(found >= kept, "what was kept stays");
    kept = found;
  }
  check(kept > 0, "something was kept");
  const auto files = std::distance(fs::directory_iterator(path), fs::directory_iterator());
  check(files <= 2 * 2 + 40, "files are taken over");
}

void a_forked_child_reads_on() {
  const TemporaryFolder folder;
  MemoryCache memory(kFormat, MemoryCache::kSane);
  const auto files = open_folder(folder.path("forked"));
  for (ImageCache* cache : {static_cast<ImageCache*>(&memory), files.get()}) {
    for (uint64_t i = 0; i < 50; ++i) write_to(*cache, i);
    const bool adds = cache == &memory;
    check(ends_well(in_child([&] {
      for (uint64_t i = 0; i < 50; ++i) {
        if (read_from(*cache, i) != 1) return false;
      }
      write_to(*cache, 99);
      return read_from(*cache, 99) == (adds ? 1 : 0);
    })));
    check_equal(read_from(*cache, 99), 0, "of the child");
    write_to(*cache, 50);
    check_equal(read_from(*cache, 50), 1);
  }
}

void damage_anywhere_is_found() {
  const TemporaryFolder folder;
  const std::string path = folder.path("damaged");
  constexpr uint64_t kImages = 12;
  Random random(8);
  for (int round = 0; round < 150; ++round) {
    fs::remove_all(path);
    {
      const auto cache = open_folder(path);
      for (uint64_t i = 0; i < kImages; ++i) write_to(*cache, i);
    }
    for (const auto& entry : fs::directory_iterator(path)) {
      const auto size = static_cast<int>(entry.file_size());
      if (round % 3 == 0) fs::resize_file(entry.path(), static_cast<size_t>(random.below(size)));
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      for (int i = 0; i < round % 5; ++i) {
        file.seekp(random.below(size));
        file.put(static_cast<char>(random.below(256)));
      }
    }
    for (int again = 0; again < 2; ++again) {
      const auto cache = open_folder(path);
      for (uint64_t i = 0; i < kImages; ++i) {
        const int result = read_from(*cache, i);
        check(result >= 0, "wrong pixels");
        check(again == 0 || result == 1, "mended");
        write_to(*cache, i);
        check_equal(read_from(*cache, i), 1, "written anew");
      }
    }
  }
}

void a_write_that_fails_is_a_problem_and_no_error() {
  const TemporaryFolder folder;
  ::signal(SIGXFSZ, SIG_IGN);
  check(ends_well(in_child([&] {
    const rlimit few = {.rlim_cur = 40'000, .rlim_max = 40'000};
    ::setrlimit(RLIMIT_FSIZE, &few);
    const auto cache = open_folder(folder.path("limited"));
    for (uint64_t i = 0; i < 100; ++i) {
      write_to(*cache, i);
      if (read_from(*cache, i) < 0) return false;
    }
    return cache->has_problem() && !cache->state().problem.empty();
  })));
  folder.write("file", pixels_of(1));
  const auto nowhere = open_folder(folder.path("file"));
  check(nowhere->has_problem());
  write_to(*nowhere, 1);
  check_equal(read_from(*nowhere, 1), 0);
}

void free_memory_is_told() {
  const FreeMemory memory = free_memory();
  check(memory.available <= memory.total);
#if defined(__linux__)
  check(memory.total > 0);
#endif
}

void give_the_same_bytes_from_a_cache(const SampleSpec& spec, bool finishes,
                                      const TemporaryFolder& disk) {
  ImageFolder folder(spec, finishes);
  ::usleep(30'000);  // the clock of the file system ticks
  const std::string name = cache_format(spec).name + (finishes ? "f" : "p");
  for (const std::string& path : {std::string(), disk.path(name)}) {
    CachePlace place(path, 1 << 30);
    for (const int threads : {1, 2, 7}) {
      const auto pool = folder.pool(threads, 3, place.open(cache_format(spec)));
      Random random(5);
      for (int i = 0; i < 30; ++i) {
        const auto batch = random_batch(random, random.between(1, 20), folder.size());
        const Fetched fetched = wait_for(*pool, submit(*pool, batch));
        check(fetched.status.ok() && folder.is_batch(batch, fetched.slot.data()), name);
      }
      pool->close();
      const PoolStats stats = pool->stats();
      check_equal(stats.cache_hits + stats.cache_misses, stats.samples);
      check(stats.cache_hits > 0);
      if (threads > 1) check_equal(stats.cache_misses, uint64_t{0});
    }
  }
}

void a_pool_gives_the_same_bytes_from_a_cache() {
  const TemporaryFolder disk;
  SampleSpec padded = small_spec(), transparent = small_spec();
  padded.pad_to_aspect_ratio = true;
  transparent.pad_to_aspect_ratio = true;
  transparent.layout.channels = 4;
  for (const SampleSpec& spec : {small_spec(), padded, transparent}) {
    for (const bool finishes : {false, true})
      give_the_same_bytes_from_a_cache(spec, finishes, disk);
  }
}

void formats_tell_whether_images_are_stretched_cropped_or_padded() {
  SampleSpec cropped = small_spec(), padded = small_spec();
  cropped.keep_aspect_ratio = true;
  padded.pad_to_aspect_ratio = true;
  const std::set<std::string> names = {cache_format(small_spec()).name, cache_format(cropped).name,
                                       cache_format(padded).name};
  check_equal(names.size(), size_t{3});
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {{"every part of an identity counts", every_part_of_an_identity_counts},
       {"a file is settled once its clock has ticked", a_file_is_settled_once_its_clock_has_ticked},
       {"a checksum tells every bit and the length", a_checksum_tells_every_bit_and_the_length},
       {"threads share a cache in memory", threads_share_a_cache_in_memory},
       {"threads share a cache in a folder", threads_share_a_cache_in_a_folder},
       {"a cache is bounded by its limit", a_cache_is_bounded_by_its_limit},
       {"a place finds its images again", a_place_finds_its_images_again},
       {"processes fill a folder together", processes_fill_a_folder_together},
       {"killed processes leave nothing wrong", killed_processes_leave_nothing_wrong},
       {"a forked child reads on", a_forked_child_reads_on},
       {"damage anywhere is found", damage_anywhere_is_found},
       {"a write that fails is a problem and no error",
        a_write_that_fails_is_a_problem_and_no_error},
       {"free memory is told", free_memory_is_told},
       {"formats tell whether images are stretched, cropped or padded",
        formats_tell_whether_images_are_stretched_cropped_or_padded},
       {"a pool gives the same bytes from a cache", a_pool_gives_the_same_bytes_from_a_cache}});
}
