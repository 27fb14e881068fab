#include "decoding.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

#include "check.h"

namespace pyloader::testing {
namespace {

struct Reference {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  std::jmp_buf wall;
  bool is_smoothed;
};

// Whether libjpeg estimates what a progressive file lacks.
bool lacks_scans(const jpeg_decompress_struct& info) {
  if (!info.progressive_mode || info.coef_bits == nullptr) return false;
  for (int c = 0; c < info.num_components; ++c) {
    for (int i = 1; i < 10; ++i) {
      if (info.coef_bits[c][i] != 0) return true;
    }
  }
  return false;
}

void give_up(j_common_ptr info) {
  std::longjmp(static_cast<Reference*>(info->client_data)->wall, 1);
}

bool read_reference(Reference& reference, std::span<const uint8_t> content, uint8_t* out,
                    size_t capacity) {
  jpeg_decompress_struct& info = reference.info;
  info.err = jpeg_std_error(&reference.errors);
  reference.errors.error_exit = give_up;
  reference.errors.emit_message = [](j_common_ptr, int) {};
  info.client_data = &reference;
  if (setjmp(reference.wall) != 0) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, content.data(), static_cast<unsigned long>(content.size()));
  while (jpeg_read_header(&info, FALSE) == JPEG_HEADER_TABLES_ONLY) {  // Pillow goes on, too
  }
  if (info.num_components == 1) {
    info.out_color_space = JCS_GRAYSCALE;
  } else {
    info.out_color_space = info.num_components == 3 ? JCS_EXT_RGBA : JCS_CMYK;
  }
  jpeg_start_decompress(&info);
  reference.is_smoothed = lacks_scans(info);
  const size_t stride = size_t{info.output_width} * static_cast<size_t>(info.output_components);
  if (stride * info.output_height != capacity) return false;
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[] = {out + info.output_scanline * stride};
    jpeg_read_scanlines(&info, rows, 1);
  }
  return true;
}

struct Sampling {
  int luma_h, luma_v, chroma_h, chroma_v;
};

// The first four go through planes of our own, the others through libjpeg's scanlines.
constexpr Sampling kSamplings[] = {{1, 1, 1, 1}, {2, 1, 1, 1}, {1, 2, 1, 1}, {2, 2, 1, 1},
                                   {4, 1, 1, 1}, {1, 4, 1, 1}, {4, 2, 1, 1}, {2, 2, 2, 1},
                                   {2, 2, 1, 2}, {1, 1, 2, 2}, {3, 1, 1, 1}, {2, 2, 2, 2}};

Size halved(Size size, int x, int y) {
  return {(size.width + (1 << x) - 1) >> x, (size.height + (1 << y) - 1) >> y};
}

}  // namespace

size_t row_bytes(const JpegHeader& header) {
  return static_cast<size_t>(header.size.width) * (header.pixels == JpegPixels::kGray ? 1 : 4);
}

void pack_row(const RowBand& band, int r, JpegPixels form, size_t width, uint8_t* out) {
  const uint8_t* row = band.rows[r];
  if (form != JpegPixels::kPlanes) {
    std::memcpy(out, row, width * (form == JpegPixels::kGray ? 1 : 4));
    return;
  }
  for (size_t x = 0; x < width; ++x, out += 4, ++row) {
    out[0] = row[0];
    out[1] = row[band.plane_stride];
    out[2] = row[2 * band.plane_stride];
    out[3] = 255;
  }
}

std::vector<uint8_t> reference_pixels(std::span<const uint8_t> content, const JpegHeader& header) {
  std::vector<uint8_t> out(row_bytes(header) * static_cast<size_t>(header.size.height));
  Reference reference = {};
  if (!read_reference(reference, content, out.data(), out.size())) out.clear();
  jpeg_destroy_decompress(&reference.info);
  return out;
}

bool is_as_libjpeg(std::span<const uint8_t> content, const Pixels& pixels) {
  std::vector<uint8_t> out(pixels.bytes.size());
  Reference reference = {};
  const bool done = read_reference(reference, content, out.data(), out.size());
  jpeg_destroy_decompress(&reference.info);
  return reference.is_smoothed || (done && out == pixels.bytes);
}

Pixels decode(JpegDecoder& decoder, ByteSource& source, std::span<const uint8_t> wanted) {
  Pixels pixels;
  volatile uint8_t slack = 0;
  pixels.status = decoder.open(source, pixels.header);
  if (!pixels.status.ok()) return pixels;
  if (!wanted.empty()) decoder.want(wanted);
  const size_t bytes = row_bytes(pixels.header);
  const auto width = static_cast<size_t>(pixels.header.size.width);
  const bool planes = pixels.header.pixels == JpegPixels::kPlanes;
  const int height = pixels.header.size.height;
  pixels.bytes.resize(bytes * static_cast<size_t>(height));
  for (int y = 0;;) {
    RowBand band;
    pixels.status = decoder.read(band);
    if (!pixels.status.ok() || band.count == 0) {
      check(!pixels.status.ok() || y == height, "rows are missing");
      break;
    }
    for (int r = 0; r < band.count; ++r, ++y) {
      const uint8_t* row = band.rows[r];
      const bool is_wanted = wanted.empty() || wanted[static_cast<size_t>(y)] != 0;
      check(!is_wanted || row != nullptr, "a wanted row is null");
      if (row == nullptr) continue;
      if (is_wanted) {
        pack_row(band, r, pixels.header.pixels, width,
                 &pixels.bytes[static_cast<size_t>(y) * bytes]);
      }
      const size_t last = planes ? 2 * static_cast<size_t>(band.plane_stride) + width : bytes;
      slack = slack ^ row[last + kRowSlack - 1];
    }
  }
  if (pixels.status.ok()) pixels.status = decoder.finish();
  return pixels;
}

Pixels decode(JpegDecoder& decoder, std::span<const uint8_t> content) {
  const ExactCopy copy(content);
  MemorySource source(copy.view());
  Pixels pixels = decode(decoder, source);
  decoder.close();
  return pixels;
}

Planes decode_planes(JpegDecoder& decoder, ByteSource& source, std::array<int, 3> halvings,
                     bool luma_only) {
  Planes planes;
  planes.status = decoder.open(source, planes.header);
  if (!planes.status.ok() || planes.header.planes == 0) return planes;
  decoder.want_planes(halvings, luma_only);
  const auto count = static_cast<size_t>(luma_only ? 1 : planes.header.planes);
  volatile uint8_t slack = 0;
  const auto start = [&] {
    for (size_t c = 0; c < 3; ++c) {
      const int x = c == 0 ? 0 : planes.header.chroma_halvings_x;
      const int y = c == 0 ? 0 : planes.header.chroma_halvings_y;
      planes.sizes[c] = halved(halved(planes.header.size, x, y), halvings[c], halvings[c]);
      planes.samples[c].clear();
    }
  };
  start();
  for (PlaneBand band; !band.last;) {
    planes.status = decoder.read_planes(band);
    if (!planes.status.ok()) return planes;
    if (band.restarted) {
      halvings = {};
      ++planes.restarts;
      start();
    }
    for (size_t c = 0; c < count; ++c) {
      const auto width = static_cast<size_t>(planes.sizes[c].width);
      for (int r = 0; r < band.planes[c].count; ++r) {
        const uint8_t* row = band.planes[c].rows[r];
        planes.samples[c].insert(planes.samples[c].end(), row, row + width);
        slack = slack ^ row[width + kRowSlack - 1];
      }
    }
  }
  planes.status = decoder.finish();
  for (size_t c = 0; c < count && planes.status.ok(); ++c) {
    const Size size = planes.sizes[c];
    check_equal(planes.samples[c].size(),
                static_cast<size_t>(size.width) * static_cast<size_t>(size.height), "rows");
  }
  return planes;
}

Planes decode_planes(JpegDecoder& decoder, std::span<const uint8_t> content,
                     std::array<int, 3> halvings, bool luma_only) {
  const ExactCopy copy(content);
  MemorySource source(copy.view());
  Planes planes = decode_planes(decoder, source, halvings, luma_only);
  decoder.close();
  return planes;
}

std::string name_of(const JpegRecipe& recipe) {
  return std::to_string(recipe.size.width) + " x " + std::to_string(recipe.size.height) +
         ", color " + std::to_string(static_cast<int>(recipe.color)) + ", sampling " +
         std::to_string(recipe.luma_h) + std::to_string(recipe.luma_v) +
         std::to_string(recipe.chroma_h) + std::to_string(recipe.chroma_v) +
         (recipe.progressive ? ", progressive" : "") + (recipe.separate_scans ? ", scans" : "") +
         (recipe.arithmetic ? ", arithmetic" : "") +
         (recipe.restart_interval > 0 ? ", restarts" : "");
}

std::vector<JpegRecipe> recipes_of(Size size) {
  std::vector<JpegRecipe> recipes;
  for (const Sampling& s : kSamplings) {
    for (int variant = 0; variant < 5; ++variant) {
      // libjpeg interleaves ten blocks at the most.
      const bool separate = variant == 3;
      if (!separate && s.luma_h * s.luma_v + 2 * s.chroma_h * s.chroma_v > 10) continue;
      recipes.push_back({.size = size,
                         .luma_h = s.luma_h,
                         .luma_v = s.luma_v,
                         .chroma_h = s.chroma_h,
                         .chroma_v = s.chroma_v,
                         .progressive = variant == 1,
                         .separate_scans = separate,
                         .arithmetic = variant == 4,
                         .restart_interval = variant == 2 ? 3 : 0,
                         .quality = 60 + 13 * variant});
    }
  }
  for (JpegColor color : {JpegColor::kGray, JpegColor::kRgb, JpegColor::kCmyk, JpegColor::kYcck}) {
    for (const bool progressive : {false, true}) {
      recipes.push_back({.size = size, .color = color, .progressive = progressive});
    }
  }
  recipes.push_back({.size = size, .color = JpegColor::kYcck, .luma_h = 2, .luma_v = 2});
  recipes.push_back({.size = size, .color = JpegColor::kGray, .luma_h = 2, .luma_v = 2});
  return recipes;
}

}  // namespace pyloader::testing
