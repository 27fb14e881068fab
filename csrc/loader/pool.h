// A pool of threads that fills batches, in order, into the slots of a ring.
//
// Callers submit batches and fetch them by ticket, in any order and from any thread. Workers claim
// single positions of the oldest unfinished batch, so one large image never holds up the others.
//
// Note [waking]: whoever makes work possible wakes one worker, and a worker that finds work for
// more wakes the next. The consumer thus pays for one wake-up, whatever the number of threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "io/file_source.h"
#include "io/read_ahead.h"
#include "loader/batch.h"
#include "loader/cached_samples.h"
#include "loader/path_table.h"
#include "loader/sample_maker.h"
#include "memory/large_images.h"
#include "ring/ring.h"

namespace pyloader {

// A data set in memory: float32 images of the final size, in the batch's layout.
struct ArraySource {
  const float* data = nullptr;
  size_t count = 0;
  std::shared_ptr<void> owner;  // keeps `data` alive
};

// What becomes of a batch with an image that cannot be loaded: it fails, has an empty position, or
// gets the first of the position's substitutes that can be loaded (and fails where none can).
enum class OnError { kRaise, kDrop, kReplace };

struct PoolConfig {
  PathTable paths;
  ArraySource array;  // instead of paths, when it has data
  SampleSpec spec;
  int num_threads = 1;  // at least 1
  int depth = 2;        // slots filling or ready at a time, at least 1
  Pinning pinning = Pinning::kOff;
  bool read_ahead = true;
  OnError on_error = OnError::kRaise;
  // Bytes, 0 for no bound: of all slots, the users' too; and of what is taken to decode large
  // images.
  uint64_t slot_room = 0;
  uint64_t image_room = 0;
  int files_ahead = ReadAhead::kMaxFiles;
  std::shared_ptr<ImageCache> cache;  // null for none; see CachedSamples
  std::string cache_base;             // the folder that relative paths are meant from

  size_t samples() const { return array.data != nullptr ? array.count : paths.size(); }
};

// What `fetch` brings.
struct Fetched {
  SlotHandle slot;  // leased; empty when the batch failed
  int size = 0;     // samples
  Status status;
  int64_t failed_index = -1;         // into the data set, when status is a sample's failure
  std::vector<BadImage> bad_images;  // by position; not for OnError::kRaise
};

struct PoolStats {
  uint64_t samples = 0, batches = 0, errors = 0, bytes_read = 0;
  uint64_t jpegs_own = 0, jpegs_libjpeg = 0;
  uint64_t read_ns = 0, decode_ns = 0, resize_ns = 0, other_ns = 0, hook_ns = 0, idle_ns = 0;
  uint64_t cpu_ns = 0;
  uint64_t cache_hits = 0, cache_misses = 0, cache_ns = 0;
  uint64_t wait_ns = 0;
  RingCounts ring;
  ReadAheadCounts read_ahead;
  int num_threads = 0;
  int depth = 0;
};

// Create with std::make_shared and end with `close`: workers keep the pool alive until they are out
// of it, whoever drops it, and wherever.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // Threads start with the first `submit`.
  Pool(PoolConfig config, std::shared_ptr<ForeignCode> foreign);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const PoolConfig& config() const { return config_; }

  // Queues a batch (at least one index, all within the data set) and returns its ticket.
  // `transforms` holds SampleTransform::kColumns numbers per sample, or nothing; `substitutes` as
  // many indices for each, or nothing: what kReplace tries. Throws std::system_error when not a
  // single thread can be started.
  uint64_t submit(std::vector<int64_t> indices, std::vector<double> transforms,
                  std::vector<int64_t> substitutes = {});

  // Waits up to `timeout` for a batch. True when `fetched` is filled and the ticket used up: with
  // the batch, its failure, kClosed, or kInvalid for an unknown ticket.
  bool fetch(uint64_t ticket, std::chrono::milliseconds timeout, Fetched& fetched);

  // Forgets every batch that was not fetched. Whoever waits for one gets kInvalid.
  void cancel();

  // Stops and joins the workers, wakes all waiters. Idempotent, any thread; a worker that closes
  // its own pool (from foreign code) is not joined but leaves right after.
  void close();
  // As `close`, in a process that ends: workers are told to stop, but not waited for, since they
  // may be where they never return from.
  void abandon();
  bool closed() const;

  // How many files beyond the ring it would use to have submitted; 0 while reads are fast.
  int files_wanted() const { return read_ahead_.wanted(); }

  PoolStats stats() const;

 private:
  void start_threads();
  std::vector<std::thread> stop();
  std::vector<const char*> paths_of(const Batch& batch) const;
  void work(WorkerCounters& counters);
  std::shared_ptr<Batch> next_batch(std::unique_lock<std::mutex>& lock, WorkerCounters& counters);
  void fill(Batch& batch, std::optional<SampleMaker>& maker, FileSource& file,
            WorkerCounters& counters);
  Status make_position(Batch& batch, size_t position, SampleMaker& maker, FileSource& file,
                       WorkerCounters& counters);
  Status make_sample(const Batch& batch, size_t position, int64_t sample, SampleMaker& maker,
                     FileSource& file, WorkerCounters& counters);
  void record_failure(Batch& batch, int position, Status status);
  void finish_positions(Batch& batch, int count);
  using Batches = std::map<uint64_t, std::shared_ptr<Batch>>;
  // Returns what it forgot, to be dropped without the lock.
  [[nodiscard]] Batches cancel_locked();
  bool open_slot(Batch& batch);
  size_t bytes_of(const Batch& batch) const;
  void try_for_a_slot(Batch& batch);
  bool give_up(Batch& batch);
  std::string why_no_room(const RingCounts& counts, size_t bytes) const;

  const PoolConfig config_;
  const std::shared_ptr<ForeignCode> foreign_;
  // For workers: a batch to fill, a place in the ring, stop.
  const std::shared_ptr<std::condition_variable> work_;
  const std::shared_ptr<Ring> ring_;
  const CachedSamples cached_;
  LargeImages large_images_;
  std::vector<std::unique_ptr<WorkerCounters>> counters_;  // fixed after construction
  std::atomic<uint64_t> wait_ns_{0};
  ReadAhead read_ahead_;

  mutable std::mutex mutex_;
  std::condition_variable ready_;  // for callers: a batch is complete, gone, or stop
  // All guarded by mutex_.
  std::vector<std::thread> threads_;
  std::deque<std::shared_ptr<Batch>> queue_;  // with positions to claim, oldest first
  Batches unfetched_;                         // by ticket
  uint64_t last_ticket_ = 0;
  uint64_t batches_fetched_ = 0;
  int idle_workers_ = 0;
  bool stop_ = false;
};

}  // namespace pyloader
