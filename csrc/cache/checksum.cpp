#include "cache/checksum.h"

#include <array>
#include <cstring>

namespace pyloader {
namespace {

// Numbers without a pattern: digits of the square roots of the first primes.
constexpr std::array<uint64_t, 8> kDigits = {
    0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

uint64_t load(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Both halves of the product of two words.
uint64_t mix(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 Wide;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

// Eight chains of multiplications side by side, 16 bytes a step: as many as hide their latency.
uint64_t checksum(const void* data, size_t bytes, uint64_t seed) {
  constexpr size_t kBlock = 128;
  const uint8_t* at = static_cast<const uint8_t*>(data);
  std::array<uint64_t, 8> state;
  for (size_t i = 0; i < state.size(); ++i) state[i] = kDigits[i] ^ seed;
  size_t left = bytes;
  const auto take_block = [&state](const uint8_t* block) {
    for (size_t i = 0; i < state.size(); ++i) {
      state[i] = mix(load(block + 16 * i) ^ kDigits[i], load(block + 16 * i + 8) ^ state[i]);
    }
  };
  for (; left >= kBlock; left -= kBlock, at += kBlock) take_block(at);
  std::array<uint8_t, kBlock> rest{};
  if (left > 0) std::memcpy(rest.data(), at, left);
  take_block(rest.data());
  uint64_t result = bytes ^ kDigits[0];
  for (size_t i = 0; i < state.size(); ++i) result = mix(result ^ state[i], kDigits[i] + i);
  return result;
}

}  // namespace pyloader
