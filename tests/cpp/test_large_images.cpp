// Memory that workers share for large images: bounded, and everybody's turn comes.
#include <atomic>
#include <thread>
#include <vector>

#include "check.h"
#include "image_folder.h"
#include "memory/large_images.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

void no_more_is_taken_than_there_is() {
  LargeImages images(64 * kMiB);
  std::atomic<uint64_t> taken{0}, most{0};
  std::vector<std::thread> threads;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    threads.emplace_back([&, seed] {
      Random random(seed);
      for (int i = 0; i < 300; ++i) {
        const uint64_t bytes = kMiB * static_cast<uint64_t>(random.between(1, 64));
        LargeImages::Hold hold = images.take(bytes);
        const uint64_t counted = bytes <= LargeImages::kSmall ? 0 : bytes;
        const uint64_t now = taken.fetch_add(counted) + counted;
        for (uint64_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        taken.fetch_sub(counted);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  check(most <= 64 * kMiB, "more than there is");
  check(images.fits(64 * kMiB) && !images.fits(64 * kMiB + 1));
}

void without_a_bound_nobody_waits() {
  LargeImages images(0);
  LargeImages::Hold first = images.take(uint64_t{1} << 60), second = images.take(uint64_t{1} << 60);
  check(!images.bounded() && images.fits(uint64_t{1} << 63));
}

void a_hold_that_is_moved_is_given_back_once() {
  LargeImages images(10 * kMiB);
  LargeImages::Hold hold = images.take(10 * kMiB);
  LargeImages::Hold moved = std::move(hold);
  hold.give_back();
  moved.give_back();
  moved.give_back();
  hold = images.take(10 * kMiB);
  hold = LargeImages::Hold();
  check(images.fits(10 * kMiB));
  hold = images.take(10 * kMiB);
}

PoolConfig config_of(const TemporaryFolder& folder, int count,
                     const std::vector<uint8_t>& content) {
  PoolConfig config;
  config.spec = small_spec();
  config.num_threads = 3;
  config.depth = 2;
  for (int i = 0; i < count; ++i) {
    config.paths.add(folder.write("image" + std::to_string(i), content));
  }
  return config;
}

void workers_take_turns_with_large_files() {
  const TemporaryFolder folder;
  // A progressive file of 5 megapixels holds 10 MB of coefficients.
  const auto content =
      make_jpeg({.size = {2500, 2000}, .color = JpegColor::kGray, .progressive = true});
  PoolConfig config = config_of(folder, 6, content);
  config.image_room = 24 * kMiB;
  auto pool =
      std::make_shared<Pool>(config, std::make_shared<FakeCode>(config.spec.layout.values()));
  const Fetched fetched = wait_for(*pool, submit(*pool, {0, 1, 2, 3, 4, 5}));
  check(fetched.status.ok(), fetched.status.reason());
  pool->close();
  config.image_room = 8 * kMiB;
  pool = std::make_shared<Pool>(config, std::make_shared<FakeCode>(config.spec.layout.values()));
  const Fetched refused = wait_for(*pool, submit(*pool, {3, 0}));
  check(refused.status.code() == StatusCode::kTooLarge && refused.failed_index == 3);
  check(refused.status.reason().find("memory_limit") != std::string::npos);
  pool->close();
}

void a_batch_without_room_fails_when_somebody_waits_for_it() {
  const TemporaryFolder folder;
  const auto content = make_jpeg({.size = {30, 30}});
  PoolConfig config = config_of(folder, 4, content);
  const uint64_t bytes = 2 * config.spec.layout.bytes();
  config.slot_room = 3 * bytes;
  const auto pool =
      std::make_shared<Pool>(config, std::make_shared<FakeCode>(config.spec.layout.values()));
  std::vector<uint64_t> tickets;
  for (int i = 0; i < 6; ++i) tickets.push_back(submit(*pool, {i % 4, 3}));
  std::vector<Fetched> kept;
  for (size_t i = 0; i < 3; ++i) kept.push_back(wait_for(*pool, tickets[i]));
  Fetched failed;
  while (!pool->fetch(tickets[3], std::chrono::milliseconds(10), failed)) {
  }
  check(failed.status.code() == StatusCode::kMemoryLimit, failed.status.reason());
  check(failed.status.reason().find("3 that were delivered") != std::string::npos);
  kept.clear();
  check(wait_for(*pool, tickets[4]).status.ok(), "there is room again");
  // Whoever waits already is served when another thread lets go.
  for (size_t i = 0; i < 2; ++i) {
    kept.push_back(wait_for(*pool, submit(*pool, {0, 1})));
    check(kept.back().status.ok());
  }
  check(wait_for(*pool, tickets[5]).status.ok());
  check(pool->stats().read_ahead.groups == 0, "nobody expects the failed batch's files any more");
  pool->close();
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"no more is taken than there is", no_more_is_taken_than_there_is},
          {"without a bound nobody waits", without_a_bound_nobody_waits},
          {"a hold that is moved is given back once", a_hold_that_is_moved_is_given_back_once},
          {"workers take turns with large files, and refuse what never fits",
           workers_take_turns_with_large_files},
          {"a batch that will never have a slot fails when somebody waits for it",
           a_batch_without_room_fails_when_somebody_waits_for_it},
      });
}
