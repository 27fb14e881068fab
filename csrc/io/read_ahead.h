// Files read before a worker comes for them, where reading is what makes workers wait.
//
// The order in which files will be opened is known ahead. While reads are fast, each worker reads
// its own files and nothing else happens. Once a good part of them take long (a network file
// system, a spinning disk, a cold page cache), threads that do nothing but read go ahead of the
// workers, more of them while workers still have to wait, and rest again when reads have become
// fast.
//
// Note [first window]: what is read ahead of a file is the first window of a FileSource; a worker
// gets it by swapping its own window for it. So at most kMaxFiles windows exist beside the workers'
// own (64 MiB in all, of which only what files fill takes memory), and larger files are read on by
// the worker, from the open descriptor.
//
// Note [failures]: a file that could not be read ahead is read again by its worker, whose verdict
// counts. So errors are those of a loader that does not read ahead.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "io/file_source.h"

namespace pyloader {

// False where the environment says PYLOADER_READAHEAD=0.
bool read_ahead_allowed();

struct ReadAheadCounts {
  uint64_t files = 0;  // that workers found read, or waited for while they were being read
  uint64_t waits = 0;  // of these, the ones waited for
  int threads = 0;     // reading, or resting until reads are slow again
  size_t groups = 0;   // announced, and neither done with nor forgotten
};

// Any thread may call anything; no file is opened twice.
class ReadAhead {
 public:
  static constexpr int kMaxFiles = 64;  // read or being read for workers that have not come yet

  // A read is slow when its thread waits so long in it. Time in which it copies, however much there
  // is to copy, does not count: nobody else would do that sooner. Nor does time in which others
  // have the processor.
  static constexpr std::chrono::microseconds kSlowRead{100};

  // `workers`: how many threads open files. `most_files`: at least 1; each takes a window.
  explicit ReadAhead(int workers, int most_files = kMaxFiles)
      : workers_(workers), most_files_(most_files) {}
  ~ReadAhead() { close(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Announces files to be opened after those announced before, and returns the number of this
  // group, counted from 1. Each of its files must be opened or skipped, by its position in `paths`,
  // unless everything is forgotten. The texts stay the caller's, valid until `close`.
  uint64_t expect(const std::vector<const char*>& paths);

  // As file.open(path), from what was read ahead where that is under way. `path` is the one
  // announced for this position. A group that is not known, or forgotten, is read from the disk;
  // once closed kClosed comes back instead.
  Status open(uint64_t group, size_t position, const char* path, FileSource& file);

  // Nobody will open this file; without effect if it was opened.
  void skip(uint64_t group, size_t position);

  // Nobody will open any file announced so far.
  void forget();

  // Forgets all, wakes who waits in `open`, ends and joins the threads. Idempotent.
  void close();

  // How many files it would use to know ahead: 0 while workers read for themselves.
  int wanted() const;

  ReadAheadCounts counts() const;

 private:
  using Clock = std::chrono::steady_clock;

  // Taken before a read on the reading thread, tells how long the read kept it waiting.
  struct Watch {
    Watch();
    Clock::duration waited() const;
    Clock::time_point begin;
    Clock::duration cpu;
    long rests;
  };

  enum class Stage : uint8_t { kExpected, kReading, kRead, kFailed, kDone };

  struct File {
    const char* path = nullptr;
    Stage stage = Stage::kExpected;
    std::condition_variable* waiter = nullptr;  // of the worker that waits for this file
    std::unique_ptr<FileSource> source;         // in stage kRead
  };

  struct Group {
    std::vector<File> files;
    size_t cursor = 0;     // no file before it is left to be read ahead
    size_t remaining = 0;  // files neither opened nor skipped
  };

  // How reads went since `begin`.
  struct Sample {
    int reads = 0;
    int slow = 0;
    int unused = 0;  // files read that were skipped
    Clock::duration waited{0};
    Clock::time_point begin;
    void add(const Watch& watch, Clock::duration waited);
  };

  void read();
  // All of these with mutex_.
  File* find(uint64_t group, size_t position);
  bool next_expected(uint64_t& group, size_t& position);
  bool has_window() const;
  std::unique_ptr<FileSource> take_source();
  void recycle(std::unique_ptr<FileSource> source);
  void finish(File& file, uint64_t group);
  void judge_own_read(const Watch& watch, Clock::duration waited);
  void judge_read_ahead(const Watch& watch, Clock::duration waited);
  void start_threads();
  void forget_locked();

  const int workers_;
  const int most_files_;
  mutable std::mutex mutex_;
  std::condition_variable readable_;  // for readers: a file to read and a window for it, or stop
  // All guarded by mutex_.
  std::vector<std::thread> threads_;
  std::deque<Group> groups_;  // those with files neither opened nor skipped, and some between
  uint64_t first_group_ = 1;  // the number of groups_.front()
  uint64_t cursor_ = 1;       // no file of a group before it is left to be read ahead
  std::vector<std::unique_ptr<FileSource>> free_;
  int sources_ = 0;  // in existence beside the workers'
  int resting_ = 0;  // threads that wait
  bool active_ = false;
  bool stop_ = false;
  Sample own_;    // by workers, while not active
  Sample ahead_;  // by readers, while active
  uint64_t files_ = 0;
  uint64_t waits_ = 0;
};

}  // namespace pyloader
