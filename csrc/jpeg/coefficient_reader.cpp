#include "jpeg/coefficient_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace pyloader {
namespace {

// Natural order of zig-zag places.
constexpr std::array<uint8_t, 64> make_natural_order() {
  std::array<uint8_t, 64> order{};
  int x = 0, y = 0;
  for (size_t k = 0; k < 64; ++k) {
    order[k] = static_cast<uint8_t>(8 * y + x);
    const bool up = (x + y) % 2 == 0;
    if (up) {
      if (x == 7)
        ++y;
      else if (y == 0)
        ++x;
      else
        ++x, --y;
    } else {
      if (y == 7)
        ++x;
      else if (x == 0)
        ++y;
      else
        --x, ++y;
    }
  }
  return order;
}
constexpr std::array<uint8_t, 64> kNaturalOrder = make_natural_order();

// The lowest bits, by their number.
constexpr uint16_t kMasks[] = {0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047};
static_assert(std::size(kMasks) == kMaxDcSize + 1);

HuffmanCode code_of(const JHUFF_TBL& table) {
  HuffmanCode code;
  std::copy_n(table.bits + 1, 16, code.lengths.begin() + 1);
  std::copy_n(table.huffval, 256, code.symbols.begin());
  return code;
}

uint64_t load_big_endian(const uint8_t* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  value = __builtin_bswap64(value);
#endif
  return value;
}

// Note [no branch]: where the block ends, the next table and place are those that `place` has. A
// compiler makes a branch of choices that share a condition.
template <class Place>
[[gnu::always_inline]] inline void choose_next(uint64_t ends, const Place& place,
                                               const HuffmanEntry*& table, size_t& k) {
#if defined(__x86_64__)
  asm("test %2, %2\n\tcmovnz %3, %0\n\tcmovnz %4, %1"
      : "+&r"(table), "+&r"(k)
      : "r"(ends), "m"(place.next_dc), "m"(place.next_k)
      : "cc");
#else
  if (ends != 0) table = place.next_dc, k = place.next_k;
#endif
}

}  // namespace

bool CoefficientReader::begin(const jpeg_decompress_struct& info, ByteSource& source,
                              std::span<const uint8_t> rest) {
  count_ = info.num_components;
  if (info.progressive_mode || info.arith_code || info.data_precision != 8) return false;
  if ((count_ != 1 && count_ != 3) || info.comps_in_scan != count_) return false;
  if (info.Ss != 0 || info.Se != DCTSIZE2 - 1 || info.Ah != 0 || info.Al != 0) return false;
  if (!take_tables(info)) return false;
  // A component alone comes block by block, whatever its sampling factors say.
  const bool alone = count_ == 1;
  mcu_blocks_ = 0;
  for (int c = 0; c < count_; ++c) {
    Component& component = components_[static_cast<size_t>(c)];
    component.h = alone ? 1 : info.comp_info[c].h_samp_factor;
    component.v = alone ? 1 : info.comp_info[c].v_samp_factor;
    mcu_blocks_ += component.h * component.v;
  }
  if (mcu_blocks_ > kMaxBlocks) return false;
  restart_interval_ = static_cast<int>(info.restart_interval);
  until_restart_ = restart_interval_;
  next_restart_ = 0;
  predictions_ = {};
  lay_out();
  bytes_.begin(source, rest);
  bits_ = {};
  return true;
}

bool CoefficientReader::take_tables(const jpeg_decompress_struct& info) {
  for (int c = 0; c < count_; ++c) {
    const jpeg_component_info& part = info.comp_info[c];
    if (info.cur_comp_info[c] != &part) return false;
    const auto known = [](int number, int count) { return number >= 0 && number < count; };
    if (!known(part.dc_tbl_no, NUM_HUFF_TBLS) || !known(part.ac_tbl_no, NUM_HUFF_TBLS) ||
        !known(part.quant_tbl_no, NUM_QUANT_TBLS)) {
      return false;
    }
    const JHUFF_TBL* dc = info.dc_huff_tbl_ptrs[part.dc_tbl_no];
    const JHUFF_TBL* ac = info.ac_huff_tbl_ptrs[part.ac_tbl_no];
    if (dc == nullptr || ac == nullptr) return false;
    if (info.quant_tbl_ptrs[part.quant_tbl_no] == nullptr) return false;
    const HuffmanTables* tables = tables_.get({.dc = code_of(*dc), .ac = code_of(*ac)});
    if (tables == nullptr) return false;
    components_[static_cast<size_t>(c)].tables = tables;
  }
  return true;
}

// Memory for a run of MCUs: rows of blocks, each with an extent per block.
void CoefficientReader::lay_out() {
  constexpr size_t kBlockBytes = kBlock * sizeof(int16_t);
  constexpr size_t kExtentBytes = align_up(kRunMcus * 4);
  uint8_t* memory = coefficients_.require(kMaxBlocks * (kRunMcus * kBlockBytes + kExtentBytes));
  size_t place = 0;
  for (int c = 0; c < count_; ++c) {
    Component& part = components_[static_cast<size_t>(c)];
    for (int y = 0; y < part.v; ++y) {
      part.blocks[y] = reinterpret_cast<int16_t*>(memory);
      part.extents[y] = memory + static_cast<size_t>(kRunMcus * part.h) * kBlockBytes;
      memory = part.extents[y] + kExtentBytes;
    }
  }
  for (int mcu = 0; mcu < kRunMcus; ++mcu) {
    for (int c = 0; c < count_; ++c) {
      const Component& part = components_[static_cast<size_t>(c)];
      for (int y = 0; y < part.v; ++y) {
        for (int x = 0; x < part.h; ++x, ++place) {
          const int column = mcu * part.h + x;
          places_[place] = {.out = part.blocks[y] + kBlock * column,
                            .tables = part.tables,
                            .ac = part.tables->ac.data(),
                            .extent = part.extents[y] + column,
                            .component = c};
        }
      }
    }
  }
  for (size_t i = 0; i < place; ++i) {
    places_[i].next_dc = places_[(i + 1) % place].tables->dc.data();
  }
}

// MCUs of one run, restarts between them.
bool CoefficientReader::read(int mcus) {
  if (bits_.at == nullptr) bits_.at = bytes_.begin_segment();
  for (int c = 0; c < count_; ++c) {
    const Component& part = components_[static_cast<size_t>(c)];
    for (int y = 0; y < part.v; ++y) {
      std::memset(part.blocks[y], 0, static_cast<size_t>(mcus * part.h) * kBlock * 2);
    }
  }
  for (int done = 0; done < mcus;) {
    int end = mcus;
    if (restart_interval_ != 0) {
      if (until_restart_ == 0 && !restart()) return false;
      end = std::min(mcus, done + until_restart_);
      until_restart_ -= end - done;
    }
    Place* const places = places_.data();
    if (!read_blocks(places + done * mcu_blocks_, places + end * mcu_blocks_)) return false;
    done = end;
  }
  return true;
}

// At least 56 bits.
[[gnu::always_inline]] inline CoefficientReader::Bits CoefficientReader::refilled(Bits b) {
  b.count &= 63;
  b.bits |= load_big_endian(b.at) >> b.count;
  b.at += (63 - b.count) >> 3;
  b.count |= 56;
  if (b.at > bytes_.mark()) [[unlikely]]
    b = past_mark(b);
  return b;
}

// One code, whatever its length, with its value. Needs 27 bits.
[[gnu::always_inline]] inline CoefficientReader::Code CoefficientReader::read_code(
    Bits b, const HuffmanTables& tables, bool is_dc, HuffmanEntry entry) {
  SymbolTable::Symbol symbol;
  if (entry.is_unknown()) symbol = entry.symbol();
  if (symbol.length == 0) {
    const auto bits = static_cast<uint32_t>(b.bits >> 48);
    symbol = is_dc ? tables.dc_symbols.find(bits) : tables.ac_symbols.find(bits);
    if (symbol.length == 0) return {};
  }
  const unsigned run = is_dc ? 0 : symbol.value >> 4, size = symbol.value & 15;
  if (is_dc ? symbol.value > kMaxDcSize : size > kMaxAcSize) return {};
  if (!is_dc && size == 0 && run != 0 && run != 15) return {};
  b.bits <<= symbol.length;
  const int value = value_of(b.bits, static_cast<int>(size));
  b.bits <<= size;
  b.count -= symbol.length + size;
  return {.bits = b,
          .run = run,
          .value = static_cast<int16_t>(value),
          .ends = !is_dc && symbol.value == 0};
}

// Note [one chain]: a look-up waits for the one before it, and a branch that is predicted wrongly
// costs as much as two of them. So there is none for a block's end: codes of DC and AC are looked
// up alike, and the next table, block and place are chosen without one. Whatever is rare, the end
// of the run too, shows as a move behind the block.
bool CoefficientReader::read_blocks(Place* place, Place* const end) {
  constexpr int kLookUps = 3;  // for which a refill has bits
  static_assert(kLookUps * kMostBits <= 56);
  Place* const begin = place;
  end[-1].next_k = kBlock;
  Bits b = bits_;
  const HuffmanEntry* table = place->tables->dc.data();
  size_t k = 0;
  for (;;) {
    b = refilled(b);
    if (b.at == nullptr) return false;
    HuffmanEntry entry;
    bool found = true;
#pragma GCC unroll 3
    for (int i = 0; i < kLookUps; ++i) {
      entry = table[b.bits >> (64 - kIndexBits)];
      const size_t next = k + entry.move();
      found = next < kBlock;
      if (!found) [[unlikely]]
        break;
      const uint64_t last_bits = std::rotl(b.bits, static_cast<int>(entry.length()));
      b.bits <<= entry.length();
      b.count -= entry.packed();
      int16_t* const out = place->out;
      // The second place is the first one again where there is no second value.
      out[kNaturalOrder[k + entry.second_place()]] = static_cast<int16_t>(entry.second());
      out[kNaturalOrder[k + entry.first_place()]] =
          static_cast<int16_t>(static_cast<int>(last_bits & kMasks[entry.extra()]) + entry.first());
      place->extent_found = static_cast<uint8_t>(next);
      const uint64_t end_flag = entry.end_flag();
      table = place->ac;
      k = next;
      choose_next(end_flag, *place, table, k);
      place += end_flag / HuffmanEntry::kEndFlag;
    }
    if (found) [[likely]]
      continue;
    if (place == end) break;
    b = refilled(b);
    if (b.at == nullptr) return false;
    const Code code = read_code(b, *place->tables, k == 0, entry);
    b = code.bits;
    if (b.at == nullptr) return false;
    bool ends = code.ends;
    if (!ends) {
      k += code.run;
      if (k >= kBlock) return false;
      place->out[kNaturalOrder[k]] = code.value;
      ends = ++k == kBlock;
    }
    place->extent_found = static_cast<uint8_t>(k);
    table = ends ? place->next_dc : place->ac;
    if (ends) k = 0, ++place;
    if (place == end) break;
  }
  end[-1].next_k = 0;
  b.count &= 63;
  if (b.at > bytes_.mark()) b = past_mark(b);
  if (b.at == nullptr) return false;
  bits_ = b;
  return add_predictions(begin, end);
}

// The first coefficients of a run are differences so far.
bool CoefficientReader::add_predictions(const Place* place, const Place* end) {
  bool in_range = true;
  for (; place != end; ++place) {
    int& prediction = predictions_[static_cast<size_t>(place->component)];
    prediction += place->out[0];
    in_range &= prediction >= -16384 && prediction <= 16383;
    place->out[0] = static_cast<int16_t>(prediction);
    *place->extent = place->extent_found;
  }
  return in_range;
}

// The reader is near the end of the bytes at hand. Refuses when it took bits that the scan does not
// have.
[[gnu::noinline]] CoefficientReader::Bits CoefficientReader::past_mark(Bits b) {
  if (!bytes_.ended()) b.at = bytes_.more(b.at);
  if (!bytes_.ended()) return b;
  return (b.at - bytes_.end()) * 8 <= static_cast<ptrdiff_t>(b.count) ? b : Bits{};
}

// Whether all bytes of the segment are used.
bool CoefficientReader::finish_segment() {
  if (!bytes_.ended()) bits_.at = bytes_.more(bits_.at);
  if (!bytes_.ended()) return false;
  const ptrdiff_t left = (bytes_.end() - bits_.at) * 8 + static_cast<ptrdiff_t>(bits_.count);
  return left >= 0 && left < 8;
}

bool CoefficientReader::restart() {
  if (!finish_segment() || bytes_.marker() != JPEG_RST0 + next_restart_) return false;
  next_restart_ = (next_restart_ + 1) % 8;
  until_restart_ = restart_interval_;
  predictions_ = {};
  bits_ = {.at = bytes_.begin_segment()};
  return true;
}

}  // namespace pyloader
