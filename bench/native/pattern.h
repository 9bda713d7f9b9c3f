// An endless known sequence of bytes, the same as bench/pattern.ts has.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace pattern {

// A prime, so that no message size divides it: a lost or repeated piece shows.
inline constexpr size_t kPeriod = 65'521;

// One period, made by mulberry32 from seed 1.
inline const std::vector<std::byte>& Table() {
  static const std::vector<std::byte> table = [] {
    std::vector<std::byte> bytes(kPeriod);
    uint32_t state = 1;
    for (std::byte& byte : bytes) {
      state += 0x6d2b79f5;
      uint32_t mixed = (state ^ (state >> 15)) * (state | 1);
      mixed ^= mixed + (mixed ^ (mixed >> 7)) * (mixed | 61);
      byte = static_cast<std::byte>((mixed ^ (mixed >> 14)) & 0xff);
    }
    return bytes;
  }();
  return table;
}

// Calls `use` with the sequence's pieces from `offset` on, `length` bytes in all, and how far each
// is from `offset`.
template <typename Use>
void ForEachPiece(uint64_t offset, size_t length, Use use) {
  for (size_t done = 0; done < length;) {
    const size_t start = (offset + done) % kPeriod;
    const size_t size = std::min(kPeriod - start, length - done);
    use(std::span(Table()).subspan(start, size), done);
    done += size;
  }
}

inline std::vector<std::byte> At(uint64_t offset, size_t length) {
  std::vector<std::byte> bytes(length);
  ForEachPiece(offset, length, [&](std::span<const std::byte> piece, size_t at) {
    std::memcpy(bytes.data() + at, piece.data(), piece.size());
  });
  return bytes;
}

inline bool Matches(std::span<const std::byte> bytes, uint64_t offset) {
  bool same = true;
  ForEachPiece(offset, bytes.size(), [&](std::span<const std::byte> piece, size_t at) {
    same = same && std::memcmp(bytes.data() + at, piece.data(), piece.size()) == 0;
  });
  return same;
}

}  // namespace pattern
