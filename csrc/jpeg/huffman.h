// Huffman tables that decode more than a code per look-up. Private to jpeg/.
//
// The next kIndexBits bits of a scan name an entry. Where they hold a whole code and its value
// bits, the entry has the value ready, and the following code's too, if that fits as well. Where
// they hold the code and the value's sign only, the entry says what to add to the value's bits.
#pragma once

#include <array>
#include <cstdint>
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

inline constexpr int kIndexBits = 10;
inline constexpr unsigned kMostBits = 18;               // of a look-up
inline constexpr int kMaxDcSize = 11, kMaxAcSize = 10;  // what 8-bit samples can need

// What one look-up tells: up to two values of a block, where they go, and whether the block ends.
class HuffmanEntry {
 public:
  static constexpr unsigned kUnknown = 64;  // a move behind every block
  static constexpr unsigned kEndFlag = 128;
  static constexpr unsigned kMostSecondSize = 7;  // bits of a second value

  struct Fields {
    unsigned length = 0;       // bits consumed
    bool ends = false;         // the last code was that of a block's end
    unsigned first_place = 0;  // zig-zag places, from the present one
    unsigned second_place = 0;
    unsigned move = 0;  // to the next place
    int first = 0;
    int second = 0;      // 8 bits
    unsigned extra = 0;  // how many of the bits consumed last are to be added to `first`
  };

  HuffmanEntry() = default;
  explicit HuffmanEntry(const Fields& f)
      : packed_(f.length | (f.ends ? kEndFlag : 0) | f.first_place << 8 | f.second_place << 16 |
                f.move << 24 | uint64_t{static_cast<uint16_t>(f.first)} << 32 |
                uint64_t{static_cast<uint8_t>(f.second)} << 48 | uint64_t{f.extra} << 56) {}
  // A code that is longer than the index, or not a valid one. Consumes nothing. The symbol is known
  // where its length is not 0.
  static HuffmanEntry unknown(SymbolTable::Symbol symbol) {
    return HuffmanEntry({.move = kUnknown, .first = symbol.value, .second = symbol.length});
  }

  unsigned length() const { return packed_ & 63; }
  uint64_t end_flag() const { return packed_ & kEndFlag; }  // kEndFlag where the block ends, else 0
  size_t first_place() const { return packed_ >> 8 & 255; }
  size_t second_place() const { return packed_ >> 16 & 255; }
  size_t move() const { return packed_ >> 24 & 255; }
  int first() const { return static_cast<int16_t>(packed_ >> 32); }
  int second() const { return static_cast<int8_t>(packed_ >> 48); }
  unsigned extra() const { return static_cast<unsigned>(packed_ >> 56); }
  bool is_unknown() const { return move() == kUnknown; }
  SymbolTable::Symbol symbol() const {
    return {static_cast<uint8_t>(first()), static_cast<uint8_t>(second())};
  }
  // Its lowest six bits are `length`.
  uint64_t packed() const { return packed_; }

 private:
  uint64_t packed_ = 0;
};

// Both codes of a component.
struct HuffmanTables {
  struct Codes {
    HuffmanCode dc, ac;
    friend bool operator==(const Codes&, const Codes&) = default;
  };
  using Entries = std::array<HuffmanEntry, size_t{1} << kIndexBits>;

  Codes codes;
  Entries dc, ac;  // the code after the first in `dc` is one of AC
  SymbolTable dc_symbols, ac_symbols;

  // False for codes that libjpeg refuses.
  bool build(const Codes& from);
};

// The tables of the last few files, by content: most files share theirs. One thread.
class HuffmanTableCache {
 public:
  // Null for codes that libjpeg refuses. Stays until kCount - 1 others were asked for.
  const HuffmanTables* get(const HuffmanTables::Codes& codes);

 private:
  static constexpr size_t kCount = 6;
  struct Place {
    std::unique_ptr<HuffmanTables> tables;
    uint64_t used = 0;  // 0: nothing in it
  };
  std::array<Place, kCount> places_;
  uint64_t now_ = 0;
};

}  // namespace pyloader
