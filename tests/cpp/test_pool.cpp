// What the pool delivers: the same bytes for any number of threads, failures by position, leases
// that hold.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "image_folder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

void any_number_of_threads_gives_the_same_bytes() {
  std::vector<uint8_t> floats(256 * sizeof(float));
  for (size_t i = 0; i < 256; ++i) {
    const float value = static_cast<float>(i) * (1.0f / 255.0f);
    std::memcpy(floats.data() + i * sizeof(float), &value, sizeof(float));
  }
  std::vector<SampleSpec> specs = {small_spec(), small_spec(), small_spec()};
  specs[1].layout = {.size = {31, 17}, .channels = 3, .channels_first = true, .item_size = 4};
  specs[1].table = StoreTable(floats, true);
  specs[1].filter = Filter::kLanczos;
  specs[1].keep_aspect_ratio = true;
  specs[2].layout.channels = 1;
  specs[2].filter = Filter::kNearest;
  for (const SampleSpec& spec : specs) {
    // Foreign images have the layout's channels or one.
    ImageFolder folder(spec);
    const int64_t good = spec.layout.channels == 1 ? 12 : folder.size();
    for (const int threads : {1, 2, 7}) {
      for (const int depth : {1, 3}) {
        const auto pool = folder.pool(threads, depth);
        Random random(51);
        std::vector<std::vector<int64_t>> batches;
        std::vector<uint64_t> tickets;
        for (int i = 0; i < 12; ++i) {
          batches.push_back(random_batch(random, random.between(1, 20), good));
          tickets.push_back(submit(*pool, batches.back()));
        }
        for (size_t i = 0; i < batches.size(); ++i) {
          const Fetched fetched = wait_for(*pool, tickets[i]);
          check(fetched.status.ok() && fetched.failed_index == -1, fetched.status.reason());
          check_equal(static_cast<size_t>(fetched.size), batches[i].size());
          check(fetched.slot && folder.is_batch(batches[i], fetched.slot.data()),
                std::to_string(threads) + " threads, batch " + std::to_string(i));
        }
        pool->close();
      }
    }
  }
}

void a_users_function_sees_every_sample() {
  ImageFolder folder(small_spec(), true);
  for (const int threads : {1, 2, 7}) {
    const auto pool = folder.pool(threads, 2);
    Random random(52);
    for (int i = 0; i < 6; ++i) {
      const std::vector<int64_t> batch = random_batch(random, 9, folder.size());
      const Fetched fetched = wait_for(*pool, submit(*pool, batch));
      check(fetched.status.ok() && folder.is_batch(batch, fetched.slot.data()));
    }
    pool->close();
  }
}

void the_lowest_failure_is_reported() {
  ImageFolder folder(small_spec());
  const int64_t good = folder.size();
  std::vector<uint8_t> cut = make_jpeg({.size = {60, 60}});
  cut.resize(cut.size() / 2);
  const std::map<int64_t, StatusCode> bad = {{folder.add_missing(), StatusCode::kReadFailed},
                                             {folder.add(""), StatusCode::kBadImage},
                                             {folder.add(cut), StatusCode::kBadImage},
                                             {folder.add("no image"), StatusCode::kBadImage},
                                             {folder.add("CALL"), StatusCode::kForeign}};
  for (const int threads : {1, 2, 7}) {
    const auto code = folder.code();
    const auto cause = std::make_shared<int>(7);
    code->call = [&](const std::string&) { return Status::foreign(cause); };
    const auto pool = folder.pool(threads, 2, code);
    Random random(53);
    for (int round = 0; round < 60; ++round) {
      std::vector<int64_t> failing = random_batch(random, 16, good);
      const std::vector<int64_t> fine = random_batch(random, 5, good);
      for (int n = random.between(1, 5); n > 0; --n) {
        failing[static_cast<size_t>(random.below(16))] =
            good + random.below(static_cast<int>(bad.size()));
      }
      const auto first = std::find_if(failing.begin(), failing.end(),
                                      [&](int64_t index) { return index >= good; });
      const uint64_t failing_ticket = submit(*pool, failing), fine_ticket = submit(*pool, fine);
      const Fetched failed = wait_for(*pool, failing_ticket);
      check_equal(failed.failed_index, *first, std::to_string(threads) + " threads");
      check(failed.status.code() == bad.at(*first), failed.status.reason());
      check(!failed.slot, "a failed batch has no slot");
      if (failed.status.code() == StatusCode::kForeign) {
        check(failed.status.cause() == cause, "the cause");
      } else {
        check(!failed.status.reason().empty(), "a reason");
      }
      const Fetched delivered = wait_for(*pool, fine_ticket);
      check(delivered.status.ok() && folder.is_batch(fine, delivered.slot.data()), "the next");
    }
    pool->close();
    const PoolStats stats = pool->stats();
    check(stats.ring.busy == 0 && stats.ring.leased == 0, "slots come back");
    check(stats.errors >= 60 && stats.batches == 120, "counters");
  }
}

void a_later_failure_is_outdone_by_a_lower_one() {
  ImageFolder folder(small_spec());
  const int64_t late = folder.add("CALL late"), early = folder.add("CALL early");
  const int64_t mark = folder.add("CALL mark");
  Gate gate;
  const auto code = folder.code();
  code->call = [&](const std::string& content) {
    if (content == "CALL mark") {
      gate.open();
      return Status();
    }
    if (content == "CALL late") gate.pass();
    return Status::foreign(std::make_shared<std::string>(content));
  };
  const auto pool = folder.pool(2, 2, code);
  // The mark is reached by the worker that has failed at position 1, while position 0 still waits.
  const uint64_t ticket = submit(*pool, {late, early, 0, 1});
  const uint64_t next = submit(*pool, {mark});
  const Fetched fetched = wait_for(*pool, ticket);
  check_equal(fetched.failed_index, late);
  check(fetched.status.cause() != nullptr &&
        *static_cast<std::string*>(fetched.status.cause().get()) == "CALL late");
  check(wait_for(*pool, next).status.ok(), "the next batch");
  pool->close();
}

void leases_are_never_rewritten() {
  ImageFolder folder(small_spec());
  for (const int threads : {1, 3}) {
    const auto pool = folder.pool(threads, 2);
    Random random(54);
    struct Held {
      std::vector<int64_t> indices;
      SlotHandle slot;
    };
    std::vector<Held> held;
    for (int i = 0; i < 80; ++i) {
      Held next{random_batch(random, 8, folder.size()), {}};
      const uint64_t ticket = submit(*pool, next.indices);
      submit(*pool, random_batch(random, 8, folder.size()));  // fills while leases are held
      Fetched fetched = wait_for(*pool, ticket);
      (void)wait_for(*pool, ticket + 1);
      next.slot = std::move(fetched.slot);
      held.push_back(std::move(next));
      if (held.size() > 12) held.erase(held.begin() + random.below(12));
      for (const Held& one : held) check(folder.is_batch(one.indices, one.slot.data()));
    }
    // And they outlive the pool.
    pool->close();
    for (const Held& one : held) check(folder.is_batch(one.indices, one.slot.data()));
    check_equal(pool->stats().ring.leased, static_cast<int>(held.size()));
  }
}

void prefetch_stops_at_the_depth() {
  ImageFolder folder(small_spec());
  for (const int depth : {1, 2, 4}) {
    const auto pool = folder.pool(2, depth);
    std::vector<uint64_t> tickets;
    for (int i = 0; i < depth + 3; ++i) tickets.push_back(submit(*pool, {0, 1, 2}));
    for (const uint64_t ticket : tickets) {
      check(pool->stats().ring.busy <= depth, "busy beyond the depth");
      check(wait_for(*pool, ticket).status.ok());
    }
    pool->close();
  }
}

void tickets_may_be_fetched_in_any_order_within_the_depth() {
  ImageFolder folder(small_spec());
  const auto pool = folder.pool(2, 4);
  Random random(55);
  for (int round = 0; round < 10; ++round) {
    std::vector<std::vector<int64_t>> batches;
    std::vector<uint64_t> tickets;
    for (int i = 0; i < 4; ++i) {
      batches.push_back(random_batch(random, 6, folder.size()));
      tickets.push_back(submit(*pool, batches.back()));
    }
    for (const size_t i : {size_t{3}, size_t{1}, size_t{0}, size_t{2}}) {
      const Fetched fetched = wait_for(*pool, tickets[i]);
      check(fetched.status.ok() && folder.is_batch(batches[i], fetched.slot.data()));
      check(wait_for(*pool, tickets[i]).status.code() == StatusCode::kInvalid, "used up");
    }
  }
  check(wait_for(*pool, 123456).status.code() == StatusCode::kInvalid, "unknown");
  pool->close();
}

void a_wait_ends_with_its_timeout() {
  ImageFolder folder(small_spec());
  const int64_t blocked = folder.add("CALL");
  Gate gate;
  const auto code = folder.code();
  code->call = [&](const std::string&) {
    gate.pass();
    return Status();
  };
  const auto pool = folder.pool(1, 2, code);
  const uint64_t ticket = submit(*pool, {blocked});
  Fetched fetched;
  check(!pool->fetch(ticket, std::chrono::milliseconds(0), fetched), "not yet");
  check(!pool->fetch(ticket, std::chrono::milliseconds(20), fetched), "not yet");
  gate.open();
  check(wait_for(*pool, ticket).status.ok());
  pool->close();
}

void several_threads_fetch() {
  ImageFolder folder(small_spec());
  const auto pool = folder.pool(2, 3);
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < 4; ++id) {
    threads.emplace_back([&, id] {
      Random random(id);
      for (int i = 0; i < 25; ++i) {
        const std::vector<int64_t> batch = random_batch(random, 4, folder.size());
        const Fetched fetched = wait_for(*pool, submit(*pool, batch));
        check(fetched.status.ok() && folder.is_batch(batch, fetched.slot.data()));
        (void)pool->stats();
      }
    });
  }
  // And all of them the same ticket: one gets the batch.
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  std::atomic<int> winners{0}, losers{0};
  const uint64_t ticket = submit(*pool, {0, 1, 2, 3});
  for (int id = 0; id < 4; ++id) {
    threads.emplace_back([&] {
      const Status status = wait_for(*pool, ticket).status;
      ++(status.ok() ? winners : losers);
      check(status.ok() || status.code() == StatusCode::kInvalid);
    });
  }
  for (std::thread& thread : threads) thread.join();
  check_equal(winners.load(), 1);
  check_equal(losers.load(), 3);
  pool->close();
}

void two_pools_meet_nothing_shared() {
  ImageFolder one(small_spec()), two(small_spec(), true);
  const auto first = one.pool(2, 2), second = two.pool(2, 2);
  Random random(56);
  for (int i = 0; i < 10; ++i) {
    const std::vector<int64_t> batch = random_batch(random, 7, one.size());
    const uint64_t a = submit(*first, batch), b = submit(*second, batch);
    const Fetched from_second = wait_for(*second, b), from_first = wait_for(*first, a);
    check(one.is_batch(batch, from_first.slot.data()));
    check(two.is_batch(batch, from_second.slot.data()));
    if (i == 5) first->stats();
  }
  first->close();
  check(wait_for(*second, submit(*second, {0})).status.ok(), "the other goes on");
  second->close();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"one, two and seven threads give the same bytes for every kind of batch",
           any_number_of_threads_gives_the_same_bytes},
          {"a user's function sees every sample", a_users_function_sees_every_sample},
          {"any number of threads reports the lowest failing position, and the next batch is fine",
           the_lowest_failure_is_reported},
          {"a failure is outdone by one of a lower position that comes later",
           a_later_failure_is_outdone_by_a_lower_one},
          {"leased slots are never rewritten and outlive the pool", leases_are_never_rewritten},
          {"prefetch stops at the depth", prefetch_stops_at_the_depth},
          {"tickets may be fetched in any order within the depth, once",
           tickets_may_be_fetched_in_any_order_within_the_depth},
          {"a wait ends with its timeout", a_wait_ends_with_its_timeout},
          {"several threads fetch, and one ticket has one winner", several_threads_fetch},
          {"two pools meet nothing shared", two_pools_meet_nothing_shared},
      });
}
