#include "loader/foreign_code.h"

namespace pyloader {

Status check_other(const ByteSource& source, ForeignCode& foreign) {
  const auto beginning = source.window();
  if (source.size() <= beginning.size()) return {};  // it is here, and decoding will tell
  if (Status status = foreign.check_beginning(beginning); !status.ok()) return status;
  if (source.size() <= kMaxOtherFile) return {};
  return {StatusCode::kTooLarge, "the file is too large to be decoded"};
}

}  // namespace pyloader
