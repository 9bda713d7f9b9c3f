// Deadlines: moments at which an endpoint wants to be looked at again. Those of endpoints that are
// gone are recognised by their tags and skipped, so nothing is ever searched for.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace afunix::engine {

class Deadlines {
 public:
  void Add(int64_t when, uint64_t tag) { heap_.push({when, tag}); }

  // When the earliest is due, in CLOCK_MONOTONIC nanoseconds.
  [[nodiscard]] std::optional<int64_t> Next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.top().when;
  }

  // Takes the tag of one that is due at `now`.
  [[nodiscard]] std::optional<uint64_t> TakeDue(int64_t now) {
    if (heap_.empty() || heap_.top().when > now) return std::nullopt;
    const uint64_t tag = heap_.top().tag;
    heap_.pop();
    return tag;
  }

  void Clear() { heap_ = {}; }

 private:
  struct Entry {
    int64_t when;
    uint64_t tag;
    bool operator>(const Entry& other) const { return when > other.when; }
  };
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
};

}  // namespace afunix::engine
