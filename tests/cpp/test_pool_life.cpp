// The pool's ends: cancel, close at any moment and from anywhere, failures of foreign code.
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "image_folder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr std::chrono::seconds kStress{2};

void close_wakes_and_refuses() {
  ImageFolder folder(small_spec());
  const int64_t blocked = folder.add("CALL");
  Gate gate, entered;
  const auto code = folder.code();
  code->call = [&](const std::string&) {
    entered.open();
    gate.pass();
    return Status();
  };
  const auto pool = folder.pool(2, 2, code);
  const uint64_t ticket = submit(*pool, {blocked, 0, 1});
  entered.pass();
  std::thread waiter([&] {
    check(wait_for(*pool, ticket).status.code() == StatusCode::kClosed, "a waiter wakes");
    gate.open();
  });
  pool->close();  // joins the worker, which waits for the waiter to be woken
  waiter.join();
  pool->close();
  check(pool->closed());
  check(wait_for(*pool, ticket).status.code() == StatusCode::kClosed);
  check(wait_for(*pool, submit(*pool, {0})).status.code() == StatusCode::kClosed, "afterwards");
  pool->cancel();
  check_equal(pool->stats().ring.busy, 0, "slots come back");
}

void a_pool_without_work_starts_no_thread() {
  ImageFolder folder(small_spec());
  {
    const auto pool = folder.pool(7, 2);
    check(!pool->closed());
    pool->cancel();
    Fetched fetched;
    check(pool->fetch(1, std::chrono::milliseconds(5), fetched));
    check(fetched.status.code() == StatusCode::kInvalid);
    pool->close();
  }
  folder.pool(3, 1);  // neither used nor closed
}

void cancel_forgets_and_goes_on() {
  ImageFolder folder(small_spec());
  Random random(61);
  for (const int threads : {1, 2, 7}) {
    const auto pool = folder.pool(threads, 2);
    for (int round = 0; round < 30; ++round) {
      std::vector<uint64_t> tickets;
      for (int i = 0; i < 5; ++i) {
        tickets.push_back(submit(*pool, random_batch(random, 8, folder.size())));
      }
      for (int i = random.below(4); i > 0; --i) (void)wait_for(*pool, tickets[0]);
      pool->cancel();
      check(wait_for(*pool, tickets[4]).status.code() == StatusCode::kInvalid, "forgotten");
      const std::vector<int64_t> batch = random_batch(random, 8, folder.size());
      const Fetched fetched = wait_for(*pool, submit(*pool, batch));
      check(fetched.status.ok() && folder.is_batch(batch, fetched.slot.data()), "the next batch");
    }
    pool->close();
    check_equal(pool->stats().ring.busy, 0, "slots come back");
  }
}

void cancel_wakes_a_waiter() {
  ImageFolder folder(small_spec());
  const int64_t blocked = folder.add("CALL");
  Gate gate, entered;
  const auto code = folder.code();
  code->call = [&](const std::string&) {
    entered.open();
    gate.pass();
    return Status();
  };
  const auto pool = folder.pool(1, 1, code);
  const uint64_t ticket = submit(*pool, {0, blocked, 1});
  entered.pass();
  std::thread waiter([&] {
    check(wait_for(*pool, ticket).status.code() == StatusCode::kInvalid, "a waiter wakes");
    gate.open();
  });
  pool->cancel();
  waiter.join();
  // The slot of the cancelled batch comes back with the worker that still wrote to it.
  check(wait_for(*pool, submit(*pool, {2})).status.ok());
  pool->close();
}

// Submitters, fetchers, a canceller and two closers meet at random moments; whatever is delivered
// must be right.
void everything_at_once() {
  ImageFolder folder(small_spec());
  const int64_t good = folder.size();
  folder.add_missing();
  folder.add("CALL");
  const auto start = std::chrono::steady_clock::now();
  Random seeds(62);
  int rounds = 0, delivered_rounds = 0;
  for (; std::chrono::steady_clock::now() - start < kStress; ++rounds) {
    const auto code = folder.code();
    code->call = [](const std::string&) { return Status::foreign(std::make_shared<int>(1)); };
    const auto pool = folder.pool(1 + rounds % 4, 1 + rounds % 3, code);
    std::atomic<int> delivered{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < 3; ++id) {
      threads.emplace_back([&, seed = seeds.next()] {
        Random random(seed);
        std::vector<SlotHandle> kept;
        for (int i = 0; i < 12; ++i) {
          const int64_t limit = random.below(3) == 0 ? folder.size() : good;
          const std::vector<int64_t> batch = random_batch(random, random.between(1, 6), limit);
          const uint64_t ticket = submit(*pool, batch);
          if (random.below(5) == 0) continue;  // never fetched
          Fetched fetched;
          while (!pool->fetch(ticket, std::chrono::milliseconds(random.below(3)), fetched)) {
            // Batches that nobody fetches may fill the ring.
            if (random.below(20) == 0) pool->cancel();
          }
          if (fetched.status.ok()) {
            check(folder.is_batch(batch, fetched.slot.data()), "a delivered batch");
            ++delivered;
            kept.push_back(std::move(fetched.slot));
          }
          if (kept.size() > 3) kept.clear();
        }
      });
    }
    const int closers = static_cast<int>(seeds.next() % 3);
    for (int id = 0; id < closers; ++id) {
      threads.emplace_back([&, seed = seeds.next()] {
        Random random(seed);
        for (int i = random.below(200); i > 0; --i) (void)pool->stats();
        if (random.below(3) == 0) pool->cancel();
        pool->close();
      });
    }
    for (std::thread& thread : threads) thread.join();
    delivered_rounds += delivered > 0;
    pool->close();
    const RingCounts counts = pool->stats().ring;
    check(counts.busy == 0 && counts.leased == 0, "slots come back");
  }
  check(rounds >= 5 && delivered_rounds > 0, "the stress did nothing");
}

void a_worker_may_close_its_pool() {
  // Workers may still be leaving when all of this is over: they own what they touch.
  struct Shared {
    std::weak_ptr<Pool> pool;
    Gate known, done;
  };
  ImageFolder folder(small_spec());
  const int64_t closing = folder.add("CALL");
  for (const int threads : {1, 2, 7}) {
    for (int round = 0; round < 10; ++round) {
      const auto shared = std::make_shared<Shared>();
      const auto code = folder.code();
      code->call = [shared](const std::string&) {
        shared->known.pass();
        if (const auto own = shared->pool.lock()) own->close();
        shared->done.open();
        return Status();
      };
      const auto pool = folder.pool(threads, 2, code);
      shared->pool = pool;
      // Several positions close at once, where there are threads for them.
      const uint64_t ticket = submit(*pool, {0, closing, closing, closing, 1});
      shared->known.open();
      check(wait_for(*pool, ticket).status.code() == StatusCode::kClosed);
      shared->done.pass();
      pool->close();
    }
  }
}

void a_worker_may_hold_the_last_reference() {
  struct Shared {
    std::shared_ptr<Pool> pool;
    Gate start, done;
  };
  ImageFolder folder(small_spec());
  const int64_t dropping = folder.add("CALL");
  for (int round = 0; round < 20; ++round) {
    const auto shared = std::make_shared<Shared>();
    const auto code = folder.code();
    code->call = [shared](const std::string&) {
      shared->start.pass();
      shared->pool->close();
      shared->pool.reset();
      shared->done.open();
      return Status();
    };
    shared->pool = folder.pool(1 + round % 2, 2, code);
    submit(*shared->pool, {dropping, 0});
    shared->start.open();
    shared->done.pass();
  }
}

// The cause of a failure belongs to the language above: its destructor may need a lock of that
// language, under which others call the pool. So a cause must never die under the pool's own lock.
class Cause {
 public:
  explicit Cause(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}
  ~Cause() {
    auto stats = std::async(std::launch::async, [pool = pool_] { (void)pool->stats(); });
    const bool in_time = stats.wait_for(std::chrono::seconds(1)) == std::future_status::ready;
    check(in_time, "a cause died under the pool's lock");
    const std::lock_guard lock(mutex());
    pending().push_back(std::move(stats));
  }
  // What is still waiting for the lock, to be awaited when it is free.
  static std::vector<std::future<void>>& pending() {
    static std::vector<std::future<void>> futures;
    return futures;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }
  std::shared_ptr<Pool> pool_;
};

// Runs a scenario with foreign code that knows its pool.
struct Failing {
  ImageFolder folder{small_spec()};
  int64_t fails = folder.add("CALL fail");
  int64_t fails_late = folder.add("CALL late");
  int64_t marks = folder.add("CALL mark");
  Gate entered, gate, marked;
  std::shared_ptr<FakeCode> code = folder.code();
  std::shared_ptr<Pool> pool;

  explicit Failing(int threads) {
    code->call = [this](const std::string& content) {
      if (content == "CALL mark") {
        marked.open();
        return Status();
      }
      if (content == "CALL late") {
        entered.open();
        gate.pass();
      }
      return Status::foreign(std::make_shared<Cause>(pool));
    };
    pool = folder.pool(threads, 3, code);
  }
  void end() {
    pool->close();
    Cause::pending().clear();
  }
};

// Outdone by a failure of a lower position.
void outdone_cause() {
  Failing failing(2);
  // Position 1 has failed for sure when its worker has gone on to the next batch.
  const uint64_t ticket = submit(*failing.pool, {failing.fails_late, failing.fails});
  submit(*failing.pool, {failing.marks});
  failing.entered.pass();
  failing.marked.pass();
  failing.gate.open();
  {
    const Fetched fetched = wait_for(*failing.pool, ticket);
    check_equal(fetched.failed_index, failing.fails_late);
  }
  failing.end();
}

// Cancelled before anybody fetched it.
void forgotten_cause() {
  Failing failing(1);
  submit(*failing.pool, {failing.fails});
  submit(*failing.pool, {failing.marks});
  failing.marked.pass();
  failing.pool->cancel();
  failing.end();
}

// Failed after its batch was cancelled.
void late_cause() {
  Failing failing(1);
  submit(*failing.pool, {failing.fails_late});
  failing.entered.pass();
  failing.pool->cancel();
  failing.gate.open();
  check(wait_for(*failing.pool, submit(*failing.pool, {failing.marks})).status.ok());
  failing.end();
}

// Fetched, and dropped by who fetched it before the worker has let go of the batch.
void fetched_cause() {
  Failing failing(1);
  for (int i = 0; i < 3; ++i) {
    const Fetched fetched = wait_for(*failing.pool, submit(*failing.pool, {0, failing.fails}));
    check(fetched.status.code() == StatusCode::kForeign && fetched.status.cause() != nullptr);
  }
  failing.end();
}

void causes_never_die_under_the_lock() {
  outdone_cause();
  forgotten_cause();
  late_cause();
  fetched_cause();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"close wakes waiters, joins workers and refuses what comes after",
           close_wakes_and_refuses},
          {"a pool without work starts and ends", a_pool_without_work_starts_no_thread},
          {"cancel forgets what was not fetched, and the pool goes on", cancel_forgets_and_goes_on},
          {"cancel wakes a waiter and gets its slot back", cancel_wakes_a_waiter},
          {"submit, fetch, cancel and close at random moments deliver right batches or none",
           everything_at_once},
          {"workers may close their own pool", a_worker_may_close_its_pool},
          {"a worker may drop the last reference to its pool",
           a_worker_may_hold_the_last_reference},
          {"the cause of a failure never dies under the pool's lock",
           causes_never_die_under_the_lock},
      });
}
