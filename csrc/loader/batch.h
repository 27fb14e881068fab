// One batch on its way through the pool.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "augment/transform.h"
#include "base/status.h"
#include "ring/ring.h"

namespace pyloader {

// A position whose own image cannot be loaded.
struct BadImage {
  int position = 0;
  int64_t substitute = -1;  // the sample that took its place; -1: none, the position is empty
  std::string reason;
};

struct Batch {
  // `sample_transforms`: a row of SampleTransform::kColumns numbers per sample, or nothing.
  // `sample_substitutes`: a row of indices per sample, all as long, or nothing.
  Batch(std::vector<int64_t> sample_indices, std::vector<double> sample_transforms,
        std::vector<int64_t> sample_substitutes)
      : indices(std::move(sample_indices)),
        transforms(std::move(sample_transforms)),
        substitutes(std::move(sample_substitutes)),
        remaining(size()) {}

  int size() const { return static_cast<int>(indices.size()); }

  // The transform of one position, or null.
  const double* transform(size_t position) const {
    return transforms.empty() ? nullptr : transforms.data() + position * SampleTransform::kColumns;
  }

  // The samples to try in place of one position's, in this order.
  std::span<const int64_t> substitutes_of(size_t position) const {
    const size_t each = substitutes.size() / indices.size();
    return std::span(substitutes).subspan(position * each, each);
  }

  const std::vector<int64_t> indices;  // into the data set, in the order of the batch
  const std::vector<double> transforms;
  const std::vector<int64_t> substitutes;
  uint64_t files = 0;  // how its files were announced to ReadAhead
  SlotHandle slot;     // taken under the pool's lock before the first claim

  // The next position that nobody works on. Claims go up, so when one fails all lower ones are
  // claimed already: the lowest failure is the same for any number of threads.
  std::atomic<int> next{0};
  std::atomic<int> remaining;  // positions not finished; who takes it to 0 completes the batch
  std::atomic<int> first_failure{std::numeric_limits<int>::max()};  // positions above are skipped

  // Guarded by the pool's lock.
  bool complete = false;
  bool cancelled = false;
  bool no_memory = false;  // the system had none for a slot when a worker asked last
  Status failure;          // of position first_failure
  std::vector<BadImage> bad_images;
};

}  // namespace pyloader
