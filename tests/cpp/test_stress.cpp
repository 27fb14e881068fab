// Everything that callers may do to a pool, at random moments and from many threads: submit, fetch,
// keep and drop leases, cancel, look at the numbers, close, drop the pool, fork. What is delivered
// is right, and every slot comes back. Rounds are counted, not timed.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/memory_cache.h"
#include "check.h"
#include "image_folder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr int kRounds = 40;
constexpr int kSteps = 25;  // of each thread in a round

// Leases in nobody's hands for long: threads put them in and take others' out.
class Exchange {
 public:
  SlotHandle swap(size_t place, SlotHandle handle) {
    const std::lock_guard lock(mutex_);
    std::swap(places_[place % places_.size()], handle);
    return handle;
  }
  void clear() {
    for (size_t i = 0; i < places_.size(); ++i) swap(i, SlotHandle());
  }

 private:
  std::mutex mutex_;
  std::vector<SlotHandle> places_{7};
};

struct Round {
  const ImageFolder& folder;
  int64_t good;  // images with these numbers can be read
  std::shared_ptr<Pool> pool;
  Exchange exchange;
  std::atomic<int> delivered{0}, failed{0};
};

// Fetches within bounds: batches that nobody fetches may fill the ring.
Fetched fetch(Round& round, uint64_t ticket, Random& random) {
  Fetched fetched;
  while (!round.pool->fetch(ticket, std::chrono::milliseconds(random.below(3)), fetched)) {
    if (random.below(10) == 0) round.pool->cancel();
  }
  return fetched;
}

void check_batch(Round& round, const std::vector<int64_t>& batch, Fetched fetched,
                 std::vector<SlotHandle>& kept, Random& random) {
  const StatusCode code = fetched.status.code();
  if (!fetched.status.ok()) {
    ++round.failed;
    const bool ended = code == StatusCode::kClosed || code == StatusCode::kInvalid;
    check(ended || fetched.failed_index >= round.good, "a good image failed");
    return;
  }
  ++round.delivered;
  check(round.folder.is_batch(batch, fetched.slot.data()), "a wrong batch");
  fetched.slot.data()[0] ^= 0xFF;  // it is the user's
  if (random.below(2) == 0) {
    kept.push_back(round.exchange.swap(random.next(), std::move(fetched.slot)));
  } else {
    kept.push_back(std::move(fetched.slot));
  }
  if (kept.size() > 4) kept.clear();
}

void use(Round& round, uint32_t seed) {
  Random random(seed);
  std::vector<SlotHandle> kept;
  std::vector<std::pair<uint64_t, std::vector<int64_t>>> pending;
  for (int step = 0; step < kSteps; ++step) {
    const int64_t limit = random.below(4) == 0 ? round.folder.size() : round.good;
    std::vector<int64_t> batch = random_batch(random, random.between(1, 5), limit);
    const uint64_t ticket = submit(*round.pool, batch);
    pending.emplace_back(ticket, std::move(batch));
    while (!pending.empty() && random.below(3) != 0) {
      const auto number = static_cast<ptrdiff_t>(random.next() % pending.size());
      const auto [of, images] = pending[static_cast<size_t>(number)];
      pending.erase(pending.begin() + number);
      check_batch(round, images, fetch(round, of, random), kept, random);
    }
    if (random.below(40) == 0) round.pool->cancel();
    if (random.below(10) == 0) (void)round.pool->stats();
  }
}

void end_at_some_moment(Round& round, uint32_t seed) {
  Random random(seed);
  for (int looks = random.below(300); looks > 0; --looks) {
    (void)round.pool->stats();
    (void)round.pool->closed();
  }
  round.pool->close();
}

void everything_at_random_moments(bool with_cache) {
  ImageFolder folder(small_spec());
  const int64_t good = folder.size();
  folder.add_missing();
  folder.add("no image");
  Random seeds(with_cache ? 82 : 81);
  int delivered = 0, failed = 0, kept_past_the_end = 0;
  for (int number = 0; number < kRounds; ++number) {
    std::shared_ptr<ImageCache> cache;
    if (with_cache) {
      const CacheFormat format = {.name = "stress", .bytes = small_spec().layout.values()};
      cache = std::make_shared<MemoryCache>(format, uint64_t{1} << (12 + number % 8));
    }
    Round round{.folder = folder,
                .good = good,
                .pool = folder.pool(1 + seeds.below(4), 1 + seeds.below(3), cache),
                .exchange = {}};
    std::vector<std::thread> threads;
    for (int i = seeds.between(1, 4); i > 0; --i) {
      threads.emplace_back(use, std::ref(round), seeds.next());
    }
    for (int i = seeds.below(3); i > 0; --i) {
      threads.emplace_back(end_at_some_moment, std::ref(round), seeds.next());
    }
    for (std::thread& thread : threads) thread.join();
    delivered += round.delivered;
    failed += round.failed;
    if (seeds.below(2) == 0) round.pool->close();
    const RingCounts before = round.pool->stats().ring;
    kept_past_the_end += before.leased;
    if (seeds.below(2) == 0) {
      round.exchange.clear();
      round.pool->close();
      const RingCounts after = round.pool->stats().ring;
      check(after.busy == 0 && after.leased == 0, "slots come back");
    } else {
      round.pool->close();
      round.pool.reset();  // leases outlive it
    }
  }
  check(delivered > 100 && failed > 10 && kept_past_the_end > 10, "the stress did nothing");
}

void without_a_cache() { everything_at_random_moments(false); }
void with_a_cache() { everything_at_random_moments(true); }

// A child of a fork has no workers, and must not touch the parent's pool: it makes its own, and
// what it inherited may die in it. The sanitizers do not follow a fork beside threads (a lock of
// the address sanitizer's heap may be held for ever), so with them the child ends at once.
bool child_works(const ImageFolder& folder, uint32_t seed) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  (void)folder;
  (void)seed;
  return true;
#else
  Random random(seed);
  const auto pool = folder.pool(2, 2);
  for (int i = 0; i < 3; ++i) {
    const std::vector<int64_t> batch = random_batch(random, 4, folder.size());
    const Fetched fetched = wait_for(*pool, submit(*pool, batch));
    if (!fetched.status.ok() || !folder.is_batch(batch, fetched.slot.data())) return false;
  }
  pool->close();
  return true;
#endif
}

void forks_at_random_moments() {
  ImageFolder folder(small_spec());
  Random random(83);
  for (int number = 0; number < 15; ++number) {
    Round round{.folder = folder,
                .good = folder.size(),
                .pool = folder.pool(random.between(1, 3), random.between(1, 3)),
                .exchange = {}};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back(use, std::ref(round), random.next());
    for (int forks = random.between(1, 3); forks > 0; --forks) {
      for (int looks = random.below(100); looks > 0; --looks) (void)round.pool->stats();
      const uint32_t seed = random.next();
      const pid_t child = ::fork();
      if (child == 0) {
        ::alarm(100);  // a child that hangs ends
        ::_exit(child_works(folder, seed) ? 0 : 1);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child");
    }
    for (std::thread& thread : threads) thread.join();
    check(round.delivered > 0, "the parent goes on");
    round.pool->close();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"whatever threads do to a pool, batches are right or not delivered", without_a_cache},
          {"the same with a cache that fills up", with_a_cache},
          {"forks at random moments leave parent and child able to work", forks_at_random_moments},
      });
}
