// Damages JPEG files where it matters: in the segments of the header and at the start of the scan,
// by bits, bytes, markers and pieces. Half of all changes; the others are the fuzzer's own.
#include <algorithm>
#include <utility>
#include <vector>

#include "fuzz.h"
#include "inputs.h"

using namespace pyloader::testing;

namespace {

// Where a segment of the header has its content, or the scan; at random. `end` is that of the file.
size_t place_in(const std::vector<uint8_t>& input, size_t end, Random& random) {
  std::vector<std::pair<size_t, size_t>> segments;
  size_t at = 2;
  while (at + 4 <= end && input[at] == 0xFF) {
    const size_t length = 2u + input[at + 2] * 256u + input[at + 3];
    segments.emplace_back(at, length);
    at += length;
    if (input[at - length + 1] == 0xDA) break;
  }
  const int choice = random.below(3);
  if (choice == 0 || segments.empty()) return random.next() % end;
  if (choice == 1) return std::min(at + random.next() % 4096, end - 1 - random.next() % 8);
  const auto& [start, length] = segments[random.next() % segments.size()];
  return std::min(start + random.next() % length, end - 1);
}

void damage(std::vector<uint8_t>& input, size_t end, Random& random) {
  const size_t at = place_in(input, end, random) % end;
  const auto place = input.begin() + static_cast<ptrdiff_t>(at);
  const auto left = static_cast<int>(std::min<size_t>(end - at, 40));
  switch (random.below(9)) {
    case 0: *place = 0xFF; break;
    case 1: *place ^= static_cast<uint8_t>(1 << random.below(8)); break;
    case 2: *place = static_cast<uint8_t>(random.next()); break;
    case 3: *place = static_cast<uint8_t>(*place + random.between(-1, 1)); break;
    case 4: input.erase(place, place + random.below(left)); break;
    case 5: {
      const uint8_t marker[] = {0xFF, static_cast<uint8_t>(0xD0 + random.below(12))};
      input.insert(place, marker, marker + 2);
      break;
    }
    case 6: input.insert(place, static_cast<uint8_t>(random.next())); break;
    case 7: {
      const std::vector<uint8_t> piece(place, place + random.below(left));
      const auto where = static_cast<ptrdiff_t>(random.next() % end);
      input.insert(input.begin() + where, piece.begin(), piece.end());
      break;
    }
    default: {
      input.erase(place, input.begin() + static_cast<ptrdiff_t>(end));
      const uint8_t end_of_image[] = {0xFF, 0xD9};
      if (random.below(2) == 0) {
        input.insert(input.begin() + static_cast<ptrdiff_t>(at), end_of_image, end_of_image + 2);
      }
    }
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  Random random(seed);
  if (size < kChoiceBytes + 16 || random.below(2) == 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  std::vector<uint8_t> input(data, data + size);
  if (random.below(3) == 0) {
    input[size - 1 - random.next() % kChoiceBytes] = static_cast<uint8_t>(random.next());
  } else {
    damage(input, size - kChoiceBytes, random);
  }
  size = std::min(input.size(), max_size);
  std::copy_n(input.begin(), size, data);
  return size;
}
