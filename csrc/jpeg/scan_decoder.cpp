#include "jpeg/scan_decoder.h"

#include <algorithm>
#include <cstring>

namespace pyloader {
namespace {

// Natural order of zig-zag positions. A move past the block's end, or a slow entry's, leads to the
// place behind the block, which nobody reads.
constexpr int kSink = 64;
constexpr std::array<uint8_t, 64 + 256> make_natural_order() {
  std::array<uint8_t, 64 + 256> order{};
  for (uint8_t& place : order) place = kSink;
  int x = 0, y = 0;
  for (size_t k = 0; k < 64; ++k) {
    order[k] = static_cast<uint8_t>(8 * y + x);
    const bool up = (x + y) % 2 == 0;
    if (up) {
      if (x == 7) ++y;
      else if (y == 0) ++x;
      else ++x, --y;
    } else {
      if (y == 7) ++x;
      else if (x == 0) ++y;
      else --x, ++y;
    }
  }
  return order;
}
constexpr std::array<uint8_t, 64 + 256> kNaturalOrder = make_natural_order();

constexpr int divide_up(int value, int by) { return (value + by - 1) / by; }

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

// Sixteen bytes each: a memset of a whole block becomes a slow string instruction.
void clear_block(int16_t* block) {
  using Vector [[gnu::vector_size(16), gnu::may_alias]] = int16_t;
  for (int i = 0; i < 64; i += 8) *reinterpret_cast<Vector*>(block + i) = Vector{};
}

// At least 56 bits.
template <class Bits>
[[gnu::always_inline]] inline Bits refilled(Bits b) {
  b.bits |= load_big_endian(b.at) >> b.count;
  b.at += (63 - b.count) >> 3;
  b.count |= 56;
  return b;
}

template <class Bits>
[[gnu::always_inline]] inline Bits without(Bits b, unsigned length) {
  b.bits <<= length;
  b.count -= length;
  return b;
}

}  // namespace

bool ScanDecoder::begin(const jpeg_decompress_struct& info, ByteSource& source,
                        std::span<const uint8_t> rest) {
  count_ = info.num_components;
  if (info.progressive_mode || info.arith_code || info.data_precision != 8) return false;
  if ((count_ != 1 && count_ != 3) || info.comps_in_scan != count_) return false;
  if (info.Ss != 0 || info.Se != DCTSIZE2 - 1 || info.Ah != 0 || info.Al != 0) return false;
  if (!take_tables(info)) return false;
  const auto width = static_cast<int>(info.image_width);
  const auto height = static_cast<int>(info.image_height);
  // A component alone comes block by block, whatever its sampling factors say.
  const bool alone = count_ == 1;
  const int most_h = alone ? 1 : info.max_h_samp_factor, most_v = alone ? 1 : info.max_v_samp_factor;
  slot_count_ = 0;
  for (int c = 0; c < count_; ++c) {
    Component& component = components_[static_cast<size_t>(c)];
    component.h = alone ? 1 : info.comp_info[c].h_samp_factor;
    component.v = alone ? 1 : info.comp_info[c].v_samp_factor;
    slot_count_ += component.h * component.v;
    component.columns = divide_up(divide_up(width * component.h, most_h), DCTSIZE);
    component.rows = divide_up(divide_up(height * component.v, most_v), DCTSIZE);
  }
  if (slot_count_ > kMaxBlocks) return false;
  mcu_columns_ = divide_up(width, most_h * DCTSIZE);
  mcu_rows_ = divide_up(height, most_v * DCTSIZE);
  rows_per_group_ = alone ? info.max_v_samp_factor : 1;
  next_row_ = 0;
  restart_interval_ = static_cast<int>(info.restart_interval);
  until_restart_ = restart_interval_;
  next_restart_ = 0;
  predictions_ = {};
  lay_out();
  bytes_.begin(source, rest);
  bits_ = {.at = bytes_.begin_segment()};
  return true;
}

bool ScanDecoder::take_tables(const jpeg_decompress_struct& info) {
  for (int c = 0; c < count_; ++c) {
    const jpeg_component_info& part = info.comp_info[c];
    if (info.cur_comp_info[c] != &part) return false;
    const auto number = [](int n, int limit) { return n >= 0 && n < limit; };
    if (!number(part.dc_tbl_no, NUM_HUFF_TBLS) || !number(part.ac_tbl_no, NUM_HUFF_TBLS) ||
        !number(part.quant_tbl_no, NUM_QUANT_TBLS)) {
      return false;
    }
    const JHUFF_TBL* dc = info.dc_huff_tbl_ptrs[part.dc_tbl_no];
    const JHUFF_TBL* ac = info.ac_huff_tbl_ptrs[part.ac_tbl_no];
    const JQUANT_TBL* quantisation = info.quant_tbl_ptrs[part.quant_tbl_no];
    if (dc == nullptr || ac == nullptr || quantisation == nullptr) return false;
    dc_used_[c] = dc_tables_.get(code_of(*dc));
    ac_used_[c] = ac_tables_.get(code_of(*ac));
    if (dc_used_[c] == nullptr || ac_used_[c] == nullptr) return false;
    Dequantiser& dequantiser = components_[static_cast<size_t>(c)].dequantiser;
    for (int i = 0; i < DCTSIZE2; ++i) {
      const int factor = quantisation->quantval[i];
      if (factor > 32767) return false;
      dequantiser.factors[i] = static_cast<int16_t>(factor);
      dequantiser.limits[i] = static_cast<int16_t>(factor == 0 ? 16383 : 16383 / factor);
    }
  }
  return true;
}

// Memory for a run of MCUs: each row of blocks with a block behind it, which is the sink of the
// last, and an extent per block.
void ScanDecoder::lay_out() {
  constexpr size_t kRowBlocks = kRunMcus * 4 + 1;
  constexpr size_t kRowBytes = kRowBlocks * kBlock * sizeof(int16_t);
  constexpr size_t kExtentBytes = align_up(kRowBlocks);
  uint8_t* memory = coefficients_.require(kMaxBlocks * (kRowBytes + kExtentBytes));
  int slot = 0;
  for (int c = 0; c < count_; ++c) {
    Component& part = components_[static_cast<size_t>(c)];
    for (int y = 0; y < part.v; ++y) {
      part.blocks[y] = reinterpret_cast<int16_t*>(memory);
      part.extents[y] = memory + align_up((static_cast<size_t>(kRunMcus * part.h) + 1) * 128);
      memory = part.extents[y] + kExtentBytes;
      for (int x = 0; x < part.h; ++x, ++slot) {
        slots_[static_cast<size_t>(slot)] = {.dc = dc_used_[c],
                                             .ac = ac_used_[c],
                                             .component = c,
                                             .blocks = part.blocks[y] + kBlock * x,
                                             .extents = part.extents[y] + x,
                                             .step = part.h};
      }
    }
  }
}

bool ScanDecoder::decode_group(std::span<const PlaneTarget, 3> targets, bool samples) {
  for (int r = 0; r < rows_per_group_ && next_row_ < mcu_rows_; ++r) {
    if (!decode_row(targets, samples, r)) return false;
    ++next_row_;
  }
  return true;
}

bool ScanDecoder::decode_row(std::span<const PlaneTarget, 3> targets, bool samples,
                             int first_row) {
  for (int mcu = 0; mcu < mcu_columns_; mcu += kRunMcus) {
    const int mcus = std::min(kRunMcus, mcu_columns_ - mcu);
    if (!decode_run(mcus)) return false;
    if (!samples) continue;
    for (int c = 0; c < count_; ++c) {
      const Component& part = components_[static_cast<size_t>(c)];
      const PlaneTarget& target = targets[static_cast<size_t>(c)];
      const ptrdiff_t side = 8 >> target.halvings;
      InverseDct* const inverse_dct = target.halvings == 0
                                          ? kernels_.inverse_dct
                                          : kReducedInverseDcts[target.halvings - 1];
      const int blocks = std::min(mcus * part.h, part.columns - mcu * part.h);
      const int rows = std::min(part.v, part.rows - next_row_ * part.v);
      for (int y = 0; y < rows; ++y) {
        if ((target.wanted_rows >> (first_row + y) & 1) == 0) continue;
        uint8_t* out = target.data + side * (first_row + y) * target.stride + side * mcu * part.h;
        for (int begin = 0, end = 0; begin < blocks; begin = end) {
          end = blocks;
          if (const uint8_t* wanted = target.wanted_columns; wanted != nullptr) {
            wanted += mcu * part.h;
            while (begin < blocks && wanted[begin] == 0) ++begin;
            for (end = begin; end < blocks && wanted[end] != 0;) ++end;
            if (begin == end) break;
          }
          if (!inverse_dct(part.blocks[y] + kBlock * begin, part.extents[y] + begin, end - begin,
                           part.dequantiser, out + side * begin, target.stride)) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

// MCUs of one run, restarts between them.
bool ScanDecoder::decode_run(int mcus) {
  if (restart_interval_ == 0) return decode_mcus(0, mcus);
  for (int done = 0; done < mcus;) {
    if (until_restart_ == 0 && !restart()) return false;
    const int end = std::min(mcus, done + until_restart_);
    if (!decode_mcus(done, end)) return false;
    until_restart_ -= end - done;
    done = end;
  }
  return true;
}

bool ScanDecoder::decode_mcus(int first, int end) {
  Bits bits = bits_;
  for (int mcu = first; mcu < end; ++mcu) {
    for (int s = 0; s < slot_count_; ++s) {
      const Slot& slot = slots_[static_cast<size_t>(s)];
      const int at = mcu * slot.step;
      bits = decode_block(bits, slot, slot.blocks + kBlock * at, slot.extents[at]);
      if (bits.at == nullptr) return false;
    }
    if (bits.at > bytes_.mark()) {
      bits = past_mark(bits);
      if (bits.at == nullptr) return false;
    }
  }
  bits_ = bits;
  return true;
}

// A code that is longer than the index, or whose value bits are. Needs 26 bits.
[[gnu::always_inline]] inline ScanDecoder::SlowCode ScanDecoder::slow_code(Bits b,
                                                                           const AcTable& table,
                                                                           uint64_t entry) {
  SymbolTable::Symbol symbol{static_cast<uint8_t>(entry >> 32), static_cast<uint8_t>(entry >> 48)};
  if (symbol.length == 0) {
    symbol = table.symbols.find(static_cast<uint32_t>(b.bits >> 48), kAcIndexBits + 1);
    if (symbol.length == 0) return {};
  }
  b = without(b, symbol.length);
  const unsigned run = symbol.value >> 4, size = symbol.value & 15;
  if (size > kMaxAcSize || (size == 0 && run != 0 && run != 15)) return {};
  const int value = value_of(b.bits, static_cast<int>(size));
  return {.bits = without(b, size),
          .run = run,
          .value = static_cast<int16_t>(value),
          .ends = symbol.value == 0};
}

// Note [registers]: the state of the bits goes in and out by value. Where a function that is not
// inlined has its address, it lives in memory, and every code waits for a store.
[[gnu::always_inline]] inline ScanDecoder::Bits ScanDecoder::decode_block(Bits b, const Slot& slot,
                                                                          int16_t* out,
                                                                          uint8_t& extent) {
  clear_block(out);
  b = refilled(b);
  const int32_t dc = slot.dc->entries[b.bits >> (64 - kDcIndexBits)];
  int difference = dc >> 16;
  if (dc != 0) [[likely]] {
    b = without(b, static_cast<unsigned>(dc & 0xFF));
  } else {
    const auto symbol = slot.dc->symbols.find(static_cast<uint32_t>(b.bits >> 48));
    if (symbol.length == 0 || symbol.value > kMaxDcSize) return {};
    b = without(b, symbol.length);
    difference = value_of(b.bits, symbol.value);
    b = refilled(without(b, symbol.value));
  }
  int& prediction = predictions_[static_cast<size_t>(slot.component)];
  prediction += difference;
  if (prediction < -16384 || prediction > 16383) return {};
  out[0] = static_cast<int16_t>(prediction);

  const AcTable& table = *slot.ac;
  size_t k = 1;
  // After a refill, and after the DC code's, there are bits for four look-ups.
  for (;; b = refilled(b)) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const uint64_t before = b.bits;
      const uint64_t entry = table.entries[before >> (64 - kAcIndexBits)];
      const auto length = static_cast<unsigned>(entry & 0xFF);
      const size_t run = entry >> 8 & 0xFF;
      const size_t move = entry >> 16 & 0xFF;
      b = without(b, length);
      out[kNaturalOrder[k + run]] = static_cast<int16_t>(entry >> 32);
      out[kNaturalOrder[k + move - 1]] = static_cast<int16_t>(entry >> 48);
      const size_t start = k;
      k += move;
      if (k < kBlock) [[likely]] continue;

      // The block ends here, or the code needs the slow way.
      if (move == AcTable::kSlow) {
        b = refilled(b);
        const SlowCode code = slow_code(b, table, entry);
        b = code.bits;
        if (b.at == nullptr) return {};
        if (code.ends) {
          extent = static_cast<uint8_t>(start);
          return b;
        }
        k = start + code.run;
        if (k >= kBlock) return {};
        out[kNaturalOrder[k]] = code.value;
        if (++k < kBlock) break;
        extent = kBlock;
        return b;
      }
      if (const size_t after_first = start + run + 1;
          move != AcTable::kEndOfBlock && after_first >= kBlock) {
        // The first code fills the block; what follows it is the next block's.
        if (after_first > kBlock) return {};
        const auto first_length = static_cast<unsigned>(entry >> 24 & 0xFF);
        b.bits = before << first_length;
        b.count += length - first_length;
        extent = kBlock;
      } else if (move >= AcTable::kEndOfBlock) {
        extent = static_cast<uint8_t>(k - AcTable::kEndOfBlock);
      } else {
        if (k > kBlock) return {};
        extent = kBlock;
      }
      return b;
    }
  }
}

// The reader is near the end of the bytes at hand. Refuses when it took bits that the scan does not
// have.
[[gnu::noinline]] ScanDecoder::Bits ScanDecoder::past_mark(Bits b) {
  if (!bytes_.ended()) b.at = bytes_.more(b.at);
  if (!bytes_.ended()) return b;
  return (b.at - bytes_.end()) * 8 <= static_cast<ptrdiff_t>(b.count) ? b : Bits{};
}

// Whether all bytes of the segment are used.
bool ScanDecoder::finish_segment() {
  if (!bytes_.ended()) bits_.at = bytes_.more(bits_.at);
  if (!bytes_.ended()) return false;
  const ptrdiff_t left = (bytes_.end() - bits_.at) * 8 + static_cast<ptrdiff_t>(bits_.count);
  return left >= 0 && left < 8;
}

bool ScanDecoder::restart() {
  if (!finish_segment() || bytes_.marker() != JPEG_RST0 + next_restart_) return false;
  next_restart_ = (next_restart_ + 1) % 8;
  until_restart_ = restart_interval_;
  predictions_ = {};
  bits_ = {.at = bytes_.begin_segment()};
  return true;
}

bool ScanDecoder::ended_cleanly() {
  return next_row_ == mcu_rows_ && finish_segment() && bytes_.marker() == JPEG_EOI;
}

}  // namespace pyloader
