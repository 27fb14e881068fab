#include "loader/cached_samples.h"

#include <cstring>

#include "io/file_source.h"

namespace pyloader {
namespace {

// To be raised when decoding or resizing gives other pixels than before.
constexpr int kPixelsVersion = 1;

const char* name_of(Filter filter) {
  switch (filter) {
    case Filter::kNearest: return "nearest";
    case Filter::kBox: return "box";
    case Filter::kBilinear: return "bilinear";
    case Filter::kHamming: return "hamming";
    case Filter::kBicubic: return "bicubic";
    case Filter::kLanczos: break;
  }
  return "lanczos";
}

// Fast pixels depend on who decodes.
const char* name_of(Fidelity fidelity) {
  if (fidelity == Fidelity::kExact) return "exact";
  return entropy_decoder() == EntropyDecoder::kOwn ? "fast" : "fast_libjpeg";
}

const char* name_of_fit(const SampleSpec& spec) {
  if (spec.pad_to_aspect_ratio) return "pad";
  return spec.keep_aspect_ratio ? "crop" : "stretch";
}

const char* name_of_mode(int channels) {
  return channels == 1 ? "grayscale" : channels == 3 ? "rgb" : "rgba";
}

}  // namespace

CacheFormat cache_format(const SampleSpec& spec) {
  const SampleLayout& layout = spec.layout;
  const std::string name = std::to_string(layout.size.height) + "x" +
                           std::to_string(layout.size.width) + "-" + name_of_mode(layout.channels) +
                           "-" + name_of(spec.filter) + "-" + name_of_fit(spec) + "-" +
                           name_of(spec.fidelity) + (spec.load_truncated ? "-truncated" : "") +
                           "-v" + std::to_string(kPixelsVersion);
  return {.name = name, .bytes = layout.values()};
}

bool CachedSamples::make(const char* path, const double* transform, uint8_t* destination,
                         SampleMaker& maker, WorkerCounters& counters, Status& status,
                         CacheMiss& miss) const {
  if (!cache_) return false;
  Stopwatch watch;
  const bool is_image = maker.is_resized_image(transform);
  ResizedImage image;
  if (identify(path, miss.identity)) {
    uint8_t* buffer = is_image ? destination : maker.resized_memory();
    miss.key = make_cache_key(base_, path, miss.identity);
    image.pixels = cache_->read(miss.key, buffer, image.was_gray);
    miss.keepable = image.pixels == nullptr && is_settled(miss.identity);
  }
  const bool found = image.pixels != nullptr;
  if (found && is_image && image.pixels != destination) {
    std::memcpy(destination, image.pixels, maker.resized_bytes());
  }
  WorkerCounters::add(found ? counters.cache_hits : counters.cache_misses, 1);
  WorkerCounters::add(counters.cache_ns, watch.lap());
  if (found && !is_image) {
    status = maker.make_from_resized(image, transform, destination, counters);
  }
  return found;
}

void CachedSamples::keep(const char* path, const CacheMiss& miss, const FileIdentity& opened,
                         const ResizedImage& image, WorkerCounters& counters) const {
  if (!miss.keepable || image.pixels == nullptr || opened != miss.identity) return;
  Stopwatch watch;
  FileIdentity now;
  if (identify(path, now) && now == opened) {
    cache_->write(miss.key, image.pixels, image.was_gray);
  }
  WorkerCounters::add(counters.cache_ns, watch.lap());
}

}  // namespace pyloader
