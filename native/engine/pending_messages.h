// PendingMessages: copies of messages that the kernel has not taken yet, whole and in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/descriptor_load.h"

namespace afunix::engine {

class PendingMessages {
 public:
  [[nodiscard]] bool empty() const { return next_ == lengths_.size(); }
  // Bytes of all of them.
  [[nodiscard]] size_t size() const { return bytes_.size() - position_; }

  // A message begins, with what it takes along, if anything; its bytes follow, in as many parts as
  // it has.
  void Begin(std::unique_ptr<DescriptorLoad> load = nullptr) {
    if (load) loads_.push_back({lengths_.size(), std::move(load)});
    lengths_.push_back(0);
  }
  void Append(std::span<const std::byte> part);

  // Calls `visit(message, control messages)` for the first `limit` messages.
  template <typename Visit>
  void VisitFirst(size_t limit, Visit visit) const {
    size_t position = position_;
    size_t count = 0;
    auto load = loads_.begin();
    for (; count < limit && next_ + count < lengths_.size(); ++count) {
      const size_t length = lengths_[next_ + count];
      std::span<const std::byte> control;
      if (load != loads_.end() && load->message == next_ + count)
        control = (load++)->load->control();
      visit(std::span(bytes_).subspan(position, length), control);
      position += length;
    }
  }

  // The first `count` of them were taken; how many bytes they had.
  size_t Consume(size_t count);

  void Discard();

 private:
  struct Laden {
    // Its place in lengths_.
    size_t message;
    std::unique_ptr<DescriptorLoad> load;
  };

  std::vector<std::byte> bytes_;
  std::vector<uint32_t> lengths_;
  std::deque<Laden> loads_;
  // What is in front of these was taken.
  size_t position_ = 0;
  size_t next_ = 0;
};

}  // namespace afunix::engine
