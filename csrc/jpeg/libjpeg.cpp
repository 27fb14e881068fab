#include "jpeg/libjpeg.h"

#include "jpeg/decoder.h"

#include <jerror.h>

#include <algorithm>

namespace pyloader {
namespace {

void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<LibjpegErrors*>(info->err);
  errors->manager.format_message(info, errors->message);
  std::longjmp(errors->wall, 1);
}

// libjpeg passes over the marker TEM, and tells; Pillow refuses a header that has it. And it tells
// of data that ends early.
void on_message(j_common_ptr info, int) {
  jpeg_error_mgr& about = *info->err;
  if (about.msg_code == JWRN_HIT_MARKER && info->is_decompressor != FALSE) {
    const auto* reader = reinterpret_cast<j_decompress_ptr>(info);
    auto* errors = reinterpret_cast<LibjpegErrors*>(info->err);
    errors->cut_scan = reader->input_scan_number;
    errors->cut_row = static_cast<int>(reader->input_iMCU_row);
    return;
  }
  constexpr int kTem = 0x01;
  if (about.msg_code != JTRC_PARMLESS_MARKER || about.msg_parm.i[0] != kTem) return;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > 0) return;
  about.msg_code = JERR_UNKNOWN_MARKER;
  on_error(info);
}

void on_progress(j_common_ptr info) {
  const auto* limit = reinterpret_cast<ScanLimit*>(info->progress);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= limit->most) return;
  auto* errors = reinterpret_cast<LibjpegErrors*>(info->err);
  errors->too_many_scans = true;
  std::longjmp(errors->wall, 1);
}

// `bytes_in_buffer` reaches to the window's end.
void hide_what_follows(LibjpegSource& source) {
  if (source.window_end <= source.end) return;
  size_t& left = source.manager.bytes_in_buffer;
  left -= static_cast<size_t>(std::min<uint64_t>(source.window_end - source.end, left));
}

void take_window(LibjpegSource& source) {
  const auto window = source.bytes->window();
  source.manager.next_input_byte = window.data();
  source.manager.bytes_in_buffer = window.size();
  source.window_end += window.size();
  hide_what_follows(source);
}

void start_source(j_decompress_ptr) {}

boolean fill_source(j_decompress_ptr info) {
  auto* source = reinterpret_cast<LibjpegSource*>(info->src);
  if (source->window_end >= source->end || !source->bytes->refill()) return FALSE;
  take_window(*source);
  return TRUE;
}

void skip_source(j_decompress_ptr info, long count) {
  auto* source = reinterpret_cast<LibjpegSource*>(info->src);
  jpeg_source_mgr& manager = source->manager;
  auto left = static_cast<size_t>(count > 0 ? count : 0);
  while (left > manager.bytes_in_buffer) {
    left -= manager.bytes_in_buffer;
    manager.next_input_byte += manager.bytes_in_buffer;
    manager.bytes_in_buffer = 0;
    if (fill_source(info) == FALSE) return;
  }
  manager.next_input_byte += left;
  manager.bytes_in_buffer -= left;
}

void limit_scans(ScanLimit& limit, int most, jpeg_decompress_struct& info) {
  limit.manager = {};
  limit.manager.progress_monitor = on_progress;
  limit.most = most;
  info.progress = &limit.manager;
}

}  // namespace

#define PYLOADER_QUOTE(x) #x
#define PYLOADER_STRING(x) PYLOADER_QUOTE(x)
const char* libjpeg_turbo_version() { return PYLOADER_STRING(LIBJPEG_TURBO_VERSION); }
const void* libjpeg_turbo_code() { return reinterpret_cast<const void*>(&jpeg_std_error); }

jpeg_error_mgr* init_errors(LibjpegErrors& errors) {
  jpeg_std_error(&errors.manager);
  errors.manager.error_exit = on_error;
  errors.manager.emit_message = on_message;
  errors.message[0] = '\0';
  errors.too_many_scans = false;
  errors.cut_scan = errors.cut_row = 0;
  return &errors.manager;
}

void init_source(LibjpegSource& source, ByteSource& bytes) {
  source.bytes = &bytes;
  source.window_end = 0;
  source.end = UINT64_MAX;
  source.manager.init_source = start_source;
  source.manager.fill_input_buffer = fill_source;
  source.manager.skip_input_data = skip_source;
  source.manager.resync_to_restart = jpeg_resync_to_restart;
  source.manager.term_source = start_source;
  take_window(source);
}

int open_image(jpeg_decompress_struct& info, LibjpegSource& source, ScanLimit& limit,
               int most_scans, ByteSource& bytes) {
  jpeg_create_decompress(&info);
  limit_scans(limit, most_scans, info);
  init_source(source, bytes);
  info.src = &source.manager;
  int result;
  do {
    result = jpeg_read_header(&info, FALSE);
  } while (result == JPEG_HEADER_TABLES_ONLY);
  return result;
}

void end_at_block(LibjpegSource& source) {
  const uint64_t at = source.window_end - source.manager.bytes_in_buffer;
  source.end = (at + kPillowBlock - 1) / kPillowBlock * kPillowBlock;
  hide_what_follows(source);
}

}  // namespace pyloader
