#include "jpeg/smoothing.h"

#include <jerror.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace pyloader {
namespace {

// What was sent of the first coefficients, in zigzag order, when the last scan had been read: -1
// for nothing, else how many low bits are missing.
struct SentCoefficients {
  static constexpr int kFirst = 10;
  using Bits = std::array<int, kFirst>;
  std::array<Bits, MAX_COMPS_IN_SCAN> bits;
  std::array<Bits, MAX_COMPS_IN_SCAN> bits_before;  // the last scan
  int last_good_row;                                // of MCUs that the last scan had data for
};

using Bits = SentCoefficients::Bits;

constexpr bool kSmoothsOtherwise = LIBJPEG_TURBO_VERSION_NUMBER < 3000001;

// A file made anew takes an eighth of its coefficients' memory at most, two bits for each:
// photographs of quality 95 take less. What a thread may take has room for that.
constexpr size_t kSmoothedPart = 8;

// Where the first ten coefficients are in a block.
constexpr std::array<int, SentCoefficients::kFirst> kPlaces = {0, 1, 8, 16, 9, 2, 3, 10, 17, 24};

// How one of them is estimated: weights, in 1/256, of the DC values of 5 x 5 blocks.
struct Estimate {
  int index;
  std::array<int, 25> weights;
};

// Where something was sent of the AC coefficients; after section K.8 of the JPEG standard.
constexpr Estimate kWithAc[] = {
    {1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -7, 50, 0, -50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {2, {0, 0, -7, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, -50, 0, 0, 0, 0, 7, 0, 0}},
    {3, {0, 0, -1, 0, 0, 0, 0, 13, 0, 0, 0, 0, -24, 0, 0, 0, 0, 13, 0, 0, 0, 0, -1, 0, 0}},
    {4, {0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0}},
    {5, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 13, -24, 13, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
};

// Where nothing was: a kernel like a Gaussian, which keeps the averages.
constexpr Estimate kWithoutAc[] = {
    {1,
     {-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1}},
    {2,
     {-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1}},
    {3, {0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0}},
    {4, {-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1}},
    {5, {0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0}},
    {6, {0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0}},
    {7, {0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0}},
    {8, {0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0}},
    {9, {0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0}},
    {0, {-2, -6, -8, -6, -2, -6, 6,  42, 6,  -6, -8, 42, 152,
         42, -8, -6, 6,  42, 6,  -6, -2, -6, -8, -6, -2}},
};

// All DC values of a component, as sent.
class DcValues {
 public:
  DcValues(int width, int height)
      : width_(width), values_(static_cast<size_t>(width) * static_cast<size_t>(height)) {}
  int16_t* row(int y) { return values_.data() + static_cast<ptrdiff_t>(y) * width_; }

 private:
  int width_;
  std::vector<int16_t> values_;
};

// A component's blocks around one row: from two above to two below, those beyond the image left
// out.
using Neighbours = std::array<const int16_t*, 5>;

int64_t weighted(const Estimate& estimate, const Neighbours& rows, int column, int last_column) {
  int64_t sum = 0;
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 5; ++x) {
      const int weight = estimate.weights[static_cast<size_t>(y * 5 + x)];
      if (weight != 0) {
        sum += int64_t{weight} *
               rows[static_cast<size_t>(y)][std::clamp(column + x - 2, 0, last_column)];
      }
    }
  }
  return sum;
}

// `missing`: low bits that were not sent, -1 for all of them.
int rounded(int64_t sum, int64_t quantizer, int missing) {
  const bool negative = sum < 0;
  auto value = static_cast<int>(((quantizer << 7) + (negative ? -sum : sum)) / (quantizer << 8));
  if (missing > 0) value = std::min(value, (1 << missing) - 1);
  return negative ? -value : value;
}

void smooth_block(JCOEF* block, const Neighbours& rows, int column, int last_column,
                  const Bits& bits, const JQUANT_TBL& table) {
  const bool no_ac = std::all_of(bits.begin() + 1, bits.end(), [](int b) { return b == -1; });
  const auto estimates = no_ac ? std::span<const Estimate>(kWithoutAc) : kWithAc;
  for (const Estimate& estimate : estimates) {
    const auto index = static_cast<size_t>(estimate.index);
    JCOEF& value = block[kPlaces[index]];
    const bool is_dc = index == 0;
    if (!is_dc && (bits[index] == 0 || value != 0)) continue;
    const int64_t sum = weighted(estimate, rows, column, last_column) * table.quantval[0];
    value =
        static_cast<JCOEF>(rounded(sum, table.quantval[kPlaces[index]], is_dc ? 0 : bits[index]));
  }
}

// The walk of libjpeg-turbo 3 over a component, row of MCUs by row of MCUs: where the last one has
// fewer rows of blocks, its own are counted as if all had so few.
class Walk {
 public:
  Walk(const jpeg_decompress_struct& info, const jpeg_component_info& component)
      : mcu_rows_(static_cast<int>(info.total_iMCU_rows)), v_(component.v_samp_factor) {
    const int rest = static_cast<int>(component.height_in_blocks) % v_;
    last_rows_ = rest == 0 ? v_ : rest;
  }
  int rows_of(int mcu_row) const { return mcu_row + 1 < mcu_rows_ ? v_ : last_rows_; }

  Neighbours neighbours(DcValues& dc, int mcu_row, int row) const {
    const int rows = rows_of(mcu_row), place = mcu_row * v_ + row;
    const int counted = mcu_row * rows + row, end = rows * mcu_rows_;
    const int above = counted > 0 ? place - 1 : place;
    const int below = counted < end - 1 ? place + 1 : place;
    return {dc.row(counted > 1 ? place - 2 : above), dc.row(above), dc.row(place), dc.row(below),
            dc.row(counted < end - 2 ? place + 2 : below)};
  }

 private:
  const int mcu_rows_, v_;
  int last_rows_;
};

int padded(JDIMENSION blocks, int factor) {
  return (static_cast<int>(blocks) + factor - 1) / factor * factor;
}

JBLOCKROW blocks_of(jpeg_decompress_struct& info, jvirt_barray_ptr array, int row) {
  return (*info.mem->access_virt_barray)(reinterpret_cast<j_common_ptr>(&info), array,
                                         static_cast<JDIMENSION>(row), 1, TRUE)[0];
}

void smooth_component(jpeg_decompress_struct& info, int c, jvirt_barray_ptr array, DcValues& dc,
                      const SentCoefficients& sent) {
  const jpeg_component_info& component = info.comp_info[c];
  const int width = padded(component.width_in_blocks, component.h_samp_factor);
  const int height = padded(component.height_in_blocks, component.v_samp_factor);
  const int last_column = static_cast<int>(component.width_in_blocks) - 1;
  for (int y = 0; y < height; ++y) {
    const JBLOCKROW blocks = blocks_of(info, array, y);
    for (int x = 0; x < width; ++x) dc.row(y)[x] = blocks[x][0];
  }
  const Walk walk(info, component);
  const auto index = static_cast<size_t>(c);
  for (int mcu_row = 0; mcu_row < static_cast<int>(info.total_iMCU_rows); ++mcu_row) {
    const Bits& bits = mcu_row > sent.last_good_row ? sent.bits_before[index] : sent.bits[index];
    for (int row = 0; row < walk.rows_of(mcu_row); ++row) {
      const Neighbours rows = walk.neighbours(dc, mcu_row, row);
      const JBLOCKROW blocks = blocks_of(info, array, mcu_row * component.v_samp_factor + row);
      for (int column = 0; column <= last_column; ++column) {
        smooth_block(blocks[column], rows, column, last_column, bits, *component.quant_table);
      }
    }
  }
}

constexpr size_t kLeastOutput = size_t{1} << 16;

// A file in memory that libjpeg writes. Grows by malloc: nothing may be thrown through libjpeg.
struct Output {
  jpeg_destination_mgr manager;  // first, so that libjpeg's pointer is ours
  uint8_t* data;
  size_t room;
  size_t size;
  size_t most;
};

void take_room(j_compress_ptr info) {
  auto* output = reinterpret_cast<Output*>(info->dest);
  const size_t room = std::min(std::max(kLeastOutput, 2 * output->room), output->most);
  if (room == output->room) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
  auto* data = static_cast<uint8_t*>(std::realloc(output->data, room));
  if (data == nullptr) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
  output->data = data;
  output->manager.next_output_byte = data + output->room;
  output->manager.free_in_buffer = room - output->room;
  output->room = room;
}

boolean empty_output(j_compress_ptr info) {
  take_room(info);
  return TRUE;
}

void end_output(j_compress_ptr info) {
  auto* output = reinterpret_cast<Output*>(info->dest);
  output->size = output->room - output->manager.free_in_buffer;
}

// Whether libjpeg would smooth this file, and otherwise than Pillow's. Fills what was sent, but for
// the last good row.
bool lacks_coefficients(const jpeg_decompress_struct& info, SentCoefficients& sent) {
  if (!kSmoothsOtherwise || !info.progressive_mode || info.coef_bits == nullptr) return false;
  if (info.num_components > MAX_COMPS_IN_SCAN) return false;
  bool lacks = false;
  for (int c = 0; c < info.num_components; ++c) {
    const JQUANT_TBL* table = info.comp_info[c].quant_table;
    const int* const bits = info.coef_bits[c];
    const int* const before = info.coef_bits[c + info.num_components];
    if (table == nullptr || bits[0] < 0) return false;
    for (size_t i = 0; i < kPlaces.size(); ++i) {
      if (table->quantval[kPlaces[i]] == 0) return false;
      const auto index = static_cast<size_t>(c);
      sent.bits[index][i] = bits[i];
      sent.bits_before[index][i] = info.input_scan_number > 1 ? before[i] : -1;
      lacks = lacks || (i > 0 && bits[i] != 0);
    }
  }
  return lacks;
}

// All that must be given back, whatever libjpeg does.
struct Transcoder {
  jpeg_decompress_struct in = {};
  jpeg_compress_struct out = {};
  LibjpegErrors errors = {};
  LibjpegSource source = {};
  ScanLimit scan_limit = {};
  Output output = {};
  jvirt_barray_ptr* arrays = nullptr;

  Transcoder() = default;
  Transcoder(const Transcoder&) = delete;
  Transcoder& operator=(const Transcoder&) = delete;
  ~Transcoder() {
    jpeg_destroy_compress(&out);
    jpeg_destroy_decompress(&in);
    std::free(output.data);
  }

  // The coefficients, unless the file has become another one meanwhile.
  bool read(ByteSource& bytes, Size size, const ImageLimits& limits, SentCoefficients& sent) {
    in.err = init_errors(errors);
    auto step = [&] {
      const int result = open_image(in, source, scan_limit, limits.scans, bytes);
      const Size now = {static_cast<int>(in.image_width), static_cast<int>(in.image_height)};
      if (result == JPEG_HEADER_OK && now == size) arrays = jpeg_read_coefficients(&in);
    };
    if (!guarded(errors, step) || arrays == nullptr) return false;
    if (!lacks_coefficients(in, sent)) return false;
    const bool is_cut = errors.cut_scan == in.input_scan_number;
    sent.last_good_row = is_cut ? errors.cut_row : static_cast<int>(in.total_iMCU_rows);
    return true;
  }

  // `dc`: a component's room each. `most`: bytes.
  bool write(const SentCoefficients& sent, std::span<DcValues> dc, size_t most) {
    output.most = most;
    out.err = in.err;
    output.manager.init_destination = take_room;
    output.manager.empty_output_buffer = empty_output;
    output.manager.term_destination = end_output;
    auto step = [&] {
      for (int c = 0; c < in.num_components; ++c) {
        smooth_component(in, c, arrays[c], dc[static_cast<size_t>(c)], sent);
      }
      jpeg_create_compress(&out);
      out.dest = &output.manager;
      jpeg_copy_critical_parameters(&in, &out);
      out.arith_code = TRUE;  // damage makes coefficients for which Huffman coding has no symbols
      jpeg_write_coefficients(&out, arrays);
      jpeg_finish_compress(&out);
    };
    return guarded(errors, step);
  }
};

}  // namespace

bool smooths_like_old_libjpeg(const jpeg_decompress_struct& info) {
  SentCoefficients sent;
  return lacks_coefficients(info, sent);
}

SmoothedFile smooth_anew(ByteSource& bytes, Size size, const ImageLimits& limits) {
  if (!bytes.rewind()) return {};
  const auto transcoder = std::make_unique<Transcoder>();
  SentCoefficients sent;
  if (!transcoder->read(bytes, size, limits, sent)) return {};
  std::vector<DcValues> dc;
  size_t blocks = 0;
  for (int c = 0; c < transcoder->in.num_components; ++c) {
    const jpeg_component_info& component = transcoder->in.comp_info[c];
    const int width = padded(component.width_in_blocks, component.h_samp_factor);
    const int height = padded(component.height_in_blocks, component.v_samp_factor);
    blocks += static_cast<size_t>(width) * static_cast<size_t>(height);
    dc.emplace_back(width, height);
  }
  const size_t most = kLeastOutput + blocks * sizeof(JBLOCK) / kSmoothedPart;
  if (!transcoder->write(sent, dc, most)) return {};
  Output& output = transcoder->output;
  return {.data = decltype(SmoothedFile::data)(std::exchange(output.data, nullptr)),
          .size = output.size};
}

}  // namespace pyloader
