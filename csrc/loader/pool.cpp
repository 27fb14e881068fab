#include "loader/pool.h"

#include "memory/process.h"

#include <algorithm>
#include <new>
#include <string>
#include <system_error>
#include <utility>

namespace pyloader {

Pool::Pool(PoolConfig config, std::shared_ptr<ForeignCode> foreign)
    : config_(std::move(config)),
      foreign_(std::move(foreign)),
      work_(std::make_shared<std::condition_variable>()),
      ring_(std::make_shared<Ring>(config_.depth, config_.pinning, config_.slot_room, work_)),
      cached_(config_.cache, config_.cache_base),
      large_images_(config_.image_room),
      read_ahead_(config_.num_threads, config_.files_ahead) {
  for (int i = 0; i < config_.num_threads; ++i) {
    counters_.push_back(std::make_unique<WorkerCounters>());
  }
}

void Pool::start_threads() {
  try {
    while (threads_.size() < counters_.size()) {
      WorkerCounters& counters = *counters_[threads_.size()];
      threads_.emplace_back([self = shared_from_this(), &counters] { self->work(counters); });
    }
  } catch (const std::system_error& error) {
    // Fewer threads do the same work; none cannot.
    if (!threads_.empty()) return;
    throw std::system_error(error.code(),
                            "cannot start a thread to load images with; raise the limit on threads "
                            "(ulimit -u) or on memory, or end other programs");
  }
}

// What of a batch can be read ahead.
std::vector<const char*> Pool::paths_of(const Batch& batch) const {
  std::vector<const char*> paths;
  if (config_.array.data != nullptr || !config_.read_ahead) return paths;
  paths.reserve(batch.indices.size());
  for (const int64_t index : batch.indices) {
    paths.push_back(config_.paths[static_cast<size_t>(index)]);
  }
  return paths;
}

uint64_t Pool::submit(std::vector<int64_t> indices, std::vector<double> transforms,
                      std::vector<int64_t> substitutes) {
  auto batch =
      std::make_shared<Batch>(std::move(indices), std::move(transforms), std::move(substitutes));
  const std::vector<const char*> paths = paths_of(*batch);
  std::unique_lock lock(mutex_);
  const uint64_t ticket = ++last_ticket_;
  if (stop_) return ticket;  // fetch tells
  if (threads_.empty()) start_threads();
  if (!paths.empty()) batch->files = read_ahead_.expect(paths);
  queue_.push_back(batch);
  unfetched_.emplace(ticket, std::move(batch));
  const bool startable = ring_->has_room();
  lock.unlock();
  if (startable) work_->notify_one();
  return ticket;
}

bool Pool::fetch(uint64_t ticket, std::chrono::milliseconds timeout, Fetched& fetched) {
  const uint64_t start = now_ns();
  std::unique_lock lock(mutex_);
  const auto settled = [&] {
    const auto found = unfetched_.find(ticket);
    return stop_ || found == unfetched_.end() || found->second->complete;
  };
  if (!settled()) try_for_a_slot(*unfetched_.find(ticket)->second);
  const bool done = ready_.wait_for(lock, timeout, settled);
  wait_ns_.fetch_add(now_ns() - start, std::memory_order_relaxed);  // a counter orders nothing
  if (!done && !give_up(*unfetched_.find(ticket)->second)) return false;

  const auto found = unfetched_.find(ticket);
  if (stop_) {
    fetched.status = {StatusCode::kClosed, "the loader is closed"};
    return true;
  }
  if (found == unfetched_.end()) {
    fetched.status = {StatusCode::kInvalid, "no such ticket"};
    return true;
  }
  const std::shared_ptr<Batch> batch = std::move(found->second);
  unfetched_.erase(found);
  ++batches_fetched_;
  fetched.size = batch->size();
  fetched.status = std::move(batch->failure);
  if (fetched.status.ok()) {
    batch->slot.lease();
    fetched.slot = std::move(batch->slot);
    fetched.bad_images = std::move(batch->bad_images);
    std::sort(fetched.bad_images.begin(), fetched.bad_images.end(),
              [](const BadImage& a, const BadImage& b) { return a.position < b.position; });
  } else {
    const int position = batch->first_failure.load();
    if (position >= 0) fetched.failed_index = batch->indices[static_cast<size_t>(position)];
    batch->slot.release();
  }
  const bool more = !queue_.empty();
  lock.unlock();
  if (more) work_->notify_one();  // a place in the ring came free
  return true;
}

void Pool::cancel() {
  Batches forgotten;  // dies without the lock
  std::lock_guard lock(mutex_);
  forgotten = cancel_locked();
}

Pool::Batches Pool::cancel_locked() {
  queue_.clear();
  read_ahead_.forget();
  for (auto& [ticket, batch] : unfetched_) {
    batch->cancelled = true;
    // Positions that nobody claimed are nobody's work any more; who works on one finishes it.
    const int claimed = std::min(batch->next.exchange(batch->size()), batch->size());
    const int unclaimed = batch->size() - claimed;
    if (batch->remaining.fetch_sub(unclaimed) == unclaimed) batch->slot.release();
  }
  ready_.notify_all();
  work_->notify_all();
  return std::exchange(unfetched_, {});
}

// Tells all threads to stop and returns those that were not stopped before.
std::vector<std::thread> Pool::stop() {
  std::vector<std::thread> threads;
  Batches forgotten;  // dies without the lock
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    forgotten = cancel_locked();
    threads.swap(threads_);
  }
  read_ahead_.close();
  return threads;
}

void Pool::close() {
  for (std::thread& thread : stop()) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
  if (config_.cache) config_.cache->trim();
}

void Pool::abandon() {
  for (std::thread& thread : stop()) thread.detach();
}

bool Pool::closed() const {
  std::lock_guard lock(mutex_);
  return stop_;
}

// A slot for the batch, if it has none yet. False while there is none to be had.
bool Pool::open_slot(Batch& batch) {
  if (batch.slot) return true;
  NoSlot why = NoSlot::kNone;
  batch.slot = ring_->acquire(bytes_of(batch), why);
  batch.no_memory = why == NoSlot::kMemory;
  return static_cast<bool>(batch.slot);
}

size_t Pool::bytes_of(const Batch& batch) const {
  return config_.spec.layout.bytes() * batch.indices.size();
}

// Has a worker look once more for a slot for a batch that somebody waits for: one may have come
// back unnoticed, and the system may have memory again.
void Pool::try_for_a_slot(Batch& batch) {
  if (batch.slot || (config_.slot_room == 0 && !batch.no_memory)) return;
  batch.no_memory = false;
  work_->notify_one();
}

// Ends a batch that somebody waits for and that will never have a slot: nothing is under way that
// could give one back, and the batches in the users' hands, or the system, leave no room for it.
bool Pool::give_up(Batch& batch) {
  const RingCounts counts = ring_->counts();
  const size_t bytes = bytes_of(batch);
  if (batch.slot || counts.busy > 0) return false;
  if (batch.no_memory) {
    batch.failure = {StatusCode::kOutOfMemory,
                     "no memory for a batch of " + std::to_string(bytes) + " bytes"};
  } else if (config_.slot_room != 0 && counts.leased_bytes + bytes > config_.slot_room) {
    batch.failure = {StatusCode::kMemoryLimit, why_no_room(counts, bytes)};
  } else {
    return false;
  }
  batch.first_failure.store(-1);
  batch.next.store(batch.size());  // no worker begins it
  for (size_t i = 0; i < batch.indices.size(); ++i) read_ahead_.skip(batch.files, i);
  return true;
}

std::string Pool::why_no_room(const RingCounts& counts, size_t bytes) const {
  const auto in_mb = [](uint64_t amount) {
    return std::to_string((amount + 99'999) / 1'000'000) + "." +
           std::to_string((amount + 99'999) / 100'000 % 10) + " MB";
  };
  return "memory_limit leaves " + in_mb(config_.slot_room) + " for batches, " +
         std::to_string(counts.leased) + " that were delivered and are still in use hold " +
         in_mb(counts.leased_bytes) + ", and the next one needs " + in_mb(bytes) +
         ". Let go of some, or raise memory_limit";
}

// The oldest batch with positions to claim, or null to stop. Waits; time spent is idle time.
std::shared_ptr<Batch> Pool::next_batch(std::unique_lock<std::mutex>& lock,
                                        WorkerCounters& counters) {
  for (;;) {
    if (stop_) return nullptr;
    if (!queue_.empty() && queue_.front()->next.load() >= queue_.front()->size()) {
      queue_.pop_front();
      continue;
    }
    if (!queue_.empty() && open_slot(*queue_.front())) return queue_.front();
    const uint64_t start = now_ns();
    ++idle_workers_;
    work_->wait(lock);
    --idle_workers_;
    WorkerCounters::add(counters.idle_ns, now_ns() - start);
  }
}

void Pool::work(WorkerCounters& counters) {
  become_background_thread();
  std::optional<SampleMaker> maker;  // made where running out of memory is a batch's failure
  FileSource file;
  std::unique_lock lock(mutex_);
  while (std::shared_ptr<Batch> batch = next_batch(lock, counters)) {
    const bool work_for_others = idle_workers_ > 0 && (batch->size() > 1 || queue_.size() > 1);
    lock.unlock();
    if (work_for_others) work_->notify_one();  // Note [waking]
    fill(*batch, maker, file, counters);
    batch.reset();  // what it holds dies without the lock
    lock.lock();
  }
}

// Claims and makes positions until none are left.
void Pool::fill(Batch& batch, std::optional<SampleMaker>& maker, FileSource& file,
                WorkerCounters& counters) {
  for (int position; (position = batch.next.fetch_add(1)) < batch.size();) {
    if (position < batch.first_failure.load()) {
      Status status;
      try {
        if (!maker) {
          maker.emplace(config_.spec, *foreign_, simd_level(), &large_images_);
          maker->keep_resized(cached_.in_use());
        }
        status = make_position(batch, static_cast<size_t>(position), *maker, file, counters);
      } catch (const std::bad_alloc&) {
        read_ahead_.skip(batch.files, static_cast<size_t>(position));
        status = {StatusCode::kOutOfMemory, "no memory to decode it"};
      }
      WorkerCounters::add(counters.samples, 1);
      if (!status.ok()) {
        WorkerCounters::add(counters.errors, 1);
        record_failure(batch, position, std::move(status));
      }
    } else {
      read_ahead_.skip(batch.files, static_cast<size_t>(position));
    }
    // Asking for the time takes as long as some samples of a cache do.
    if (position % 16 == 0) counters.cpu_ns.store(thread_cpu_ns(), std::memory_order_relaxed);
    finish_positions(batch, 1);
  }
  counters.cpu_ns.store(thread_cpu_ns(), std::memory_order_relaxed);
}

// The sample of one position; where its image is bad, what the configuration wants instead.
Status Pool::make_position(Batch& batch, size_t position, SampleMaker& maker, FileSource& file,
                           WorkerCounters& counters) {
  Status status = make_sample(batch, position, batch.indices[position], maker, file, counters);
  if (config_.on_error == OnError::kRaise || !is_bad_image(status)) return status;
  BadImage bad{.position = static_cast<int>(position), .reason = status.reason()};
  if (config_.on_error == OnError::kReplace) {
    const auto substitutes = batch.substitutes_of(position);
    for (const int64_t index : substitutes) {
      const Status tried = make_sample(batch, position, index, maker, file, counters);
      if (tried.ok()) bad.substitute = index;
      if (tried.ok() || !is_bad_image(tried)) status = tried;
      if (!is_bad_image(tried)) break;
    }
    if (is_bad_image(status)) {
      return {status.code(), bad.reason + " (nor can any of " + std::to_string(substitutes.size()) +
                                 " others that were tried in its place)"};
    }
    if (!status.ok()) return status;
  }
  WorkerCounters::add(counters.errors, 1);
  std::lock_guard lock(mutex_);
  batch.bad_images.push_back(std::move(bad));
  return {};
}

// Makes a sample at a position of the batch: its own, or another in its place.
Status Pool::make_sample(const Batch& batch, size_t position, int64_t sample, SampleMaker& maker,
                         FileSource& file, WorkerCounters& counters) {
  const auto index = static_cast<size_t>(sample);
  const bool own = sample == batch.indices[position];
  const double* transform = batch.transform(position);
  uint8_t* destination = batch.slot.data() + position * config_.spec.layout.bytes();
  if (config_.array.data != nullptr) {
    const float* image = config_.array.data + index * config_.spec.layout.values();
    return maker.make_from_floats(image, transform, destination, counters);
  }
  const char* path = config_.paths[index];
  Status status;
  CacheMiss miss;
  if (cached_.make(path, transform, destination, maker, counters, status, miss)) {
    if (own) read_ahead_.skip(batch.files, position);
    return status;
  }
  Stopwatch watch;
  status = own ? read_ahead_.open(batch.files, position, path, file) : file.open(path);
  WorkerCounters::add(counters.read_ns, watch.lap());
  if (status.ok()) status = maker.make(file, transform, destination, counters);
  WorkerCounters::add(counters.bytes_read, file.bytes_read());
  file.close();
  if (status.ok()) cached_.keep(path, miss, file.identity(), maker.resized(), counters);
  return status;
}

void Pool::record_failure(Batch& batch, int position, Status status) {
  std::lock_guard lock(mutex_);
  if (position >= batch.first_failure.load()) return;
  batch.first_failure.store(position);
  std::swap(batch.failure, status);  // an outdone failure dies without the lock
}

void Pool::finish_positions(Batch& batch, int count) {
  if (batch.remaining.fetch_sub(count) != count) return;
  std::lock_guard lock(mutex_);
  batch.complete = true;
  if (batch.cancelled) {
    batch.slot.release();
    work_->notify_all();
  }
  ready_.notify_all();
}

PoolStats Pool::stats() const {
  PoolStats total;
  for (const auto& counters : counters_) {
    total.samples += counters->samples;
    total.errors += counters->errors;
    total.bytes_read += counters->bytes_read;
    total.jpegs_own += counters->jpegs_own;
    total.jpegs_libjpeg += counters->jpegs_libjpeg;
    total.read_ns += counters->read_ns;
    total.decode_ns += counters->decode_ns;
    total.resize_ns += counters->resize_ns;
    total.other_ns += counters->other_ns;
    total.hook_ns += counters->hook_ns;
    total.cache_hits += counters->cache_hits;
    total.cache_misses += counters->cache_misses;
    total.cache_ns += counters->cache_ns;
    total.idle_ns += counters->idle_ns;
    total.cpu_ns += counters->cpu_ns;
  }
  total.wait_ns = wait_ns_;
  total.ring = ring_->counts();
  total.read_ahead = read_ahead_.counts();
  std::lock_guard lock(mutex_);
  total.batches = batches_fetched_;
  total.num_threads = config_.num_threads;
  total.depth = ring_->depth();
  return total;
}

}  // namespace pyloader
