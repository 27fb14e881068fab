// Columns to be picked out of rows, with the shuffles that do it. Private to jpeg/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pyloader {

// Bytes behind a row that a pick may read.
inline constexpr size_t kPickSlack = 128;

class ColumnPicks {
 public:
  // Groups of outputs, each from one window of the row.
  struct Table {
    bool fits = false;           // whether every group's columns lie in one window
    std::vector<int32_t> base;   // where a group's window begins
    std::vector<uint8_t> index;  // a place in the window per output, for whole groups
  };

  // The columns, none beyond the row. What a negative one gives is undefined. Cheap when they are
  // those of last time. Throws std::bad_alloc.
  void set(std::span<const int32_t> columns);

  bool empty() const { return columns_.empty(); }
  std::span<const int32_t> columns() const { return columns_; }
  const Table& lanes32() const { return lanes32_; }  // 32 outputs from 128 bytes
  const Table& lanes8() const { return lanes8_; }    // 8 outputs from 16 bytes

 private:
  void lay_out(Table& table, size_t lanes, int window) const;

  std::vector<int32_t> asked_;
  std::vector<int32_t> columns_;  // none negative
  Table lanes32_;
  Table lanes8_;
};

}  // namespace pyloader
