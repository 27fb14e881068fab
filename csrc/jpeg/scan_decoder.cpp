#include "jpeg/scan_decoder.h"

#include <algorithm>

namespace pyloader {
namespace {

constexpr int divide_up(int value, int by) { return (value + by - 1) / by; }

}  // namespace

bool ScanDecoder::begin(const jpeg_decompress_struct& info, ByteSource& source,
                        std::span<const uint8_t> rest) {
  if (!coefficients_.begin(info, source, rest)) return false;
  count_ = info.num_components;
  const bool alone = count_ == 1;
  const auto width = static_cast<int>(info.image_width);
  const auto height = static_cast<int>(info.image_height);
  const int most_h = alone ? 1 : info.max_h_samp_factor;
  const int most_v = alone ? 1 : info.max_v_samp_factor;
  for (int c = 0; c < count_; ++c) {
    Component& component = components_[static_cast<size_t>(c)];
    component.h = coefficients_.columns(c);
    component.v = coefficients_.rows(c);
    component.columns = divide_up(divide_up(width * component.h, most_h), DCTSIZE);
    component.rows = divide_up(divide_up(height * component.v, most_v), DCTSIZE);
    const JQUANT_TBL& quantisation = *info.quant_tbl_ptrs[info.comp_info[c].quant_tbl_no];
    if (!take_quantisation(quantisation, component.dequantiser)) return false;
  }
  mcu_columns_ = divide_up(width, most_h * DCTSIZE);
  mcu_rows_ = divide_up(height, most_v * DCTSIZE);
  rows_per_group_ = alone ? info.max_v_samp_factor : 1;
  next_row_ = 0;
  return true;
}

bool ScanDecoder::take_quantisation(const JQUANT_TBL& from, Dequantiser& dequantiser) {
  for (int i = 0; i < DCTSIZE2; ++i) {
    const int factor = from.quantval[i];
    if (factor > 32767) return false;
    dequantiser.factors[i] = static_cast<int16_t>(factor);
    dequantiser.limits[i] = static_cast<int16_t>(factor == 0 ? 16383 : 16383 / factor);
  }
  return true;
}

bool ScanDecoder::decode_group(std::span<const PlaneTarget, 3> targets, bool samples) {
  for (int r = 0; r < rows_per_group_ && next_row_ < mcu_rows_; ++r) {
    if (!decode_row(targets, samples, r)) return false;
    ++next_row_;
  }
  return true;
}

bool ScanDecoder::decode_row(std::span<const PlaneTarget, 3> targets, bool samples, int first_row) {
  for (int mcu = 0; mcu < mcu_columns_; mcu += CoefficientReader::kRunMcus) {
    const int mcus = std::min(CoefficientReader::kRunMcus, mcu_columns_ - mcu);
    if (!coefficients_.read(mcus)) return false;
    if (!samples) continue;
    for (int c = 0; c < count_; ++c) {
      const Component& part = components_[static_cast<size_t>(c)];
      const PlaneTarget& target = targets[static_cast<size_t>(c)];
      const ptrdiff_t side = 8 >> target.halvings;
      InverseDct* const inverse_dct =
          target.halvings == 0 ? kernels_.inverse_dct : kReducedInverseDcts[target.halvings - 1];
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
          const int16_t* first = coefficients_.blocks(c, y) + CoefficientReader::kBlock * begin;
          if (!inverse_dct(first, coefficients_.extents(c, y) + begin, end - begin,
                           part.dequantiser, out + side * begin, target.stride)) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

bool ScanDecoder::ended_cleanly() {
  return next_row_ == mcu_rows_ && coefficients_.ended_cleanly();
}

}  // namespace pyloader
