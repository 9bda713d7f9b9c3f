// PendingMessages: copies of messages that the kernel has not taken yet, whole and in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace afunix::engine {

class PendingMessages {
 public:
  [[nodiscard]] bool empty() const { return next_ == lengths_.size(); }
  // Bytes of all of them.
  [[nodiscard]] size_t size() const { return bytes_.size() - position_; }

  // A message begins; its bytes follow, in as many parts as it has.
  void Begin() { lengths_.push_back(0); }
  void Append(std::span<const std::byte> part);

  // Calls `visit(message)` for the first `limit` messages; how many there were.
  template <typename Visit>
  size_t VisitFirst(size_t limit, Visit visit) const {
    size_t position = position_;
    size_t count = 0;
    for (; count < limit && next_ + count < lengths_.size(); ++count) {
      const size_t length = lengths_[next_ + count];
      visit(count, std::span(bytes_).subspan(position, length));
      position += length;
    }
    return count;
  }

  // The first `count` of them were taken; how many bytes they had.
  size_t Consume(size_t count);

  void Discard();

 private:
  std::vector<std::byte> bytes_;
  std::vector<uint32_t> lengths_;
  // What is in front of these was taken.
  size_t position_ = 0;
  size_t next_ = 0;
};

}  // namespace afunix::engine
