#include "cache/cache_key.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>

namespace pyloader {
namespace {

// SipHash-2-4 with 128 bits of result (Aumasson, Bernstein) over words and texts.
class Digest {
 public:
  void add(uint64_t word) {
    state_[3] ^= word;
    round();
    round();
    state_[0] ^= word;
  }

  // A text ends with a word that holds its length, so that two of them never run together.
  void add(std::string_view text) {
    uint64_t word = 0;
    const uint64_t length = text.size();
    for (; text.size() >= sizeof(word); text.remove_prefix(sizeof(word))) {
      std::memcpy(&word, text.data(), sizeof(word));
      add(word);
    }
    word = length << 56;
    std::memcpy(&word, text.data(), text.size());
    add(word);
  }

  CacheKey finish() {
    state_[2] ^= 0xee;
    CacheKey key;
    key.high = squeeze();
    state_[1] ^= 0xdd;
    key.low = squeeze();
    if (key.high == 0) key.high = 1;
    return key;
  }

 private:
  uint64_t squeeze() {
    for (int i = 0; i < 4; ++i) round();
    return state_[0] ^ state_[1] ^ state_[2] ^ state_[3];
  }

  void round() {
    auto& [a, b, c, d] = state_;
    a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
    c += d, d = std::rotl(d, 16) ^ c;
    a += d, d = std::rotl(d, 21) ^ a;
    c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
  }

  std::array<uint64_t, 4> state_ = {0x736f6d6570736575, 0x646f72616e646f6d ^ 0xee,
                                    0x6c7967656e657261, 0x7465646279746573};
};

}  // namespace

CacheKey make_cache_key(std::string_view base, std::string_view path,
                        const FileIdentity& identity) {
  Digest digest;
  digest.add(identity.size);
  digest.add(identity.inode);
  digest.add(static_cast<uint64_t>(identity.modified_ns));
  digest.add(static_cast<uint64_t>(identity.changed_ns));
  if (!path.starts_with('/')) digest.add(base);
  digest.add(path);
  return digest.finish();
}

bool is_settled(const FileIdentity& identity) {
  using namespace std::chrono;
  const nanoseconds changed(identity.changed_ns);
  const nanoseconds now = system_clock::now().time_since_epoch();
  const bool whole_seconds = changed.count() % 1'000'000'000 == 0;
  const nanoseconds tick = whole_seconds ? nanoseconds(seconds(2)) : nanoseconds(milliseconds(20));
  return now - changed > tick || changed - now > tick;
}

}  // namespace pyloader
