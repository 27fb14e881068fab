#include "io/read_ahead.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

namespace pyloader {
namespace {

constexpr int kThreadsAtOnce = 8;

// Reads in a row that decide whether to begin, and whether to end.
constexpr int kOwnReads = 16;
constexpr int kReadsAhead = 64;

// Processor time that the calling thread has used; zero where that is not known.
std::chrono::nanoseconds thread_cpu_time() {
  timespec used = {};
#if defined(CLOCK_THREAD_CPUTIME_ID)
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) return {};
#endif
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

// How often the calling thread has given up its processor to wait for something, not because others
// had their turn; -1 where that is not known.
long thread_rests() {
#if defined(RUSAGE_THREAD)
  rusage used = {};
  if (::getrusage(RUSAGE_THREAD, &used) == 0) return used.ru_nvcsw;
#endif
  return -1;
}

}  // namespace

bool read_ahead_allowed() {
  const char* asked = std::getenv("PYLOADER_READAHEAD");
  return asked == nullptr || std::strcmp(asked, "0") != 0;
}

ReadAhead::Watch::Watch() : begin(Clock::now()), cpu(thread_cpu_time()), rests(thread_rests()) {}

ReadAhead::Clock::duration ReadAhead::Watch::waited() const {
  if (rests >= 0 && thread_rests() == rests) return {};  // others may have had the processor
  const Clock::duration worked = thread_cpu_time() - cpu;
  return Clock::now() - begin - worked;
}

void ReadAhead::Sample::add(const Watch& watch, Clock::duration read_waited) {
  if (reads == 0) begin = watch.begin;
  ++reads;
  slow += read_waited >= kSlowRead ? 1 : 0;
  waited += read_waited;
}

uint64_t ReadAhead::expect(const std::vector<const char*>& paths) {
  Group group;
  group.files.resize(paths.size());
  group.remaining = paths.size();
  for (size_t i = 0; i < paths.size(); ++i) group.files[i].path = paths[i];
  std::lock_guard lock(mutex_);
  const uint64_t number = first_group_ + groups_.size();
  groups_.push_back(std::move(group));
  if (active_ && resting_ > 0) readable_.notify_all();
  return number;
}

Status ReadAhead::open(uint64_t group, size_t position, const char* path, FileSource& file) {
  std::unique_lock lock(mutex_);
  File* found = find(group, position);
  const bool late = found != nullptr && found->stage == Stage::kReading;
  if (active_ && (late || (found != nullptr && found->stage == Stage::kExpected))) {
    if (resting_ == 0) start_threads();  // those that there are cannot keep up
  }
  if (late) {
    std::condition_variable arrived;
    found->waiter = &arrived;
    arrived.wait(lock, [&] {
      found = find(group, position);
      return found == nullptr || found->stage != Stage::kReading;
    });
  }
  if (stop_) return {StatusCode::kClosed, "the loader is closed"};
  const bool announced = found != nullptr;
  if (announced) {
    const bool read = found->stage == Stage::kRead;
    if (read) {
      file.close();
      file.swap(*found->source);
      ++files_;
      waits_ += late ? 1 : 0;
    }
    finish(*found, group);
    if (read) return {};
  }
  lock.unlock();
  if (!announced) return file.open(path);
  const Watch watch;
  Status status = file.open(path);
  const Clock::duration waited = watch.waited();
  lock.lock();
  judge_own_read(watch, waited);
  return status;
}

void ReadAhead::skip(uint64_t group, size_t position) {
  std::lock_guard lock(mutex_);
  File* file = find(group, position);
  if (file != nullptr && file->stage != Stage::kDone) {
    if (file->stage == Stage::kRead || file->stage == Stage::kReading) ++ahead_.unused;
    finish(*file, group);
  }
}

void ReadAhead::forget() {
  std::lock_guard lock(mutex_);
  forget_locked();
}

void ReadAhead::forget_locked() {
  for (Group& group : groups_) {
    for (File& file : group.files) {
      if (file.waiter != nullptr) file.waiter->notify_one();
      if (file.source) recycle(std::move(file.source));
    }
  }
  first_group_ += groups_.size();
  cursor_ = first_group_;
  groups_.clear();
}

void ReadAhead::close() {
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    active_ = false;
    forget_locked();
    threads.swap(threads_);
    readable_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

int ReadAhead::wanted() const {
  std::lock_guard lock(mutex_);
  return active_ ? most_files_ : 0;
}

ReadAheadCounts ReadAhead::counts() const {
  std::lock_guard lock(mutex_);
  return {.files = files_,
          .waits = waits_,
          .threads = static_cast<int>(threads_.size()),
          .groups = groups_.size()};
}

// The body of a reading thread.
void ReadAhead::read() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    uint64_t group = 0;
    size_t position = 0;
    if (!active_ || !has_window() || !next_expected(group, position)) {
      ++resting_;
      readable_.wait(lock);
      --resting_;
      continue;
    }
    std::unique_ptr<FileSource> source = take_source();
    File* file = find(group, position);
    file->stage = Stage::kReading;
    const char* path = file->path;
    lock.unlock();
    const Watch watch;
    bool read = false;
    try {
      read = source && source->open(path).ok();
    } catch (const std::bad_alloc&) {  // no memory for a failure's words; Note [failures]
    }
    const Clock::duration waited = watch.waited();
    lock.lock();
    file = find(group, position);  // forgotten or skipped meanwhile?
    if (file != nullptr && file->stage == Stage::kReading) {
      file->stage = read ? Stage::kRead : Stage::kFailed;
      if (read) file->source = std::move(source);
      if (file->waiter != nullptr) file->waiter->notify_one();
    }
    if (source) recycle(std::move(source));
    judge_read_ahead(watch, waited);
  }
}

ReadAhead::File* ReadAhead::find(uint64_t group, size_t position) {
  if (group < first_group_ || group - first_group_ >= groups_.size()) return nullptr;
  return &groups_[group - first_group_].files[position];
}

// The first file that nobody has begun to read; false when there is none.
bool ReadAhead::next_expected(uint64_t& group, size_t& position) {
  for (; cursor_ - first_group_ < groups_.size(); ++cursor_) {
    Group& present = groups_[cursor_ - first_group_];
    for (; present.cursor < present.files.size(); ++present.cursor) {
      if (present.files[present.cursor].stage != Stage::kExpected) continue;
      group = cursor_;
      position = present.cursor++;
      return true;
    }
  }
  return false;
}

bool ReadAhead::has_window() const { return !free_.empty() || sources_ < most_files_; }

// A window to read into, after `has_window`; null when there is no memory for it.
std::unique_ptr<FileSource> ReadAhead::take_source() {
  std::unique_ptr<FileSource> source;
  if (free_.empty()) {
    source.reset(new (std::nothrow) FileSource);
    sources_ += source ? 1 : 0;
  } else {
    source = std::move(free_.back());
    free_.pop_back();
  }
  return source;
}

void ReadAhead::recycle(std::unique_ptr<FileSource> source) {
  source->close();
  if (active_) {
    free_.push_back(std::move(source));
    if (resting_ > 0) readable_.notify_one();
  } else {
    --sources_;
  }
}

// Opened or skipped: the window is free again, and so are groups in front that are done with.
void ReadAhead::finish(File& file, uint64_t group) {
  file.stage = Stage::kDone;
  file.waiter = nullptr;
  if (file.source) recycle(std::move(file.source));
  --groups_[group - first_group_].remaining;
  while (!groups_.empty() && groups_.front().remaining == 0) {
    groups_.pop_front();
    ++first_group_;
  }
  cursor_ = std::max(cursor_, first_group_);
}

// Begins when a quarter of the workers' reads are slow and they wait a tenth of their time.
void ReadAhead::judge_own_read(const Watch& watch, Clock::duration waited) {
  if (active_ || stop_) return;
  own_.add(watch, waited);
  if (own_.reads < kOwnReads) return;
  const Clock::duration elapsed = Clock::now() - own_.begin;
  active_ = 4 * own_.slow >= own_.reads && 10 * own_.waited >= workers_ * elapsed;
  own_ = {};
  ahead_ = {};
  if (!active_) return;
  if (threads_.empty()) {
    start_threads();
  } else {
    readable_.notify_all();
  }
}

// Ends when fewer than a quarter of the readers' reads are slow, or half of them are not wanted.
void ReadAhead::judge_read_ahead(const Watch& watch, Clock::duration waited) {
  if (!active_) return;
  ahead_.add(watch, waited);
  if (ahead_.reads < kReadsAhead) return;
  active_ = 4 * ahead_.slow >= ahead_.reads && 2 * ahead_.unused < ahead_.reads;
  ahead_ = {};
  if (active_) return;
  sources_ -= static_cast<int>(free_.size());
  free_.clear();
}

// A few threads more, as far as the system has them.
void ReadAhead::start_threads() {
  try {
    for (int i = 0; i < kThreadsAtOnce && threads_.size() < static_cast<size_t>(most_files_); ++i) {
      threads_.emplace_back([this] { read(); });
    }
  } catch (const std::system_error&) {
  }
}

}  // namespace pyloader
