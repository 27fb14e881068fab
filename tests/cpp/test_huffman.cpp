// Huffman tables: what entries say of several codes, against the codes read one at a time.
#include <algorithm>
#include <iterator>
#include <random>
#include <vector>

#include "check.h"
#include "inputs.h"
#include "jpeg/huffman.h"
#include "jpeg_files.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

void codes_that_libjpeg_refuses_are_refused() {
  HuffmanTables tables;
  HuffmanTables::Codes codes;
  check(tables.build(codes), "no codes at all are fine");
  codes.ac.lengths[1] = 2;  // 0 and 1: all ones
  check(!tables.build(codes));
  codes.ac.lengths[1] = 1;
  codes.ac.lengths[2] = 1;
  check(tables.build(codes));
  codes.ac.symbols[0] = 16;
  check(tables.build(codes), "what AC codes mean is seen when they come");
  codes.dc = codes.ac;
  check(!tables.build(codes), "a difference has 15 bits at the most");
}

// Reads the codes at the top of `bits` one at a time, as the standard says, and compares.
void entry_tells(const HuffmanTables& tables, bool is_dc, uint64_t bits) {
  const size_t index = bits >> (64 - kIndexBits);
  const HuffmanEntry entry = is_dc ? tables.dc[index] : tables.ac[index];
  if (entry.is_unknown()) {
    check(entry.length() == 0, "an unknown code consumes nothing");
    return;
  }
  int values[64] = {}, told[64] = {};
  size_t place = 0;
  unsigned length = 0;
  bool ends = false;
  for (int n = 0; n < 2 && length < entry.length(); ++n) {
    const bool dc = is_dc && n == 0;
    const auto next = static_cast<uint32_t>(bits << length >> 48);
    const auto symbol = dc ? tables.dc_symbols.find(next) : tables.ac_symbols.find(next);
    check(symbol.length != 0, "there is no such code");
    const int size = dc ? symbol.value : symbol.value & 15;
    place += dc ? 0 : symbol.value >> 4;
    ends = !dc && symbol.value == 0;
    if (!ends) values[place++] = value_of(bits << length << symbol.length, size);
    length += symbol.length + static_cast<unsigned>(size);
  }
  const uint64_t last = length == 0 ? 0 : bits >> (64 - length);
  told[entry.second_place()] = entry.second();
  told[entry.first_place()] =
      entry.first() + static_cast<int>(last & ((uint64_t{1} << entry.extra()) - 1));
  check_equal(entry.length(), length, "bits");
  check_equal(entry.move(), place, "move");
  check((entry.end_flag() != 0) == ends, "end of block");
  check(std::equal(std::begin(values), std::end(values), told), "values");
}

HuffmanCode random_code(std::vector<uint8_t> symbols, Random& random) {
  HuffmanCode code;
  std::shuffle(symbols.begin(), symbols.end(), std::minstd_rand(random.next()));
  std::copy(symbols.begin(), symbols.end(), code.symbols.begin());
  auto left = static_cast<uint32_t>(symbols.size());
  uint32_t open = 1;  // patterns that are free, one of which stays so
  for (size_t length = 1; length <= 16 && left > 0; ++length) {
    open *= 2;
    // What is left must fit behind this length.
    const uint32_t room = length < 16 ? open - 1 - (left >> (16 - length)) : open - 1;
    const uint32_t most = open - 1 > left >> (16 - length) ? std::min({left, room, 255u}) : 0;
    const auto n =
        length == 16
            ? left
            : static_cast<uint32_t>(random.below(static_cast<int>(std::min(most, 3u) + 1)));
    code.lengths[length] = static_cast<uint8_t>(n);
    left -= n;
    open -= n;
  }
  return code;
}

void entries_tell_what_their_codes_say() {
  Random random(47);
  int built = 0;
  for (int round = 0; round < 3000; ++round) {
    HuffmanTables tables;
    const HuffmanTables::Codes codes = {.dc = random_code(dc_symbols(), random),
                                        .ac = random_code(ac_symbols(), random)};
    if (!tables.build(codes)) continue;
    ++built;
    for (uint64_t index = 0; index < uint64_t{1} << kIndexBits; ++index) {
      const uint64_t rest = uint64_t{random.next()} << 32 | random.next();
      const uint64_t bits = index << (64 - kIndexBits) | rest >> kIndexBits;
      entry_tells(tables, true, bits);
      entry_tells(tables, false, bits);
    }
  }
  check(built > 1500, "most codes must be valid");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"codes that libjpeg refuses are refused", codes_that_libjpeg_refuses_are_refused},
          {"entries tell what their codes say", entries_tell_what_their_codes_say},
      });
}
