// JPEG files as rows of pixels: exactly those that Pillow gives (full size, accurate integer DCT,
// fancy upsampling), with Pillow's verdict on damaged files. Only jpeg/ knows libjpeg.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/byte_source.h"
#include "base/cpu.h"
#include "base/limits.h"
#include "base/pixels.h"
#include "base/status.h"

namespace pyloader {

// Whether content starts as JPEG files do. Names tell nothing.
bool looks_like_jpeg(std::span<const uint8_t> content);

// The version of libjpeg-turbo this build was compiled with, such as "2.1.5".
const char* libjpeg_turbo_version();

// Some place within the libjpeg-turbo that this process runs.
const void* libjpeg_turbo_code();

enum class JpegPixels {
  kGray,          // 1 byte
  kPlanes,        // 1 byte in each of three rows: R, G, B
  kColor,         // 4 bytes: R, G, B, 255
  kInvertedCmyk,  // 4 bytes: 255 - C, 255 - M, 255 - Y, 255 - K
};

struct JpegHeader {
  Size size;
  JpegPixels pixels = JpegPixels::kColor;
  bool picks_columns = false;  // whether rows can be made of some columns only
  // How many planes there are to be had as they are, Y, Cb, Cr; 0: none. Chroma may be halved.
  int planes = 0;
  int chroma_halvings_x = 0;
  int chroma_halvings_y = 0;
};

struct RowBand {
  const uint8_t* const* rows = nullptr;  // each with kRowSlack bytes behind its pixels, or null
  int count = 0;                         // 0 after the last row
  ptrdiff_t plane_stride = 0;            // kPlanes: from a row of R to its G, and on to its B
};

// The next rows of every plane. Their sizes are those of the image, halved and rounded up as often
// as the header and the wish say.
struct PlaneBand {
  std::array<RowBand, 3> planes;
  bool last = false;
  // Everything begins anew, with planes that are not halved (but chroma as in the header): rows
  // that came before are to be forgotten.
  bool restarted = false;
};

// Who decodes the entropy-coded data of sequential Huffman files: libjpeg, or a decoder of our own
// that hands over to libjpeg whatever is unusual or damaged. Both give the same pixels and
// verdicts.
enum class EntropyDecoder { kLibjpeg, kOwn };

// The one in use: our own, unless the environment variable PYLOADER_ENTROPY says libjpeg or the
// libjpeg of this process gives other pixels than ours. Decided once per process.
EntropyDecoder entropy_decoder();

const char* entropy_decoder_name(EntropyDecoder decoder);

// One per worker, one thread; reused from file to file. Memory grows with the width of an image;
// with its height only for progressive and multi-scan files, whose coefficients libjpeg must hold.
// Nothing of one file reaches the next.
class JpegDecoder {
 public:
  explicit JpegDecoder(SimdLevel level, EntropyDecoder entropy = entropy_decoder());

  // For all files from the next one on.
  void limit(const ImageLimits& limits);

  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // Reads the header. `source` must stay until `close`. Hostile sizes end here, before memory is
  // taken for them.
  Status open(ByteSource& source, JpegHeader& header);

  // Bytes that decoding the open file takes at most, besides what its rows are made into.
  uint64_t memory_needed() const;

  // Names the rows that are wanted, a byte each (0: not wanted); they must outlive the file. Rows
  // that are not wanted may come as null. Without a call, all are wanted. Where the file
  // `picks_columns`, its rows may be made of the columns named here alone, side by side (what a
  // negative one gives is undefined). After `open`, before `read`.
  void want(std::span<const uint8_t> rows, std::span<const int32_t> columns = {});

  // The next rows, top to bottom, valid until the next call.
  Status read(RowBand& band);

  // Instead of `want` and `read`, where the header has planes: the planes themselves, each halved
  // so many times (0 to 3) more, or Y alone. Halved planes are good approximations, not libjpeg's.
  void want_planes(const std::array<int, 3>& halvings, bool luma_only);
  Status read_planes(PlaneBand& band);

  // A row of Y, Cb and Cr to one of R, G and B, as libjpeg does it. In place is fine.
  void convert_to_rgb(const uint8_t* const* ycc, int width, uint8_t* const* rgb) const;

  // The rest of the file, where a verdict may still change. Rows not read yet are decoded as far as
  // the verdict needs it.
  Status finish();

  // Who has decoded the file so far.
  EntropyDecoder decoded_by() const;

  // Ends a file at any point. Safe to call twice.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pyloader
