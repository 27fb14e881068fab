// What the tests of loader/ share: a folder of images of every kind, foreign code that stands in
// for Python's, and the bytes that samples must have.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "inputs.h"
#include "loader/pool.h"
#include "loader/sample_maker.h"

namespace pyloader::testing {

// Closed until opened, for ever after open.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
};

// Content that is no JPEG: "PIX", then width, height and channels as digits, then pixels.
inline std::vector<uint8_t> make_other(int width, int height, int channels, uint32_t seed) {
  const std::string head =
      "PIX" + std::to_string(width) + std::to_string(height) + std::to_string(channels);
  std::vector<uint8_t> content(head.begin(), head.end());
  content.resize(6 + static_cast<size_t>(width * height * channels));
  Random random(seed);
  random.fill({content.data() + 6, content.size() - 6});
  return content;
}

// Decodes make_other's images; content that begins with "CALL" runs `call`; "STORE" is stored as
// zeros; everything else is no image. With `finishes`, a value v is stored as 255 - v.
class FakeCode final : public ForeignCode {
 public:
  explicit FakeCode(size_t sample_values, bool finishes = false)
      : sample_values_(sample_values), finishes_(finishes) {}

  // What content "CALL..." does, on a worker. Set before the first submit.
  std::function<Status(const std::string& content)> call;

  Status decode_other(std::span<const uint8_t> content, uint8_t* destination, const double*,
                      OtherImage& image) override {
    const std::string text(content.begin(), content.end());
    if (text.starts_with("CALL")) {
      std::fill_n(destination, sample_values_, uint8_t{1});
      image.stored = true;
      return call(text);
    }
    if (text.starts_with("STORE")) {
      std::fill_n(destination, sample_values_, uint8_t{0});
      image.stored = true;
      return {};
    }
    if (!text.starts_with("PIX")) return {StatusCode::kBadImage, "not an image"};
    const auto digit = [&](size_t at) { return text[at] - '0'; };
    auto pixels = std::make_shared<std::vector<uint8_t>>(content.begin() + 6, content.end());
    image.view = {.data = pixels->data(),
                  .size = {digit(3), digit(4)},
                  .channels = digit(5),
                  .stride = digit(3) * digit(5)};
    image.owner = std::move(pixels);
    return {};
  }
  Status check_beginning(std::span<const uint8_t> beginning) override {
    if (beginning[0] == 'P') return {};
    return {StatusCode::kBadImage, "not an image"};
  }
  uint64_t memory_needed(std::span<const uint8_t>, uint64_t size) override { return size; }
  bool has_finish() const override { return finishes_; }
  bool wants_transformed() const override { return true; }
  Status finish(const float* image, uint8_t* destination, const double*) override {
    for (size_t i = 0; i < sample_values_; ++i) {
      destination[i] = static_cast<uint8_t>(255 - static_cast<int>(image[i]));
    }
    return {};
  }

 private:
  const size_t sample_values_;
  const bool finishes_;
};

// A folder of good images of every kind, and what each becomes.
class ImageFolder {
 public:
  explicit ImageFolder(SampleSpec spec, bool finishes = false)
      : spec_(std::move(spec)), finishes_(finishes) {
    uint32_t seed = 0;
    for (JpegColor color : {JpegColor::kYcc, JpegColor::kGray, JpegColor::kCmyk}) {
      for (int variant = 0; variant < 4; ++variant, ++seed) {
        const int size = 20 + 17 * static_cast<int>(seed % 5);
        add(make_jpeg({.size = {size, 70 - size / 2},
                       .color = color,
                       .luma_h = color == JpegColor::kYcc ? 1 + variant % 2 : 1,
                       .luma_v = color == JpegColor::kYcc ? 1 + variant / 2 : 1,
                       .progressive = variant == 3,
                       .seed = seed}));
      }
    }
    add(make_other(7, 9, 3, 1));
    add(make_other(5, 2, 3, 2));
    add(make_other(9, 9, 1, 3));
  }

  // Appends any content; returns its index. Good content knows its sample's bytes.
  int64_t add(const std::vector<uint8_t>& content) {
    const std::string name = "image" + std::to_string(paths_.size());
    paths_.push_back(folder_.write(name, content));
    FakeCode code(spec_.layout.values(), finishes_);
    code.call = [](const std::string&) { return Status(); };
    SampleMaker maker(spec_, code, SimdLevel::kScalar);
    MemorySource source(content);
    WorkerCounters counters;
    samples_.emplace_back(spec_.layout.bytes());
    const Status status = maker.make(source, nullptr, samples_.back().data(), counters);
    if (!status.ok()) samples_.back().clear();
    return size() - 1;
  }
  int64_t add(const std::string& text) {
    return add(std::vector<uint8_t>(text.begin(), text.end()));
  }
  int64_t add_missing() {
    paths_.push_back(folder_.path("missing"));
    samples_.emplace_back();
    return size() - 1;
  }

  int64_t size() const { return static_cast<int64_t>(paths_.size()); }
  // Whether the sample at `bytes` is that of image `index`.
  bool is_sample(int64_t index, const uint8_t* bytes) const {
    const std::vector<uint8_t>& sample = samples_[static_cast<size_t>(index)];
    return !sample.empty() && std::equal(sample.begin(), sample.end(), bytes);
  }
  // Whether a batch holds these images.
  bool is_batch(const std::vector<int64_t>& indices, const uint8_t* bytes) const {
    for (const int64_t index : indices) {
      if (!is_sample(index, bytes)) return false;
      bytes += spec_.layout.bytes();
    }
    return true;
  }

  std::shared_ptr<FakeCode> code() const {
    return std::make_shared<FakeCode>(spec_.layout.values(), finishes_);
  }
  std::shared_ptr<Pool> pool(int num_threads, int depth, std::shared_ptr<FakeCode> foreign,
                             std::shared_ptr<ImageCache> cache = nullptr, bool read_ahead = true,
                             OnError on_error = OnError::kRaise) const {
    PoolConfig config;
    config.on_error = on_error;
    config.cache = std::move(cache);
    config.read_ahead = read_ahead;
    for (const std::string& path : paths_) config.paths.add(path);
    config.spec = spec_;
    config.num_threads = num_threads;
    config.depth = depth;
    return std::make_shared<Pool>(std::move(config), std::move(foreign));
  }
  std::shared_ptr<Pool> pool(int num_threads, int depth,
                             std::shared_ptr<ImageCache> cache = nullptr) const {
    return pool(num_threads, depth, code(), std::move(cache));
  }

 private:
  const SampleSpec spec_;
  const bool finishes_;
  TemporaryFolder folder_;
  std::vector<std::string> paths_;
  std::vector<std::vector<uint8_t>> samples_;  // empty: the image is bad
};

inline SampleSpec small_spec() {
  SampleSpec spec;
  spec.layout = {.size = {24, 20}, .channels = 3};
  spec.filter = Filter::kBilinear;
  return spec;
}

// Submits a batch without transforms.
inline uint64_t submit(Pool& pool, std::vector<int64_t> indices) {
  return pool.submit(std::move(indices), {});
}

// Waits for a batch without end.
inline Fetched wait_for(Pool& pool, uint64_t ticket) {
  Fetched fetched;
  while (!pool.fetch(ticket, std::chrono::milliseconds(1000), fetched)) {
  }
  return fetched;
}

// `count` indices of the first `limit` images, shuffled, with repeats.
inline std::vector<int64_t> random_batch(Random& random, int count, int64_t limit) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (int64_t& index : indices) index = random.below(static_cast<int>(limit));
  return indices;
}

}  // namespace pyloader::testing
