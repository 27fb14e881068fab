#include "inputs.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <jpeglib.h>

namespace pyloader::testing {

void Random::fill(std::span<uint8_t> bytes) {
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(next());
}

std::vector<SimdLevel> all_levels() {
  std::vector<SimdLevel> levels;
  for (SimdLevel level : {SimdLevel::kScalar, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    if (level <= available_simd_level()) levels.push_back(level);
  }
  return levels;
}

ExactRows::ExactRows(int count, size_t bytes, Random& random) : bytes_(bytes) {
  for (int r = 0; r < count; ++r) {
    memory_.emplace_back(new uint8_t[bytes + kRowSlack]);
    rows_.push_back(memory_.back().get());
    random.fill({rows_.back(), bytes + kRowSlack});
  }
}

bool ExactRows::same(const ExactRows& other) const {
  for (size_t r = 0; r < rows_.size(); ++r) {
    if (std::memcmp(rows_[r], other.rows_[r], bytes_) != 0) return false;
  }
  return true;
}

void ExactRows::change_slack(Random& random) {
  for (uint8_t* row : rows_) random.fill({row + bytes_, kRowSlack});
}

namespace {

int components_of(JpegColor color) {
  switch (color) {
    case JpegColor::kGray: return 1;
    case JpegColor::kCmyk:
    case JpegColor::kYcck: return 4;
    case JpegColor::kYcc:
    case JpegColor::kRgb: break;
  }
  return 3;
}

J_COLOR_SPACE stored_space(JpegColor color) {
  switch (color) {
    case JpegColor::kGray: return JCS_GRAYSCALE;
    case JpegColor::kRgb: return JCS_RGB;
    case JpegColor::kCmyk: return JCS_CMYK;
    case JpegColor::kYcck: return JCS_YCCK;
    case JpegColor::kYcc: break;
  }
  return JCS_YCbCr;
}

J_COLOR_SPACE input_space(int components) {
  if (components == 1) return JCS_GRAYSCALE;
  return components == 3 ? JCS_RGB : JCS_CMYK;
}

// Waves with some noise: every frequency, strong colors, hard clipping.
void paint(const JpegRecipe& recipe, int components, int y, std::vector<uint8_t>& row,
           Random& random) {
  if (recipe.noisy) return random.fill(row);
  for (int x = 0; x < recipe.size.width; ++x) {
    for (int c = 0; c < components; ++c) {
      const int wave = (x * (3 + c) + y * (5 - c)) % 96 * 4 - 64 + random.below(40);
      row[static_cast<size_t>(x * components + c)] = static_cast<uint8_t>(std::clamp(wave, 0, 255));
    }
  }
}

}  // namespace

std::vector<uint8_t> make_jpeg(const JpegRecipe& recipe) {
  const int components = components_of(recipe.color);
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors = {};
  info.err = jpeg_std_error(&errors);  // a wrong recipe ends the process
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(recipe.size.width);
  info.image_height = static_cast<JDIMENSION>(recipe.size.height);
  info.input_components = components;
  info.in_color_space = input_space(components);
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, stored_space(recipe.color));
  jpeg_set_quality(&info, recipe.quality, TRUE);
  for (int c = 0; c < components; ++c) {
    const bool luma = c == 0 || c == 3;
    info.comp_info[c].h_samp_factor = luma ? recipe.luma_h : recipe.chroma_h;
    info.comp_info[c].v_samp_factor = luma ? recipe.luma_v : recipe.chroma_v;
  }
  info.restart_interval = static_cast<unsigned>(recipe.restart_interval);
  info.arith_code = recipe.arithmetic ? TRUE : FALSE;
  jpeg_scan_info scans[4] = {};
  if (recipe.progressive) {
    jpeg_simple_progression(&info);
  } else if (recipe.separate_scans) {
    for (int c = 0; c < components; ++c) {
      scans[c].comps_in_scan = 1;
      scans[c].component_index[0] = c;
      scans[c].Se = 63;
    }
    info.scan_info = scans;
    info.num_scans = components;
  }
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> comment(65000);
  Random random(recipe.seed);
  for (int left = recipe.comment_bytes; left > 0; left -= 65000) {
    const auto size_here = static_cast<unsigned>(std::min(left, 65000));
    random.fill(comment);
    jpeg_write_marker(&info, JPEG_COM, comment.data(), size_here);
  }
  std::vector<uint8_t> row(static_cast<size_t>(recipe.size.width * components));
  for (int y = 0; y < recipe.size.height; ++y) {
    paint(recipe, components, y, row, random);
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::vector<uint8_t> content(memory, memory + size);
  std::free(memory);
  return content;
}

ChoppedSource::ChoppedSource(std::span<const uint8_t> content, size_t window)
    : content_(content), rest_(content), step_(window) {
  size_ = content.size();
  refill();
}

bool ChoppedSource::refill() {
  if (rest_.empty()) return false;
  const size_t count = std::min(step_, rest_.size());
  block_.reset(new uint8_t[count]);
  std::copy_n(rest_.begin(), count, block_.get());
  rest_ = rest_.subspan(count);
  window_ = {block_.get(), count};
  bytes_read_ += count;
  return true;
}

bool ChoppedSource::rewind() {
  rest_ = content_;
  return refill();
}

ExactCopy::ExactCopy(std::span<const uint8_t> content)
    : memory_(new uint8_t[content.size()]), size_(content.size()) {
  std::copy(content.begin(), content.end(), memory_.get());
}

TemporaryFolder::TemporaryFolder() {
  const char* base = std::getenv("TMPDIR");
  folder_ = std::string(base != nullptr ? base : "/tmp") + "/pyloader-XXXXXX";
  if (::mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("no folder " + folder_);
  ::chmod(folder_.c_str(), 0755);  // tests of permissions enter it as somebody else
}

TemporaryFolder::~TemporaryFolder() {
  if (DIR* folder = ::opendir(folder_.c_str())) {
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (::unlink(path(name).c_str()) != 0) ::rmdir(path(name).c_str());
    }
    ::closedir(folder);
  }
  ::rmdir(folder_.c_str());
}

std::string TemporaryFolder::write(std::string_view name, std::span<const uint8_t> content) const {
  const std::string at = path(name);
  std::FILE* file = std::fopen(at.c_str(), "wb");
  if (file == nullptr) throw std::runtime_error("cannot write " + at);
  const size_t written = content.empty() ? 0 : std::fwrite(content.data(), 1, content.size(), file);
  std::fclose(file);
  if (written != content.size()) throw std::runtime_error("cannot write all of " + at);
  return at;
}

}  // namespace pyloader::testing
