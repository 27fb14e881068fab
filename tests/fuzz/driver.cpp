// A main for the fuzz targets where there is no libFuzzer: inputs of a corpus, changed at random,
// without a view of what they reach. Takes libFuzzer's arguments:
//
//     fuzz_x [-runs=N] [-max_total_time=SECONDS] [-seed=N] [-max_len=N] [-artifact_prefix=P]
//            FOLDER ...          changes the inputs in these folders
//     fuzz_x FILE ...            runs these inputs as they are
//
// An input that ends the process is left in a file, whose path is printed.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "inputs.h"

using namespace pyloader::testing;

namespace fs = std::filesystem;

extern "C" [[gnu::weak]] size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                                        unsigned seed);
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr unsigned kMostSeconds = 60;  // that one input may take

using Bytes = std::vector<uint8_t>;

struct Options {
  long runs = -1;
  long seconds = 0;
  uint32_t seed = 1;
  size_t max_size = 4096;
  std::string artifacts = "./";
  std::vector<fs::path> paths;
};

// What is running; read when the process dies.
std::string artifact_prefix;
Bytes present;
bool left_behind = false;

void leave_input_behind() {
  if (left_behind) return;
  left_behind = true;
  uint64_t name = 0xCBF29CE484222325;
  for (const uint8_t byte : present) name = (name ^ byte) * 0x100000001B3;
  char path[4096];
  std::snprintf(path, sizeof(path), "%scrash-%016llx", artifact_prefix.c_str(),
                static_cast<unsigned long long>(name));
  if (std::FILE* file = std::fopen(path, "wb")) {
    std::fwrite(present.data(), 1, present.size(), file);
    std::fclose(file);
  }
  std::fprintf(stderr, "Test unit written to %s\n", path);
}

void on_signal(int number) {
  if (number == SIGALRM) std::fprintf(stderr, "FINDING: more than %u seconds\n", kMostSeconds);
  leave_input_behind();
  std::signal(number, SIG_DFL);
  std::raise(number == SIGALRM ? SIGABRT : number);
}

Bytes read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// In a heap block that ends where the input ends.
void run(const Bytes& input) {
  present = input;
  ::alarm(kMostSeconds);
  const ExactCopy copy(input);
  LLVMFuzzerTestOneInput(copy.view().data(), input.size());
  ::alarm(0);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&](std::string_view name) -> const char* {
      return argument.starts_with(name) ? argv[i] + name.size() : nullptr;
    };
    if (const char* runs = value("-runs=")) {
      options.runs = std::atol(runs);
    } else if (const char* time = value("-max_total_time=")) {
      options.seconds = std::atol(time);
    } else if (const char* seed = value("-seed=")) {
      options.seed = static_cast<uint32_t>(std::atol(seed));
    } else if (const char* most = value("-max_len=")) {
      options.max_size = static_cast<size_t>(std::atol(most));
    } else if (const char* prefix = value("-artifact_prefix=")) {
      options.artifacts = prefix;
    } else if (!argument.starts_with("-")) {
      options.paths.emplace_back(argument);
    }
  }
  return options;
}

Random& mutations() {
  static Random random(1);
  return random;
}

Bytes mutated(const std::vector<Bytes>& corpus, size_t max_size, Random& random) {
  Bytes input = corpus[random.next() % corpus.size()];
  for (int n = random.below(6); n > 0; --n) {
    size_t size = std::min(input.size(), max_size);
    input.resize(max_size);
    size = LLVMFuzzerCustomMutator != nullptr
               ? LLVMFuzzerCustomMutator(input.data(), size, max_size, random.next())
               : LLVMFuzzerMutate(input.data(), size, max_size);
    input.resize(size);
  }
  return input;
}

}  // namespace

// One change of a kind that knows nothing of the content.
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) {
  Random& random = mutations();
  if (size == 0) {
    if (max_size > 0) data[0] = static_cast<uint8_t>(random.next());
    return std::min<size_t>(max_size, 1);
  }
  uint8_t* at = data + random.next() % size;
  const auto left = static_cast<size_t>(data + size - at);
  const size_t count = 1 + random.next() % std::min<size_t>(left, 32);
  switch (random.below(7)) {
    case 0: *at ^= static_cast<uint8_t>(1 << random.below(8)); return size;
    case 1: *at = static_cast<uint8_t>(random.next()); return size;
    case 2: *at = static_cast<uint8_t>(*at + random.between(-4, 4)); return size;
    case 3: std::fill_n(at, count, static_cast<uint8_t>(random.below(2) * 255)); return size;
    case 4: std::memmove(at, data + random.next() % (size - count + 1), count); return size;
    case 5:
      if (size + count > max_size) return size;
      std::memmove(at + count, at, left);
      random.fill({at, count});
      return size + count;
    default:
      if (count == size) return size;
      std::memmove(at, at + count, left - count);
      return size - count;
  }
}

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  artifact_prefix = options.artifacts;
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(leave_input_behind);
  for (const int number : {SIGABRT, SIGALRM}) std::signal(number, on_signal);

  std::vector<Bytes> corpus;
  for (const fs::path& path : options.paths) {
    if (!fs::is_directory(path)) {
      run(read_file(path));
      std::fprintf(stderr, "%s: no finding\n", path.c_str());
      continue;
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) corpus.push_back(read_file(file));
  }
  if (corpus.empty()) return 0;

  long done = 0;
  for (; done < static_cast<long>(corpus.size()); ++done) run(corpus[static_cast<size_t>(done)]);
  Random random(options.seed);
  mutations() = Random(options.seed + 1);
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::seconds time(options.seconds);
  for (; options.runs < 0 || done < options.runs; ++done) {
    if (options.seconds > 0 && std::chrono::steady_clock::now() - start >= time) break;
    run(mutated(corpus, options.max_size, random));
  }
  std::fprintf(stderr, "stat::number_of_executed_units: %ld\n", done);
  return 0;
}
