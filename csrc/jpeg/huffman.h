// Huffman tables that decode more than a code per look-up. Private to jpeg/.
//
// The next kIndexBits bits of a scan name an entry; where they hold a whole code and its value bits,
// the entry has the value ready, and for AC codes the following code's too, if that fits as well.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

namespace pyloader {

// What a DHT marker holds: how many codes there are of each length, and their symbols.
struct HuffmanCode {
  std::array<uint8_t, 17> lengths{};
  std::array<uint8_t, 256> symbols{};
  friend bool operator==(const HuffmanCode&, const HuffmanCode&) = default;
};

// Codes of any length, one at a time.
class SymbolTable {
 public:
  struct Symbol {
    uint8_t value = 0;
    uint8_t length = 0;  // 0: no such code
  };

  // False for a code that libjpeg refuses.
  bool build(const HuffmanCode& code);

  // The code at the top of `bits`, which has 16 bits, the shortest length to try first.
  Symbol find(uint32_t bits, int shortest = 1) const {
    for (int length = shortest; length <= 16; ++length) {
      const auto n = static_cast<size_t>(length);
      if (bits < ends_[n]) {
        const auto at = static_cast<size_t>(static_cast<int>(bits >> (16 - length)) + offsets_[n]);
        return {symbols_[at & 255], static_cast<uint8_t>(length)};
      }
    }
    return {};
  }

 private:
  std::array<uint32_t, 17> ends_{};  // first 16-bit pattern above the codes of this length
  std::array<int, 17> offsets_{};    // from a code to its symbol's place
  std::array<uint8_t, 256> symbols_{};
};

// The value of `size` bits at the top of 64, as JPEG writes it: a leading 0 means negative.
inline int value_of(uint64_t bits, int size) {
  const int value = static_cast<int>(bits >> 1 >> (63 - size));
  const int negative = static_cast<int>(static_cast<int64_t>(~bits) >> 63);  // all ones or zero
  return value + (negative & (1 - (1 << size)));
}

inline constexpr int kDcIndexBits = 9;
inline constexpr int kAcIndexBits = 10;
inline constexpr int kMaxDcSize = 11, kMaxAcSize = 10;  // what 8-bit samples can need

struct DcTable {
  HuffmanCode code;
  SymbolTable symbols;
  // Bits consumed (0: take the slow way), then from bit 16 the difference.
  std::array<int32_t, size_t{1} << kDcIndexBits> entries;

  bool build(const HuffmanCode& from);
};

// Bytes of an AC entry, from the lowest: bits consumed; zeros before the first value; how far the
// position moves; bits of the first code alone; then two 16-bit values. The second value's place is
// just before the new position. With one code only, both values are the first.
struct AcTable {
  static constexpr unsigned kEndOfBlock = 128;  // added to the move
  static constexpr unsigned kSlow = 192;        // the move of entries that consume nothing

  HuffmanCode code;
  SymbolTable symbols;
  std::array<uint64_t, size_t{1} << kAcIndexBits> entries;

  bool build(const HuffmanCode& from);
};

// The tables of the last few files, by content: most files share theirs. One thread.
template <class Table, size_t kCount>
class TableCache {
 public:
  // Null for a code that libjpeg refuses. Stays until kCount - 1 others were asked for.
  const Table* get(const HuffmanCode& code) {
    ++now_;
    Place* oldest = &places_[0];
    for (Place& place : places_) {
      if (place.table && place.used != 0 && place.table->code == code) {
        place.used = now_;
        return place.table.get();
      }
      if (place.used < oldest->used) oldest = &place;
    }
    if (!oldest->table) oldest->table.reset(new Table);
    oldest->used = 0;
    if (!oldest->table->build(code)) return nullptr;
    oldest->used = now_;
    return oldest->table.get();
  }

 private:
  struct Place {
    std::unique_ptr<Table> table;
    uint64_t used = 0;  // 0: nothing in it
  };
  std::array<Place, kCount> places_;
  uint64_t now_ = 0;
};

}  // namespace pyloader
