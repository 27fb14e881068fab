// Batches with images that cannot be loaded: empty positions, and others in their place.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cache/memory_cache.h"
#include "check.h"
#include "image_folder.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

struct Files {
  ImageFolder folder{small_spec()};
  const int64_t good = folder.size();
  const int64_t missing = folder.add_missing(), empty = folder.add(""),
                text = folder.add("no image"), call = folder.add("CALL");

  bool is_bad(int64_t index) const { return index >= good && index != call; }
};

void empty_positions_are_told_and_all_others_are_filled() {
  const Files files;
  for (const int threads : {1, 2, 7}) {
    const auto pool =
        files.folder.pool(threads, 2, files.folder.code(), nullptr, true, OnError::kDrop);
    Random random(61);
    for (int round = 0; round < 40; ++round) {
      const auto batch = random_batch(random, random.between(1, 20), files.call);
      const Fetched fetched = wait_for(*pool, submit(*pool, batch));
      check(fetched.status.ok() && fetched.size == static_cast<int>(batch.size()));
      size_t told = 0;
      for (size_t position = 0; position < batch.size(); ++position) {
        if (files.is_bad(batch[position])) {
          const BadImage& bad = fetched.bad_images.at(told++);
          check_equal(bad.position, static_cast<int>(position), "in order");
          check(bad.substitute == -1 && !bad.reason.empty());
        } else {
          check(files.folder.is_sample(
              batch[position], fetched.slot.data() + position * small_spec().layout.bytes()));
        }
      }
      check_equal(told, fetched.bad_images.size());
    }
    pool->close();
    check(pool->stats().ring.busy == 0, "slots come back");
  }
}

void the_first_substitute_that_loads_takes_the_place() {
  const Files files;
  for (const int threads : {1, 2, 7}) {
    for (const bool cached : {false, true}) {
      const auto cache =
          cached ? std::make_shared<MemoryCache>(cache_format(small_spec()), MemoryCache::kSane)
                 : nullptr;
      const auto pool =
          files.folder.pool(threads, 2, files.folder.code(), cache, true, OnError::kReplace);
      Random random(62);
      for (int round = 0; round < 40; ++round) {
        auto batch = random_batch(random, 12, files.call);
        const auto others = random_batch(random, 12 * 5, files.call);
        std::vector<int64_t> expected = batch;
        bool fails = false;
        for (size_t position = 0; position < batch.size(); ++position) {
          if (!files.is_bad(batch[position])) continue;
          const auto begin = others.begin() + static_cast<ptrdiff_t>(position) * 5;
          const auto first =
              std::find_if(begin, begin + 5, [&](int64_t index) { return !files.is_bad(index); });
          fails = fails || first == begin + 5;
          expected[position] = first == begin + 5 ? -1 : *first;
        }
        const Fetched fetched = wait_for(*pool, pool->submit(batch, {}, others));
        if (fails) {
          check(fetched.status.reason().find("nor can any of 5 others") != std::string::npos);
          continue;
        }
        check(fetched.status.ok() && files.folder.is_batch(expected, fetched.slot.data()));
        for (const BadImage& bad : fetched.bad_images) {
          check_equal(bad.substitute, expected[static_cast<size_t>(bad.position)]);
        }
      }
      pool->close();
    }
  }
}

void what_the_users_code_throws_is_not_dealt_with() {
  const Files files;
  for (const OnError on_error : {OnError::kDrop, OnError::kReplace}) {
    const auto code = files.folder.code();
    code->call = [](const std::string&) { return Status::foreign(std::make_shared<int>(1)); };
    const auto pool = files.folder.pool(2, 2, code, nullptr, true, on_error);
    const Fetched own = wait_for(*pool, pool->submit({0, files.call}, {}, {1, 2}));
    check(own.status.code() == StatusCode::kForeign);
    const Fetched other = wait_for(*pool, pool->submit({files.text}, {}, {files.call}));
    check(on_error == OnError::kDrop ? other.status.ok()
                                     : other.status.code() == StatusCode::kForeign);
    pool->close();
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"empty positions are told, in order, and all others are filled",
           empty_positions_are_told_and_all_others_are_filled},
          {"the first substitute that loads takes the place of a bad image",
           the_first_substitute_that_loads_takes_the_place},
          {"an error of the user's code fails the batch whatever happens to bad images",
           what_the_users_code_throws_is_not_dealt_with},
      });
}
