// Files read ahead of the workers: the same content and failures, within bounds, and only where
// reading is slow.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "image_folder.h"
#include "io/read_ahead.h"
#include "slow_open.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr int kMaxFiles = ReadAhead::kMaxFiles;

void slow_down(const std::string&) { std::this_thread::sleep_for(8 * ReadAhead::kSlowRead); }

// Files of different content, and a read-ahead that knows groups of them.
struct Folder {
  TemporaryFolder folder;
  std::vector<std::string> paths;
  std::vector<std::vector<uint8_t>> contents;

  explicit Folder(int count, size_t size = 100) {
    for (int i = 0; i < count; ++i) {
      std::vector<uint8_t> content(size + static_cast<size_t>(i % 7));
      Random random(static_cast<uint32_t>(i));
      random.fill(content);
      paths.push_back(folder.write("file" + std::to_string(i), content));
      contents.push_back(std::move(content));
    }
  }
  ~Folder() { before_open({}); }

  std::vector<const char*> texts(size_t begin, size_t end) const {
    std::vector<const char*> texts;
    for (size_t i = begin; i < end; ++i) texts.push_back(paths[i].c_str());
    return texts;
  }
  uint64_t expect(ReadAhead& ahead) const { return ahead.expect(texts(0, paths.size())); }

  // Opens file `i` as position `i` of a group and compares all of it.
  void check_file(ReadAhead& ahead, uint64_t group, size_t i, FileSource& file) const {
    const Status status = ahead.open(group, i, paths[i].c_str(), file);
    check(status.ok(), status.reason());
    std::vector<uint8_t> content;
    check(read_all(file, contents[i].size() + 1, content).ok(), paths[i]);
    check(content == contents[i], paths[i]);
    check_equal(file.bytes_read(), uint64_t{contents[i].size()}, paths[i]);
    check_equal(file.size(), uint64_t{contents[i].size()}, paths[i]);
  }
};

// Opens slow files until the readers are at work.
void wake(ReadAhead& ahead) {
  static const Folder folder(40);
  before_open(slow_down);
  FileSource file;
  const uint64_t group = folder.expect(ahead);
  for (size_t i = 0; i < folder.paths.size(); ++i) folder.check_file(ahead, group, i, file);
  check(ahead.wanted() > 0, "slow reads wake the readers");
  before_open({});
}

void fast_files_are_left_to_the_workers() {
  const Folder folder(500);
  ReadAhead ahead(1);
  FileSource file;
  // A read that was interrupted now and then proves nothing.
  std::atomic<int> opened{0};
  before_open([&](const std::string& path) {
    if (opened.fetch_add(1) % 12 == 0) slow_down(path);
  });
  const uint64_t group = folder.expect(ahead);
  for (size_t i = 0; i < 500; ++i) folder.check_file(ahead, group, i, file);
  check_equal(ahead.counts().threads, 0);
  check_equal(ahead.counts().files, uint64_t{0});
  check_equal(ahead.wanted(), 0);
}

void slow_files_are_read_ahead_and_come_back_whole() {
  for (const int workers : {1, 2, 7}) {
    const Folder folder(300);
    before_open(slow_down);
    ReadAhead ahead(workers);
    std::vector<uint64_t> groups;
    for (size_t i = 0; i < 300; i += 20) groups.push_back(ahead.expect(folder.texts(i, i + 20)));
    std::atomic<size_t> next{0};
    std::vector<std::thread> threads;
    for (int worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&] {
        FileSource file;
        for (size_t i; (i = next.fetch_add(1)) < 300;) {
          const Status status = ahead.open(groups[i / 20], i % 20, folder.paths[i].c_str(), file);
          check(status.ok(), status.reason());
          const auto window = file.window();
          check(std::equal(window.begin(), window.end(), folder.contents[i].begin(),
                           folder.contents[i].end()),
                folder.paths[i]);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const ReadAheadCounts counts = ahead.counts();
    check(counts.files > 0 && counts.files >= counts.waits && counts.files <= 300 - 16);
    check(counts.threads > 0 && counts.threads <= kMaxFiles);
  }
}

void large_and_empty_files_come_back_whole() {
  Folder folder(0);
  for (const size_t size : {size_t{0}, FileSource::kWindow - 1, FileSource::kWindow,
                            2 * FileSource::kWindow + 5, size_t{1}}) {
    const Folder one(1, size);
    const std::string name = "size" + std::to_string(size);
    folder.paths.push_back(folder.folder.write(name, one.contents[0]));
    folder.contents.push_back(one.contents[0]);
  }
  ReadAhead ahead(1);
  wake(ahead);
  FileSource file;
  before_open(slow_down);
  const uint64_t files = ahead.counts().files;
  for (int round = 0; round < 4; ++round) {
    const uint64_t group = folder.expect(ahead);
    for (size_t i = 0; i < folder.paths.size(); ++i) folder.check_file(ahead, group, i, file);
  }
  check(ahead.counts().files > files);
}

// A read that has begun and ends when it is told to.
struct Arrival {
  Gate begun, go_on;
  void operator()() {
    begun.open();
    go_on.pass();
  }
};

void a_failure_is_the_workers_own() {
  Folder folder(3);
  const std::string late = folder.folder.path("late");
  folder.paths[0] = late;
  folder.paths[1] = folder.folder.path(".");
  folder.paths[2] = folder.folder.path("missing");
  const Folder more(2 * kMaxFiles);
  std::atomic<int> opened{0};
  Gate all_failed;
  ReadAhead ahead(1);
  wake(ahead);
  before_open([&](const std::string& path) {
    slow_down(path);
    // So many are opened only once the windows of the three that fail are free again.
    if (opened.fetch_add(1) + 1 == kMaxFiles + 3) all_failed.open();
  });
  const uint64_t group = folder.expect(ahead);
  const uint64_t following = more.expect(ahead);
  all_failed.pass();
  folder.folder.write("late", folder.contents[0]);
  FileSource file, judge;
  folder.check_file(ahead, group, 0, file);  // it came in time for its worker
  for (const size_t i : {size_t{1}, size_t{2}}) {
    const Status status = ahead.open(group, i, folder.paths[i].c_str(), file);
    check(status.code() == StatusCode::kReadFailed);
    check(status.reason() == judge.open(folder.paths[i].c_str()).reason(), status.reason());
    check(file.window().empty() && file.bytes_read() == 0);
  }
  for (size_t i = 0; i < 2 * kMaxFiles; ++i) more.check_file(ahead, following, i, file);
}

void no_more_than_a_few_files_are_ahead() {
  const Folder folder(600);
  std::atomic<int> opened{0}, taken{0}, most{0};
  Gate full;
  ReadAhead ahead(1);
  wake(ahead);
  const auto worker = std::this_thread::get_id();
  before_open([&](const std::string& path) {
    if (std::this_thread::get_id() != worker) {
      const int now = opened.fetch_add(1) + 1 - taken;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      if (now == kMaxFiles) full.open();
    }
    slow_down(path);
  });
  FileSource file;
  const uint64_t group = folder.expect(ahead);
  full.pass();
  for (size_t i = 0; i < 600; ++i) {
    taken.fetch_add(1);  // before it is: `now` is never too much
    if (i % 3 == 0) {
      ahead.skip(group, i);
    } else {
      folder.check_file(ahead, group, i, file);
    }
    ahead.skip(group, i);  // without effect
  }
  check_equal(most.load(), kMaxFiles);
}

void readers_rest_when_reads_are_fast_again() {
  const Folder folder(500);
  ReadAhead ahead(1);
  wake(ahead);
  FileSource file;
  while (ahead.wanted() > 0) {
    const uint64_t group = folder.expect(ahead);
    for (size_t i = 0; i < 500; ++i) folder.check_file(ahead, group, i, file);
  }
  const ReadAheadCounts rested = ahead.counts();
  const uint64_t again = folder.expect(ahead);
  for (size_t i = 0; i < 500; ++i) folder.check_file(ahead, again, i, file);
  check_equal(ahead.counts().files, rested.files, "read ahead while resting");
  wake(ahead);
  check(ahead.counts().files > rested.files, "they wake again");
}

void readers_rest_when_nobody_wants_their_files() {
  const Folder folder(kMaxFiles);
  std::atomic<int> opened{0};
  ReadAhead ahead(1);
  wake(ahead);
  before_open([&](const std::string& path) {
    slow_down(path);
    opened.fetch_add(1);
  });
  while (ahead.wanted() > 0) {  // it goes on only as long as files are read
    opened = 0;
    const uint64_t group = folder.expect(ahead);
    while (ahead.wanted() > 0 && opened < kMaxFiles) std::this_thread::yield();
    for (size_t i = 0; i < kMaxFiles; ++i) ahead.skip(group, i);
  }
  check(opened > 0);
}

void forgotten_files_keep_nobody_waiting() {
  const Folder folder(30);
  Arrival arrival;
  std::atomic<bool> first{true};
  ReadAhead ahead(1);
  wake(ahead);
  before_open([&](const std::string& path) {
    if (path == folder.paths[0] && first.exchange(false)) arrival();
  });
  const uint64_t group = folder.expect(ahead);
  arrival.begun.pass();
  std::thread worker([&] {
    FileSource file;
    folder.check_file(ahead, group, 0, file);  // while its reader hangs
  });
  ahead.forget();
  worker.join();
  FileSource file;
  const uint64_t again = folder.expect(ahead);
  for (size_t i = 0; i < 30; ++i) folder.check_file(ahead, again, i, file);
  folder.check_file(ahead, group, 3, file);
  ahead.skip(group, 4);
  arrival.go_on.open();
}

void close_wakes_who_waits() {
  const Folder folder(30);
  Arrival arrival;
  ReadAhead ahead(1);
  wake(ahead);
  before_open([&](const std::string& path) {
    if (path == folder.paths[0]) arrival();
  });
  const uint64_t group = folder.expect(ahead);
  arrival.begun.pass();
  std::thread worker([&] {
    FileSource file;
    const Status status = ahead.open(group, 0, folder.paths[0].c_str(), file);
    check(status.code() == StatusCode::kClosed);
    arrival.go_on.open();  // else `close` waits for the reader
  });
  ahead.close();
  worker.join();
  ahead.close();
  FileSource file;
  const Status status = ahead.open(group, 1, folder.paths[1].c_str(), file);
  check(status.code() == StatusCode::kClosed);
  check_equal(ahead.counts().threads, 0);
}

void a_pool_delivers_the_same_from_slow_files() {
  ImageFolder folder(small_spec());
  const int64_t good = folder.size(), missing = folder.add_missing();
  for (const int threads : {1, 2, 7}) {
    before_open(slow_down);
    const auto pool = folder.pool(threads, 2);
    Random random(61);
    std::vector<std::vector<int64_t>> batches;
    std::vector<uint64_t> tickets;
    for (int i = 0; i < 40; ++i) {
      batches.push_back(random_batch(random, random.between(1, 16), good));
      if (i % 5 == 4) batches.back()[batches.back().size() / 2] = missing;
      tickets.push_back(submit(*pool, batches.back()));
    }
    for (size_t i = 0; i < batches.size(); ++i) {
      const Fetched fetched = wait_for(*pool, tickets[i]);
      if (i % 5 == 4) {
        check(fetched.status.code() == StatusCode::kReadFailed, fetched.status.reason());
        check_equal(fetched.failed_index, missing);
      } else {
        check(fetched.status.ok() && folder.is_batch(batches[i], fetched.slot.data()),
              std::to_string(threads) + " threads, batch " + std::to_string(i));
      }
    }
    check(pool->stats().read_ahead.files > 0);
    check(pool->files_wanted() > 0);
    pool->close();
    before_open({});
  }
}

void a_pool_of_slow_files_is_cancelled_and_closed_at_any_moment() {
  ImageFolder folder(small_spec());
  before_open(slow_down);
  for (int round = 0; round < 12; ++round) {
    const auto pool = folder.pool(1 + round % 3, 2);
    Random random(static_cast<uint32_t>(70 + round));
    for (int turn = 0; turn < 4; ++turn) {
      std::vector<std::vector<int64_t>> batches;
      std::vector<uint64_t> tickets;
      for (int i = 0; i < 8; ++i) {
        batches.push_back(random_batch(random, 10, folder.size()));
        tickets.push_back(submit(*pool, batches.back()));
      }
      const auto wanted = static_cast<size_t>(random.below(8));
      for (size_t i = 0; i < wanted; ++i) {
        const Fetched fetched = wait_for(*pool, tickets[i]);
        check(fetched.status.ok() && folder.is_batch(batches[i], fetched.slot.data()));
      }
      if (turn < 3) pool->cancel();
    }
    std::thread waiter([&] { (void)wait_for(*pool, submit(*pool, {0, 1, 2})); });
    pool->close();
    waiter.join();
  }
  before_open({});
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"fast files are left to the workers", fast_files_are_left_to_the_workers},
          {"slow files are read ahead and come back whole",
           slow_files_are_read_ahead_and_come_back_whole},
          {"large and empty files come back whole", large_and_empty_files_come_back_whole},
          {"a failure is the worker's own", a_failure_is_the_workers_own},
          {"no more than a few files are ahead", no_more_than_a_few_files_are_ahead},
          {"readers rest when reads are fast again", readers_rest_when_reads_are_fast_again},
          {"readers rest when nobody wants their files",
           readers_rest_when_nobody_wants_their_files},
          {"forgotten files keep nobody waiting", forgotten_files_keep_nobody_waiting},
          {"close wakes who waits for a reader", close_wakes_who_waits},
          {"a pool delivers the same batches and failures from slow files",
           a_pool_delivers_the_same_from_slow_files},
          {"a pool of slow files is cancelled and closed at any moment",
           a_pool_of_slow_files_is_cancelled_and_closed_at_any_moment},
      });
}
