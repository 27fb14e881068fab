#include "jpeg/huffman.h"

#include <algorithm>

namespace pyloader {

bool SymbolTable::build(const HuffmanCode& code) {
  symbols_ = code.symbols;
  uint32_t next = 0;
  int place = 0;
  for (int length = 1; length <= 16; ++length) {
    const auto n = static_cast<size_t>(length);
    offsets_[n] = place - static_cast<int>(next);
    next += code.lengths[n];
    place += code.lengths[n];
    // No code is all ones, and no length has more codes than fit. libjpeg looks at lengths that
    // are in use only, and so do we: a gap may not hide behind an overfull shorter length.
    if (code.lengths[n] != 0 && next >= (uint32_t{1} << length)) return false;
    if (place > 256) return false;
    ends_[n] = code.lengths[n] != 0 ? next << (16 - length) : 0;
    next <<= 1;
  }
  return true;
}

bool DcTable::build(const HuffmanCode& from) {
  code = from;
  if (!symbols.build(from)) return false;
  int count = 0;
  for (const uint8_t codes : from.lengths) count += codes;
  for (int i = 0; i < count; ++i) {
    if (from.symbols[static_cast<size_t>(i)] > 15) return false;
  }
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const SymbolTable::Symbol symbol = symbols.find(i << (16 - kDcIndexBits));
    const int length = symbol.length + symbol.value;
    const bool fits = symbol.length != 0 && symbol.value <= kMaxDcSize && length <= kDcIndexBits;
    const int difference =
        fits ? value_of(uint64_t{i} << (64 - kDcIndexBits) << symbol.length, symbol.value) : 0;
    entries[i] = fits ? difference * 65536 + length : 0;
  }
  return true;
}

namespace {

struct Step {
  bool known = false;  // a valid code whose value bits are here too
  bool end = false;
  unsigned run = 0;
  unsigned length = 0;
  int value = 0;
};

Step step_of(SymbolTable::Symbol symbol, uint64_t bits, unsigned available) {
  const unsigned size = symbol.value & 15u, run = symbol.value >> 4;
  const unsigned length = symbol.length + size;
  if (symbol.length == 0 || length > available) return {};
  if (size > kMaxAcSize || (size == 0 && run != 0 && run != 15)) return {};
  return {.known = true,
          .end = symbol.value == 0,
          .run = run,
          .length = length,
          .value = value_of(bits << symbol.length, static_cast<int>(size))};
}

uint64_t pack(unsigned length, unsigned run, unsigned move, unsigned first_length, int first,
              int second) {
  return uint64_t{length} | uint64_t{run} << 8 | uint64_t{move} << 16 |
         uint64_t{first_length} << 24 | uint64_t{static_cast<uint16_t>(first)} << 32 |
         uint64_t{static_cast<uint16_t>(second)} << 48;
}

}  // namespace

bool AcTable::build(const HuffmanCode& from) {
  code = from;
  if (!symbols.build(from)) return false;
  // The code at each index, found once; patterns are in the order of their codes.
  std::array<SymbolTable::Symbol, size_t{1} << kAcIndexBits> first_symbols;
  for (size_t i = 0; i < first_symbols.size();) {
    const auto bits = static_cast<uint32_t>(i << (16 - kAcIndexBits));
    const SymbolTable::Symbol symbol = symbols.find(bits);
    const bool is_short = symbol.length != 0 && symbol.length <= kAcIndexBits;
    const size_t same = is_short ? size_t{1} << (kAcIndexBits - symbol.length) : 1;
    std::fill_n(first_symbols.begin() + static_cast<ptrdiff_t>(i), same, symbol);
    i += same;
  }
  constexpr uint32_t kMask = (1 << kAcIndexBits) - 1;
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const uint64_t bits = uint64_t{i} << (64 - kAcIndexBits);
    const SymbolTable::Symbol symbol = first_symbols[i];
    const Step first = step_of(symbol, bits, kAcIndexBits);
    if (!first.known) {
      // The slow way gets the symbol when its code is here. Both values go to the sink.
      const int known_length = symbol.length <= kAcIndexBits ? symbol.length : 0;
      entries[i] = pack(0, kSlow, kSlow, 0, symbol.value, known_length);
      continue;
    }
    if (first.end) {
      entries[i] = pack(first.length, 0, kEndOfBlock, first.length, 0, 0);
      continue;
    }
    const uint64_t rest = bits << first.length;
    const Step second =
        step_of(first_symbols[i << first.length & kMask], rest, kAcIndexBits - first.length);
    const unsigned move = first.run + 1;
    if (!second.known) {
      entries[i] = pack(first.length, first.run, move, first.length, first.value, first.value);
    } else {
      entries[i] = pack(first.length + second.length, first.run,
                        move + (second.end ? kEndOfBlock : second.run + 1), first.length,
                        first.value, second.value);
    }
  }
  return true;
}

}  // namespace pyloader
