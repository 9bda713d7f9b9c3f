// Times of single operations, in buckets of a thousandth of their size. Written by one thread,
// read by another one while that goes on.
#pragma once

#include <time.h>

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

// Nanoseconds on the monotonic clock.
inline uint64_t Now() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// A number with one writer.
class Counter {
 public:
  void Add(uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Latency {
 public:
  void Record(uint64_t nanoseconds) { buckets_[BucketOf(nanoseconds)].Add(1); }

  // From here on the summary counts.
  void Mark() {
    for (size_t i = 0; i < kBuckets; ++i) marked_[i] = buckets_[i].value();
  }

  // JSON, nanoseconds.
  [[nodiscard]] std::string Summary() const {
    std::vector<uint64_t> counts(kBuckets);
    uint64_t total = 0;
    for (size_t i = 0; i < kBuckets; ++i) total += counts[i] = buckets_[i].value() - marked_[i];
    const auto percentile = [&](double percent) -> unsigned long long {
      const auto wanted = static_cast<double>(total) * percent / 100;
      uint64_t seen = 0;
      for (size_t i = 0; i < kBuckets; ++i) {
        seen += counts[i];
        if (seen > 0 && static_cast<double>(seen) >= wanted) return LargestOf(i);
      }
      return 0;
    };
    char text[256];
    std::snprintf(text, sizeof(text),
                  R"({"count":%llu,"p50":%llu,"p90":%llu,"p99":%llu,"p999":%llu,"max":%llu})",
                  static_cast<unsigned long long>(total), percentile(50), percentile(90),
                  percentile(99), percentile(99.9), percentile(100));
    return text;
  }

 private:
  // Below 2^11 a bucket per nanosecond; above, 2^10 buckets for each doubling up to 2^40.
  static constexpr unsigned kBits = 10;
  static constexpr size_t kHalf = size_t{1} << kBits;
  static constexpr unsigned kDoublings = 40 - kBits - 1;
  static constexpr size_t kBuckets = (kDoublings + 2) * kHalf;

  static unsigned ShiftOf(uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    return width > kBits + 1 ? width - kBits - 1 : 0;
  }
  static size_t BucketOf(uint64_t value) {
    const unsigned shift = ShiftOf(value);
    if (shift > kDoublings) return kBuckets - 1;
    return shift * kHalf + static_cast<size_t>(value >> shift);
  }
  static uint64_t LargestOf(size_t bucket) {
    if (bucket < 2 * kHalf) return bucket;
    const size_t shift = bucket / kHalf - 1;
    return ((bucket - shift * kHalf + 1) << shift) - 1;
  }

  std::vector<Counter> buckets_{kBuckets};
  std::vector<uint64_t> marked_ = std::vector<uint64_t>(kBuckets);
};
