#include "loader/sample_maker.h"

#include <cstring>

#include "image/color.h"
#include "io/file_source.h"

namespace pyloader {
namespace {

SampleLayout float_layout(SampleLayout layout) {
  layout.item_size = sizeof(float);
  return layout;
}

StoreTable make_float_table() {
  std::vector<float> values(256);
  for (size_t i = 0; i < 256; ++i) values[i] = static_cast<float>(i);
  return StoreTable({reinterpret_cast<const uint8_t*>(values.data()), 256 * sizeof(float)}, true);
}

AugmentSpec without_statistics(const AugmentSpec& spec) {
  return {.fill_mode = spec.fill_mode, .cval = spec.cval, .order = spec.order, .exact = true};
}

RowForm form_of(JpegPixels pixels) {
  switch (pixels) {
    case JpegPixels::kGray: return RowForm::kGray;
    case JpegPixels::kPlanes: return RowForm::kPlanes;
    case JpegPixels::kColor:
    case JpegPixels::kInvertedCmyk: break;
  }
  return RowForm::kColor;
}

}  // namespace

SampleMaker::SampleMaker(const SampleSpec& spec, ForeignCode& foreign, SimdLevel level,
                         LargeImages* large_images)
    : spec_(spec),
      foreign_(foreign),
      kernels_(image_kernels(level)),
      large_images_(large_images),
      float_table_(make_float_table()),
      decoder_(level),
      resizer_(level),
      plane_resizer_(level),
      store_(spec.layout, spec.table, level),
      float_store_(float_layout(spec.layout), float_table_, level),
      warp_only_(without_statistics(spec.augment)),
      augmenter_(spec.layout, spec.augment, spec.target, level),
      float_augmenter_(float_layout(spec.layout), warp_only_, FloatTarget::kFloat32, level),
      keeper_(spec.layout, level) {
  decoder_.limit(spec.limits);
  if (foreign.has_finish()) float_image_.resize(spec.layout.values());
}

// Waits until this image may take so much. See Note [large images].
Status SampleMaker::take_memory(uint64_t bytes) {
  if (large_images_ == nullptr) return {};
  if (!large_images_->fits(bytes)) {
    const auto in_mb = [](uint64_t amount) {
      return std::to_string((amount + 999'999) / 1'000'000);
    };
    return {StatusCode::kTooLarge, "decoding it takes " + in_mb(bytes) +
                                       " MB, and memory_limit leaves " +
                                       in_mb(large_images_->room()) + " MB for large images"};
  }
  hold_ = large_images_->take(bytes);
  return {};
}

// Which steps the sample's transform and the statistics ask the core for.
void SampleMaker::choose_steps(const double* transform) {
  transform_given_ = transform_row_ = transform;
  transform_ = {};
  const bool ours = !foreign_.has_finish() || foreign_.wants_transformed();
  if (transform != nullptr && ours) {
    transform_ = transform_from_row(
        std::span<const double, SampleTransform::kColumns>(transform, SampleTransform::kColumns));
    transform_row_ = nullptr;  // nothing is left of it for `finish`
  }
  augments_ = !transform_.is_identity() || (!foreign_.has_finish() && spec_.augment.standardises());
}

bool may_be_loaded_truncated(const Status& status, bool load_truncated) {
  return load_truncated && status.code() == StatusCode::kBadImage;
}

Status SampleMaker::make(ByteSource& source, const double* transform, uint8_t* destination,
                         WorkerCounters& counters) {
  choose_steps(transform);
  resized_ = {};
  if (source.window().empty()) return {StatusCode::kBadImage, "the file is empty"};
  if (looks_like_jpeg(source.window())) {
    Status status = make_jpeg(source, destination, counters);
    const bool own = decoder_.decoded_by() == EntropyDecoder::kOwn;
    WorkerCounters::add(own ? counters.jpegs_own : counters.jpegs_libjpeg, 1);
    decoder_.close();
    trim();
    hold_.give_back();
    if (!may_be_loaded_truncated(status, spec_.load_truncated)) return status;
    resized_ = {};
    if (Status again = read_again(source); !again.ok()) return again;
  }
  Status status = make_other(source, destination, counters);
  hold_.give_back();
  return status;
}

// Sets the box of the sample that the image fills.
ResizeRequest SampleMaker::request_for(Size source) {
  Size target = spec_.layout.size;
  if (spec_.pad_to_aspect_ratio) {
    fitted_box_ = fitted_box(source, target);
    target = {fitted_box_.right - fitted_box_.left, fitted_box_.bottom - fitted_box_.top};
  }
  return {.source = source,
          .target = target,
          .filter = spec_.filter,
          .keep_aspect_ratio = spec_.keep_aspect_ratio};
}

// The sink of resized rows, which frames them where they are padded. See request_for.
RowSink& SampleMaker::begin_resized(bool gray, bool premultiplied, uint8_t* destination,
                                    int& row_channels) {
  if (!spec_.pad_to_aspect_ratio) return begin_kept(gray, premultiplied, destination, row_channels);
  const bool becomes_rgba = gray && spec_.layout.channels == 4;
  int channels = 0;
  RowSink& sink = begin_kept(gray && !becomes_rgba, premultiplied, destination, channels);
  row_channels = gray ? 1 : channels;
  framer_.begin(spec_.layout.size, fitted_box_, row_channels, channels, sink);
  return framer_;
}

// The sink of rows of the whole resized image, which keeps them for a cache where one is in use.
RowSink& SampleMaker::begin_kept(bool gray, bool premultiplied, uint8_t* destination,
                                 int& row_channels) {
  RowSink& sink = begin_sink(gray, premultiplied, destination, row_channels);
  if (!keeps_) return sink;
  resized_ = {.pixels = destination, .was_gray = gray};
  if (stores_resized()) return sink;
  resized_.pixels = keeper_.memory();
  keeper_.begin(row_channels, premultiplied, sink);
  return keeper_;
}

// Points the planned resize at the right sink.
void SampleMaker::begin_rows(RowForm form, bool premultiplied, bool picked, uint8_t* destination) {
  int channels = 0;
  RowSink& sink = begin_resized(form == RowForm::kGray, premultiplied, destination, channels);
  resizer_.begin(plan_, form, channels, sink, picked);
}

// Where resized rows of this sample go, and how many channels (1, 3 or 4) they are to have.
RowSink& SampleMaker::begin_sink(bool gray, bool premultiplied, uint8_t* destination,
                                 int& row_channels) {
  const bool to_finish = foreign_.has_finish();
  const int channels = gray ? 1 : spec_.layout.channels;
  row_channels = channels;
  SampleStore& store = to_finish ? float_store_ : store_;
  uint8_t* out = to_finish ? reinterpret_cast<uint8_t*>(float_image_.data()) : destination;
  store.begin(out, channels, premultiplied && !augments_);
  if (!augments_) return store;
  Augmenter& augmenter = to_finish ? float_augmenter_ : augmenter_;
  // The warp takes 4-byte pixels.
  if (!gray && augmenter.wants_wide_rows(transform_)) row_channels = 4;
  augmenter.begin(transform_, channels, row_channels, store, out);
  if (!premultiplied) return augmenter;
  unpremultiplier_.begin(spec_.layout.size.width, augmenter);
  return unpremultiplier_;
}

// Whether nothing happens to resized pixels on their way into the batch.
bool SampleMaker::stores_resized() const {
  const SampleLayout& layout = spec_.layout;
  return !augments_ && !foreign_.has_finish() && spec_.table.is_identity &&
         (!layout.channels_first || layout.channels == 1);
}

bool SampleMaker::is_resized_image(const double* transform) {
  choose_steps(transform);
  return stores_resized();
}

Status SampleMaker::make_from_resized(const ResizedImage& image, const double* transform,
                                      uint8_t* destination, WorkerCounters& counters) {
  choose_steps(transform);
  Stopwatch watch;
  const int width = spec_.layout.size.width, channels = spec_.layout.channels;
  const bool one_of_many = image.was_gray && channels > 1;
  int row_channels = 0;
  RowSink& sink = begin_sink(image.was_gray, false, destination, row_channels);
  uint8_t* own = converted_.require(align_up(static_cast<size_t>(width) * 4 + kRowSlack));
  for (int y = 0; y < spec_.layout.size.height; ++y) {
    const uint8_t* row = image.pixels + ptrdiff_t{y} * width * channels;
    if (one_of_many) {
      for (ptrdiff_t x = 0; x < width; ++x) own[x] = row[x * channels];
      row = own;
    } else if (row_channels == 4 && channels == 3) {
      color_from_rgb(row, own, width);
      row = own;
    }
    sink.accept(y, row);
  }
  trim();
  Status status = finish_sample(destination);
  WorkerCounters::add(foreign_.has_finish() ? counters.hook_ns : counters.resize_ns, watch.lap());
  return status;
}

void SampleMaker::trim() {
  resizer_.trim();
  plane_resizer_.trim();
  augmenter_.trim();
  float_augmenter_.trim();
  converted_.shrink_to(kKeptScratch);
}

// After the last row.
Status SampleMaker::finish_sample(uint8_t* destination) {
  const bool to_finish = foreign_.has_finish();
  if (augments_) (to_finish ? float_augmenter_ : augmenter_).finish();
  if (!to_finish) return {};
  return foreign_.finish(float_image_.data(), destination, transform_row_);
}

Status SampleMaker::make_jpeg(ByteSource& source, uint8_t* destination, WorkerCounters& counters) {
  Stopwatch watch;
  JpegHeader header;
  if (Status status = decoder_.open(source, header); !status.ok()) return status;
  if (Status status = take_memory(decoder_.memory_needed()); !status.ok()) return status;
  const bool to_gray = spec_.layout.channels == 1;
  const ResizeRequest request = request_for(header.size);
  if (spec_.fidelity == Fidelity::kFast && PlaneResizer::suits(header, request)) {
    return make_jpeg_fast(header, destination, counters);
  }
  plan_ = make_resize_plan(request, plans_);
  // Nearest takes some columns only, and nothing else looks at the others.
  const bool picks = header.picks_columns && plan_.kind == ResizePlan::Kind::kNearest;
  begin_rows(to_gray ? RowForm::kGray : form_of(header.pixels), false, picks, destination);
  decoder_.want(plan_.needed_rows, picks ? plan_.columns : std::span<const int32_t>());
  const int width = picks ? plan_.target.width : header.size.width;

  uint64_t decode_ns = 0, resize_ns = watch.lap();
  while (!resizer_.done()) {
    RowBand band;
    Status status = decoder_.read(band);
    decode_ns += watch.lap();
    if (!status.ok()) return status;
    push_jpeg_rows(band, header.pixels, width);
    resize_ns += watch.lap();
  }
  Status status = decoder_.finish();
  WorkerCounters::add(counters.decode_ns, decode_ns + watch.lap());
  if (status.ok()) status = finish_sample(destination);
  WorkerCounters::add(foreign_.has_finish() ? counters.hook_ns : counters.resize_ns, watch.lap());
  WorkerCounters::add(counters.resize_ns, resize_ns);
  return status;
}

// Planes are resized before they are converted.
Status SampleMaker::make_jpeg_fast(const JpegHeader& header, uint8_t* destination,
                                   WorkerCounters& counters) {
  Stopwatch watch;
  const bool gray = spec_.layout.channels == 1 || header.planes == 1;
  int channels = 0;
  plane_resizer_.begin(header, request_for(header.size), gray, plans_, decoder_);
  RowSink& sink = begin_resized(gray, false, destination, channels);
  uint64_t decode_ns = 0, resize_ns = watch.lap();
  for (PlaneBand band; !plane_resizer_.done() && !band.last;) {
    Status status = decoder_.read_planes(band);
    decode_ns += watch.lap();
    if (!status.ok()) return status;
    plane_resizer_.push(band, plans_);
    resize_ns += watch.lap();
  }
  Status status = decoder_.finish();
  WorkerCounters::add(counters.decode_ns, decode_ns + watch.lap());
  if (status.ok()) {
    plane_resizer_.finish(decoder_, channels, sink);
    status = finish_sample(destination);
  }
  WorkerCounters::add(foreign_.has_finish() ? counters.hook_ns : counters.resize_ns, watch.lap());
  WorkerCounters::add(counters.resize_ns, resize_ns);
  return status;
}

// Rows in the decoder's form, converted where the resizer needs another: CMYK to RGB, RGB to gray.
void SampleMaker::push_jpeg_rows(const RowBand& band, JpegPixels pixels, int width) {
  const bool to_gray = spec_.layout.channels == 1;
  const bool from_cmyk = pixels == JpegPixels::kInvertedCmyk;
  if (pixels == JpegPixels::kGray || (!from_cmyk && !to_gray)) {
    resizer_.push(band.rows, band.count, band.plane_stride);
    return;
  }
  const size_t stride = align_up(static_cast<size_t>(width) * 4 + kRowSlack);
  uint8_t* memory = converted_.require(stride * static_cast<size_t>(band.count));
  converted_rows_.resize(static_cast<size_t>(band.count));
  for (size_t r = 0; r < converted_rows_.size(); ++r, memory += stride) {
    const uint8_t* row = band.rows[r];
    converted_rows_[r] = row == nullptr ? nullptr : memory;
    if (row == nullptr) continue;
    if (from_cmyk) {
      color_from_inverted_cmyk(row, memory, width);
      row = memory;
    }
    if (pixels == JpegPixels::kPlanes) {
      const uint8_t *green = row + band.plane_stride, *blue = green + band.plane_stride;
      kernels_.gray_from_planes(row, green, blue, memory, width);
    } else if (to_gray) {
      kernels_.gray_from_color(row, memory, width);
    }
  }
  resizer_.push(converted_rows_.data(), band.count);
}

// Where only the end of a file tells how large its image is, it is read twice: who waits for memory
// holds none.
Status SampleMaker::take_memory_for_other(ByteSource& source) {
  constexpr uint64_t kCopies = 4;
  if (uint64_t bytes = foreign_.memory_needed(source.window(), source.size()); bytes != 0) {
    return take_memory(bytes);
  }
  if (Status status = take_memory(kCopies * source.size()); !status.ok()) return status;
  if (Status status = read_all(source, kMaxOtherFile, content_); !status.ok()) return status;
  const uint64_t bytes = foreign_.memory_needed(content_, content_.size());
  std::vector<uint8_t>().swap(content_);
  hold_.give_back();
  if (Status status = take_memory(bytes); !status.ok()) return status;
  return read_again(source);
}

Status SampleMaker::make_other(ByteSource& source, uint8_t* destination, WorkerCounters& counters) {
  Stopwatch watch;
  content_.clear();
  if (Status status = check_other(source, foreign_); !status.ok()) return status;
  if (large_images_ != nullptr && large_images_->bounded()) {
    if (Status status = take_memory_for_other(source); !status.ok()) return status;
  }
  if (Status status = read_all(source, kMaxOtherFile, content_); !status.ok()) return status;
  WorkerCounters::add(counters.read_ns, watch.lap());
  OtherImage image;
  Status status = foreign_.decode_other(content_, destination, transform_given_, image);
  if (content_.capacity() > kKeptScratch) std::vector<uint8_t>().swap(content_);
  WorkerCounters::add(counters.other_ns, watch.lap());
  if (!status.ok() || image.stored) return status;
  status = make_decoded(image, destination);
  if (!image.cacheable) resized_ = {};
  WorkerCounters::add(counters.resize_ns, watch.lap());
  return status;
}

Status SampleMaker::make_from_image(const OtherImage& image, const double* transform,
                                    uint8_t* destination) {
  choose_steps(transform);
  return make_decoded(image, destination);
}

Status SampleMaker::make_from_floats(const float* image, const double* transform,
                                     uint8_t* destination, WorkerCounters& counters) {
  choose_steps(transform);
  Stopwatch watch;
  Status status;
  if (!foreign_.has_finish()) {
    augmenter_.run(transform_, image, destination);
    augmenter_.trim();
  } else if (augments_) {
    float_augmenter_.run(transform_, image, reinterpret_cast<uint8_t*>(float_image_.data()));
    float_augmenter_.trim();
    status = foreign_.finish(float_image_.data(), destination, transform_row_);
  } else {
    status = foreign_.finish(image, destination, transform_row_);
  }
  WorkerCounters::add(foreign_.has_finish() ? counters.hook_ns : counters.resize_ns, watch.lap());
  return status;
}

Status SampleMaker::make_decoded(const OtherImage& image, uint8_t* destination) {
  const ImageView& view = image.view;
  const int width = view.size.width;
  const int channels = view.channels == 1 ? 1 : 4;
  plan_ = make_resize_plan(request_for(view.size), plans_);
  // Pillow resizes RGBA with its colours multiplied by alpha, but for nearest.
  const bool premultiplied = view.channels == 4 && plan_.kind == ResizePlan::Kind::kFilter;
  begin_rows(channels == 1 ? RowForm::kGray : RowForm::kColor, premultiplied, false, destination);

  uint8_t* row = converted_.require(align_up(static_cast<size_t>(width) * 4 + kRowSlack));
  for (int y = 0; y < view.size.height && !resizer_.done(); ++y) {
    if (channels == 1) {
      std::memcpy(row, view.row(y), static_cast<size_t>(width));
    } else if (view.channels == 3) {
      color_from_rgb(view.row(y), row, width);
    } else if (premultiplied) {
      premultiply(view.row(y), row, width);
    } else {
      std::memcpy(row, view.row(y), static_cast<size_t>(width) * 4);
    }
    const uint8_t* rows[] = {row};
    resizer_.push(rows, 1);
  }
  trim();
  return finish_sample(destination);
}

}  // namespace pyloader
