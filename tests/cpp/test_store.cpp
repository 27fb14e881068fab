// The final store is judged by plain loops over rows, channels and tables.
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "image/color.h"
#include "image/sample_store.h"
#include "inputs.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

struct NamedTable {
  std::string name;
  StoreTable table;
};

StoreTable float_table(float scale, float shift) {
  std::vector<uint8_t> bytes(256 * sizeof(float));
  for (size_t i = 0; i < 256; ++i) {
    const float value = static_cast<float>(i) * scale + shift;
    std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(float));
  }
  return StoreTable(bytes, true);
}

// Identity, linear and bent floats, and noise of every item size.
std::vector<NamedTable> all_tables() {
  std::vector<NamedTable> tables;
  tables.push_back({"identity", StoreTable::identity()});
  tables.push_back({"float", float_table(1.0f, 0.0f)});
  tables.push_back({"float / 255", float_table(1.0f / 255.0f, 0.0f)});
  tables.push_back({"shifted float", float_table(1.0f / 127.5f, -1.0f)});
  Random random(21);
  for (const size_t item_size : {1, 2, 4, 8, 16}) {
    std::vector<uint8_t> values(256 * item_size);
    random.fill(values);
    tables.push_back({"noise of " + std::to_string(item_size), StoreTable(values, false)});
  }
  return tables;
}

// What a byte pixel of the layout is for a row pixel.
std::array<uint8_t, 4> layout_pixel(const uint8_t* pixel, int channels, bool premultiplied) {
  std::array<uint8_t, 4> out = {};
  if (premultiplied) {
    unpremultiply(pixel, out.data(), 1);
  } else if (channels == 1) {
    out = {pixel[0], pixel[0], pixel[0], 255};
  } else {
    out = {pixel[0], pixel[1], pixel[2], channels == 4 ? pixel[3] : uint8_t{255}};
  }
  return out;
}

void compare(const SampleLayout& layout, const NamedTable& named, SimdLevel level, int channels,
             bool premultiplied, Random& random) {
  const int width = layout.size.width, height = layout.size.height;
  const size_t item = layout.item_size;
  SampleStore store(layout, named.table, level);
  std::vector<uint8_t> expected(layout.bytes());
  // Page-locked memory ends where the batch ends: so does this block.
  const std::unique_ptr<uint8_t[]> actual(new uint8_t[layout.bytes()]);
  for (int sample = 0; sample < 2; ++sample) {
    store.begin(actual.get(), channels, premultiplied);
    for (int y = 0; y < height; ++y) {
      ExactRows row(1, static_cast<size_t>(width * channels), random);
      store.accept(y, row[0]);
      for (int x = 0; x < width; ++x) {
        const auto pixel = layout_pixel(row[0] + x * channels, channels, premultiplied);
        for (int c = 0; c < layout.channels; ++c) {
          const int index = layout.channels_first ? (c * height + y) * width + x
                                                  : (y * width + x) * layout.channels + c;
          std::memcpy(expected.data() + static_cast<size_t>(index) * item,
                      named.table.values.data() + pixel[static_cast<size_t>(c)] * item, item);
        }
      }
    }
    check(std::memcmp(actual.get(), expected.data(), expected.size()) == 0,
          std::string(simd_level_name(level)) + ", " + named.name + ", " + std::to_string(width) +
              " wide, " + std::to_string(channels) + " to " + std::to_string(layout.channels) +
              (layout.channels_first ? ", planes" : "") + (premultiplied ? ", multiplied" : ""));
  }
}

void every_layout_and_table() {
  Random random(22);
  const std::vector<NamedTable> tables = all_tables();
  for (SimdLevel level : all_levels()) {
    for (const NamedTable& named : tables) {
      for (const int width : {1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 33, 64, 65}) {
        for (const bool channels_first : {false, true}) {
          const auto layout = [&](int channels) {
            return SampleLayout{.size = {width, 3},
                                .channels = channels,
                                .channels_first = channels_first,
                                .item_size = named.table.item_size};
          };
          compare(layout(1), named, level, 1, false, random);
          compare(layout(3), named, level, 1, false, random);
          compare(layout(3), named, level, 3, false, random);
          compare(layout(4), named, level, 1, false, random);
          compare(layout(4), named, level, 3, false, random);
          compare(layout(4), named, level, 4, false, random);
          compare(layout(4), named, level, 4, true, random);
        }
      }
    }
  }
}

void shortcuts_are_taken_only_where_they_are_true() {
  check(StoreTable::identity().is_identity, "identity");
  check(float_table(1.0f / 255.0f, 0.0f).is_linear_float, "scaled");
  check(!float_table(1.0f / 255.0f, 0.5f).is_linear_float, "shifted");
  std::vector<uint8_t> values = StoreTable::identity().values;
  values[255] = 254;
  check(!StoreTable(values, false).is_identity, "almost the identity");
  std::vector<uint8_t> floats = float_table(2.0f, 0.0f).values;
  check(!StoreTable(floats, false).is_linear_float, "not known to be float");
  floats.back() ^= 1;
  check(!StoreTable(floats, true).is_linear_float, "almost linear");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"every layout, dtype table and channel count is stored as plain loops would",
           every_layout_and_table},
          {"shortcuts are taken only where they are true",
           shortcuts_are_taken_only_where_they_are_true},
      });
}
