// One sample start to finish, and the memory that it takes.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "allocations.h"
#include "check.h"
#include "image_folder.h"
#include "loader/load_image.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

// Today's allocations per image once warm. They should be 0 (conventions, rule 12): see
// make_resize_plan, which builds a new plan, vectors and all, for every image.
constexpr long kPerFilteredImage = 1;  // needed_rows
constexpr long kPerNearestImage = 3;   // needed_rows, columns, rows

// Allocations that `repeats` passes over some images cause in a warm maker.
long count_in_maker(const SampleSpec& spec, const std::vector<std::vector<uint8_t>>& contents,
                    const double* transform, int repeats) {
  FakeCode code(spec.layout.values());
  SampleMaker maker(spec, code, simd_level());
  std::vector<uint8_t> sample(spec.layout.bytes());
  WorkerCounters counters;
  const auto make_all = [&] {
    for (const std::vector<uint8_t>& content : contents) {
      MemorySource source(content);
      check(maker.make(source, transform, sample.data(), counters).ok());
    }
  };
  make_all();
  make_all();
  return count_allocations([&] {
    for (int i = 0; i < repeats; ++i) make_all();
  });
}

std::vector<std::vector<uint8_t>> jpegs_of_every_kind() {
  std::vector<std::vector<uint8_t>> contents;
  uint32_t seed = 0;
  for (JpegColor color : {JpegColor::kYcc, JpegColor::kRgb, JpegColor::kGray, JpegColor::kCmyk}) {
    for (const bool progressive : {false, true}) {
      for (const int sampling : {1, 2}) {
        ++seed;
        contents.push_back(make_jpeg({.size = {50 + 10 * static_cast<int>(seed % 3), 64},
                                      .color = color,
                                      .luma_h = color == JpegColor::kYcc ? sampling : 1,
                                      .luma_v = color == JpegColor::kYcc ? sampling : 1,
                                      .progressive = progressive,
                                      .seed = seed}));
      }
    }
  }
  return contents;
}

void a_warm_maker_hardly_allocates() {
  const std::vector<std::vector<uint8_t>> contents = jpegs_of_every_kind();
  const double none = std::numeric_limits<double>::quiet_NaN();
  // A rotation with a channel shift, both flips and brightness.
  const double transform[SampleTransform::kColumns] = {1, 0.8, 0.6, -0.6, 0.8, 2, 9, 20, 1, 1, 1.2};
  const double flip[SampleTransform::kColumns] = {0, 1, 0, 0, 1, 0, 0, none, 1, 0, none};
  for (Filter filter : {Filter::kNearest, Filter::kBilinear, Filter::kLanczos}) {
    for (const int channels : {1, 3, 4}) {
      for (const double* row : {static_cast<const double*>(nullptr), flip, transform}) {
        SampleSpec spec = small_spec();
        spec.filter = filter;
        spec.layout.channels = channels;
        const long images = 10 * static_cast<long>(contents.size());
        const long bound = filter == Filter::kNearest ? kPerNearestImage : kPerFilteredImage;
        // Not equal: the bound is to be changed, best downwards.
        check_equal(count_in_maker(spec, contents, row, 10), bound * images, "allocations");
      }
    }
  }
}

// What one image more in a batch costs, all threads together: batches of two sizes tell it from
// what a batch costs.
void a_warm_pool_allocates_by_the_batch() {
  ImageFolder folder(small_spec());
  for (const int threads : {1, 2}) {
    // A machine that is busy looks like a slow disk, and windows for reading ahead are allocated.
    const auto pool = folder.pool(threads, 2, folder.code(), nullptr, false);
    const auto allocations_of = [&](int batch_size) {
      std::vector<int64_t> batch;
      for (int i = 0; i < batch_size; ++i) batch.push_back(i % 12);  // the JPEGs
      const auto run = [&](int batches) {
        for (int i = 0; i < batches; ++i) check(wait_for(*pool, submit(*pool, batch)).status.ok());
      };
      run(10);
      return count_allocations([&] { run(10); });
    };
    (void)allocations_of(120);  // every worker has met every image, and the ring its largest slot
    const long small = allocations_of(12), large = allocations_of(120);
    const double per_image = static_cast<double>(large - small) / (10.0 * 108.0);
    const double per_batch = static_cast<double>(small) / 10.0 - 12.0 * per_image;
    const char* verbose = std::getenv("VERBOSE");
    if (verbose != nullptr && *verbose != '\0') {
      std::fprintf(stderr, "      %d threads: %.2f allocations an image, %.1f a batch\n", threads,
                   per_image, per_batch);
    }
    check(per_image <= kPerFilteredImage + 0.05, std::to_string(per_image) + " an image");
    check(per_batch <= 16, std::to_string(per_batch) + " a batch");
    pool->close();
  }
}

// A folder of many sizes: plans come from the cache as long as they fit there.
void many_sizes_share_their_plans() {
  std::vector<std::vector<uint8_t>> contents;
  for (int i = 0; i < 40; ++i) contents.push_back(make_jpeg({.size = {100 + i, 180 - i}}));
  SampleSpec spec = small_spec();
  spec.layout.size = {64, 64};
  check_equal(count_in_maker(spec, contents, nullptr, 3), 3 * 40 * kPerFilteredImage);
}

void unusual_images_leave_no_memory_behind() {
  // One very wide image, then small ones: the scratch that it needed is given back.
  const std::vector<uint8_t> wide = make_jpeg({.size = {60000, 40}, .luma_h = 2, .luma_v = 2});
  const std::vector<uint8_t> small = make_jpeg({.size = {30, 30}});
  const SampleSpec spec = small_spec();
  FakeCode code(spec.layout.values());
  SampleMaker maker(spec, code, simd_level());
  std::vector<uint8_t> sample(spec.layout.bytes()), expected(spec.layout.bytes());
  WorkerCounters counters;
  MemorySource first(small);
  check(maker.make(first, nullptr, expected.data(), counters).ok());
  MemorySource large(wide);
  check(maker.make(large, nullptr, sample.data(), counters).ok());
  // Were it kept, the next image would find it and take nothing.
  MemorySource again(small);
  const long count =
      count_allocations([&] { check(maker.make(again, nullptr, sample.data(), counters).ok()); });
  check(count > kPerFilteredImage, "the scratch of a wide image was kept");
  check(sample == expected, "the small image after the wide one");
}

void running_out_of_memory_fails_one_sample() {
  ImageFolder folder(small_spec());
  is_exempt = true;
  for (long n = 1; n < 60; ++n) {
    const auto pool = folder.pool(1, 1);
    // The worker's first allocations are its scratch, which has a test below.
    check(wait_for(*pool, submit(*pool, {12})).status.ok());
    const std::vector<int64_t> batch = {0, 3, 7, 12, 1};
    Fetched fetched;
    allocations.fail_at = n;
    const long count = count_allocations([&] { fetched = wait_for(*pool, submit(*pool, batch)); });
    allocations.fail_at = 0;
    const bool failed = count >= n;
    if (failed) {
      check(fetched.status.code() == StatusCode::kOutOfMemory, "allocation " + std::to_string(n));
      check(fetched.failed_index >= 0 && !fetched.status.reason().empty());
    } else {
      check(fetched.status.ok() && folder.is_batch(batch, fetched.slot.data()));
    }
    const Fetched next = wait_for(*pool, submit(*pool, batch));
    check(next.status.ok() && folder.is_batch(batch, next.slot.data()), "the next batch");
    pool->close();
  }
  is_exempt = false;
}

void a_batch_too_large_for_memory_fails() {
  SampleSpec spec = small_spec();
  TemporaryFolder folder;
  PoolConfig config;
  config.paths.add(folder.write("image", make_jpeg({.size = {8, 8}})));
  config.spec.layout = {.size = {1000, 1 << 30}, .channels = 3, .item_size = 16};
  config.num_threads = 2;
  const auto pool =
      std::make_shared<Pool>(std::move(config), std::make_shared<FakeCode>(spec.layout.values()));
  const Fetched fetched = wait_for(*pool, submit(*pool, {0, 0, 0, 0, 0, 0, 0, 0}));
  check(fetched.status.code() == StatusCode::kOutOfMemory && fetched.failed_index == -1);
  check(!fetched.slot && !fetched.status.reason().empty());
  pool->close();
}

// In a process of its own, since that one ends.
void workers_survive_that_their_scratch_does_not_fit() {
  ImageFolder folder(small_spec(), true);
  const pid_t child = ::fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    const auto pool = folder.pool(1, 1);
    // The float image for `finish` is the largest.
    allocations.fail_above = small_spec().layout.values() * sizeof(float) - 1;
    Fetched fetched;
    uint64_t ticket = 0;
    try {
      ticket = submit(*pool, {0});
    } catch (const std::bad_alloc&) {
      ::_exit(0);
    }
    (void)pool->fetch(ticket, std::chrono::milliseconds(10000), fetched);
    ::_exit(fetched.status.code() == StatusCode::kOutOfMemory ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a failure, not the end of the process");
}

void single_images_load_like_samples() {
  ImageFolder folder(small_spec());
  FakeCode code(3 * 24 * 20);
  const std::vector<uint8_t> content = make_jpeg({.size = {33, 21}, .luma_h = 2});
  std::vector<uint8_t> pixels;
  Size size;
  const auto allocate = [&](Size needed) {
    size = needed;
    pixels.assign(static_cast<size_t>(needed.width * needed.height * 3), 0);
    return pixels.data();
  };
  const ImageRequest sample = {.color_mode = ColorMode::kRgb,
                               .target = small_spec().layout.size,
                               .filter = small_spec().filter,
                               .keep_aspect_ratio = false};
  bool stored = true;
  MemorySource jpeg(content);
  check(load_image(jpeg, {}, code, allocate, stored).ok());
  check(!stored && size == Size{33, 21}, "its own size");
  check(load_image(jpeg, sample, code, allocate, stored).ok());
  check(size == Size{24, 20} && folder.is_sample(folder.add(content), pixels.data()));
  const std::vector<uint8_t> other = make_other(7, 9, 3, 5);
  MemorySource pixmap(other);
  check(load_image(pixmap, sample, code, allocate, stored).ok());
  check(folder.is_sample(folder.add(other), pixels.data()));
  check(load_image(pixmap, {}, code, allocate, stored).ok() && size == Size{7, 9});
  check(std::equal(pixels.begin(), pixels.end(), other.begin() + 6));
}

void single_images_that_are_none_fail() {
  FakeCode code(0);
  bool stored = false;
  const auto allocate = [](Size) -> uint8_t* {
    check(false, "memory for an image that is none");
    return nullptr;
  };
  for (const std::string text : {"", "text", "\xFF\xD8\xFF"}) {
    const std::vector<uint8_t> content(text.begin(), text.end());
    MemorySource source(content);
    const Status status = load_image(source, {}, code, allocate, stored);
    check(status.code() == StatusCode::kBadImage && !status.reason().empty());
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"single images load like samples of a batch", single_images_load_like_samples},
          {"single images that are none fail before memory is asked for",
           single_images_that_are_none_fail},
          {"a warm maker allocates no more per image than is known", a_warm_maker_hardly_allocates},
          {"a warm pool allocates by the batch, not by the image",
           a_warm_pool_allocates_by_the_batch},
          {"images of many sizes share their plans", many_sizes_share_their_plans},
          {"an unusually wide image leaves no memory behind",
           unusual_images_leave_no_memory_behind},
          {"running out of memory fails one batch and spares the next",
           running_out_of_memory_fails_one_sample},
          {"a batch too large for memory fails", a_batch_too_large_for_memory_fails},
          {"a worker whose scratch does not fit in memory fails its batch, not the process",
           workers_survive_that_their_scratch_does_not_fit},
      });
}
