// libjpeg behind one wall: errors come back as false instead of unwinding, bytes come from a
// ByteSource. Private to jpeg/.
//
// Note [setjmp]: libjpeg reports errors by longjmp out of its callbacks. `guarded` is the only
// function that calls setjmp. It is never inlined and has no locals of its own that change, and
// neither its frame nor the steps it runs hold objects with destructors, so that skipping them is
// well defined.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it

#include <jpeglib.h>

#include "base/byte_source.h"

namespace pyloader {

struct LibjpegErrors {
  jpeg_error_mgr manager;  // first, so that libjpeg's pointer is ours
  std::jmp_buf wall;
  char message[JMSG_LENGTH_MAX];
  bool too_many_scans;
  // Where the data of a scan ended early, if it did, the last time: the scan, counted from 1, and
  // the row of MCUs.
  int cut_scan;
  int cut_row;
};

// Counts scans while libjpeg reads them.
struct ScanLimit {
  jpeg_progress_mgr manager;  // first, as above
  int most;
};

// Sets up error handling that prints nothing and never exits. Warnings are ignored, and headers
// with a marker that Pillow does not know refused, as in Pillow.
jpeg_error_mgr* init_errors(LibjpegErrors& errors);

struct LibjpegSource {
  jpeg_source_mgr manager;  // first, as above
  ByteSource* bytes;
  // Counted from the content's beginning: where the present window ends, and what libjpeg may see.
  uint64_t window_end;
  uint64_t end;
};

// Bytes from `bytes`, from its present window on. At the end libjpeg is suspended, which callers
// see as "no progress" and report as truncation, like Pillow.
void init_source(LibjpegSource& source, ByteSource& bytes);

// Makes a decompressor for `bytes` and reads the header; returns what jpeg_read_header does. After
// more scans than `most_scans` it gives up, with `too_many_scans`. For a step of `guarded`; `info`
// is to be destroyed whatever becomes of it.
int open_image(jpeg_decompress_struct& info, LibjpegSource& source, ScanLimit& limit,
               int most_scans, ByteSource& bytes);

// Hides what lies behind the block in which libjpeg is: Pillow hands it blocks of this many bytes,
// and does not fetch another one after the last row.
inline constexpr uint64_t kPillowBlock = 65536;
void end_at_block(LibjpegSource& source);

// Runs `step`, which may call libjpeg. False when libjpeg gave up; errors.message tells why.
template <class Step>
[[gnu::noinline]] bool guarded(LibjpegErrors& errors, Step& step) {
  if (setjmp(errors.wall) != 0) return false;
  step();
  return true;
}

}  // namespace pyloader
