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

namespace {

constexpr size_t kEntries = size_t{1} << kIndexBits;

// A code with its value bits.
struct Step {
  SymbolTable::Symbol symbol;  // length 0: longer than the index
  uint8_t run = 0;
  uint8_t size = 0;
  uint8_t length = 0;  // with the value's bits; 0: not a code that files of 8 bits have
  bool ends = false;
};
using Steps = std::array<Step, kEntries>;

Step step_of(SymbolTable::Symbol symbol, bool is_dc) {
  const unsigned size = is_dc ? symbol.value : symbol.value & 15u;
  const unsigned run = is_dc ? 0 : symbol.value >> 4u;
  Step step{.symbol = symbol};
  if (is_dc ? size > kMaxDcSize : size > kMaxAcSize) return step;
  if (!is_dc && size == 0 && run != 0 && run != 15) return step;
  step.run = static_cast<uint8_t>(run);
  step.size = static_cast<uint8_t>(size);
  step.length = static_cast<uint8_t>(symbol.length + size);
  step.ends = !is_dc && symbol.value == 0;
  return step;
}

// The code that each index begins with.
void find_steps(const SymbolTable& symbols, bool is_dc, Steps& steps) {
  for (size_t i = 0; i < kEntries;) {
    const SymbolTable::Symbol symbol = symbols.find(static_cast<uint32_t>(i << (16 - kIndexBits)));
    const bool is_short = symbol.length != 0 && symbol.length <= kIndexBits;
    // Patterns are in the order of their codes.
    const size_t same = is_short ? size_t{1} << (kIndexBits - symbol.length) : 1;
    std::fill_n(steps.begin() + static_cast<ptrdiff_t>(i), same,
                is_short ? step_of(symbol, is_dc) : Step{});
    i += same;
  }
}

// The value whose bits follow the code at an index.
int value_at(size_t index, const Step& step) {
  if (step.size == 0) return 0;
  const int bits = static_cast<int>(index >> (kIndexBits - step.length)) & ((1 << step.size) - 1);
  return bits >> (step.size - 1) != 0 ? bits : bits + 1 - (1 << step.size);
}

HuffmanEntry entry_of(const Step& first, const Steps& following, size_t index) {
  if (first.length == 0 || first.length > kMostBits) return HuffmanEntry::unknown(first.symbol);
  if (first.ends) return HuffmanEntry({.length = first.length, .ends = true});
  HuffmanEntry::Fields fields{.length = first.length,
                              .first_place = first.run,
                              .second_place = first.run,
                              .move = first.run + 1u};
  if (first.length > kIndexBits) {
    if (first.symbol.length == kIndexBits) return HuffmanEntry::unknown(first.symbol);
    // The sign is at hand, the other bits are not.
    const bool positive = (index >> (kIndexBits - 1 - first.symbol.length) & 1) != 0;
    fields.first = positive ? 0 : 1 - (1 << first.size);
    fields.extra = first.size;
    return HuffmanEntry(fields);
  }
  fields.first = value_at(index, first);
  const size_t rest = index << first.length & (kEntries - 1);
  const Step& second = following[rest];
  if (second.length == 0 || first.length + second.length > kIndexBits ||
      second.size > HuffmanEntry::kMostSecondSize) {
    return HuffmanEntry(fields);
  }
  fields.length += second.length;
  fields.ends = second.ends;
  if (!second.ends) {
    fields.second_place = fields.move + second.run;
    fields.move = fields.second_place + 1;
    fields.second = value_at(rest, second);
  }
  return HuffmanEntry(fields);
}

}  // namespace

bool HuffmanTables::build(const Codes& from) {
  codes = from;
  if (!dc_symbols.build(from.dc) || !ac_symbols.build(from.ac)) return false;
  int count = 0;
  for (const uint8_t n : from.dc.lengths) count += n;
  for (int i = 0; i < count; ++i) {
    if (from.dc.symbols[static_cast<size_t>(i)] > 15) return false;
  }
  Steps dc_steps, ac_steps;
  find_steps(dc_symbols, true, dc_steps);
  find_steps(ac_symbols, false, ac_steps);
  for (size_t i = 0; i < kEntries; ++i) {
    dc[i] = entry_of(dc_steps[i], ac_steps, i);
    ac[i] = entry_of(ac_steps[i], ac_steps, i);
  }
  return true;
}

const HuffmanTables* HuffmanTableCache::get(const HuffmanTables::Codes& codes) {
  ++now_;
  Place* oldest = &places_[0];
  for (Place& place : places_) {
    if (place.tables && place.used != 0 && place.tables->codes == codes) {
      place.used = now_;
      return place.tables.get();
    }
    if (place.used < oldest->used) oldest = &place;
  }
  if (!oldest->tables) oldest->tables.reset(new HuffmanTables);
  oldest->used = 0;
  if (!oldest->tables->build(codes)) return nullptr;
  oldest->used = now_;
  return oldest->tables.get();
}

}  // namespace pyloader
