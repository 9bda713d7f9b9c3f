// PendingWrite: what the kernel has not taken yet of the one write a socket can have under way.
// Either our own copy of a small write's rest, or a position in the payload that JavaScript keeps
// for us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace afunix::engine {

class PendingWrite {
 public:
  [[nodiscard]] bool empty() const { return remaining_ == 0; }
  [[nodiscard]] size_t remaining() const { return remaining_; }

  // Keeps a copy, behind what is kept already: the send area is used again for the next flush.
  void KeepCopy(std::span<const std::byte> rest);

  // `length` bytes are owed from the payload, from its start.
  void KeepPayload(size_t length) {
    copy_.reset();
    position_ = 0;
    remaining_ = length;
  }

  [[nodiscard]] bool is_copy() const { return copy_ != nullptr; }
  [[nodiscard]] std::span<const std::byte> copy() const {
    return {copy_.get() + position_, remaining_};
  }
  // Bytes of the payload that the kernel has.
  [[nodiscard]] size_t position() const { return position_; }

  void Consume(size_t bytes) {
    position_ += bytes;
    remaining_ -= bytes;
    if (remaining_ == 0) copy_.reset();
  }

  void Discard() {
    copy_.reset();
    remaining_ = 0;
  }

 private:
  std::unique_ptr<std::byte[]> copy_;
  size_t position_ = 0;
  size_t remaining_ = 0;
};

}  // namespace afunix::engine
