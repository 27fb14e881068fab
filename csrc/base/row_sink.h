// Where rows of pixels go, one after the other.
#pragma once

#include <cstdint>

namespace pyloader {

// Takes finished rows, top to bottom. `row` is valid during the call only and has kRowSlack bytes
// behind its pixels.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void accept(int y, const uint8_t* row) = 0;
};

}  // namespace pyloader
