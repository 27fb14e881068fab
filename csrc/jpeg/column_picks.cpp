#include "jpeg/column_picks.h"

#include <algorithm>

namespace pyloader {

void ColumnPicks::set(std::span<const int32_t> columns) {
  if (std::ranges::equal(columns, asked_)) return;
  asked_.assign(columns.begin(), columns.end());
  columns_ = asked_;
  int32_t last = 0;
  for (int32_t& column : columns_) {
    if (column < 0) column = last;  // stays in the window
    last = column;
  }
  lay_out(lanes32_, 32, 128);
  lay_out(lanes8_, 8, 16);
}

void ColumnPicks::lay_out(Table& table, size_t lanes, int window) const {
  table.fits = false;
  table.base.clear();
  table.index.clear();
  for (size_t begin = 0; begin < columns_.size(); begin += lanes) {
    const auto from = columns_.begin() + static_cast<ptrdiff_t>(begin);
    const auto to = from + static_cast<ptrdiff_t>(std::min(lanes, columns_.size() - begin));
    const auto [lowest, highest] = std::minmax_element(from, to);
    if (*highest - *lowest >= window) return;
    table.base.push_back(*lowest);
    for (auto column = from; column != to; ++column) {
      table.index.push_back(static_cast<uint8_t>(*column - *lowest));
    }
    table.index.resize(table.base.size() * lanes);
  }
  table.fits = true;
}

}  // namespace pyloader
