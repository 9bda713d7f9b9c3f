// ReceiveArea: the memory that short reads of one collection are laid into, side by side.
// JavaScript copies them out before the next collection starts over; nobody else ever sees this
// memory.
#pragma once

#include <cstddef>
#include <span>

#include "engine/budgets.h"

namespace afunix::engine {

class ReceiveArea {
 public:
  explicit ReceiveArea(std::span<std::byte> memory) : memory_(memory) {}

  void Rewind() { used_ = 0; }

  // Room for one whole read.
  [[nodiscard]] bool HasRoom() const { return memory_.size() - used_ >= kReadSize; }
  [[nodiscard]] std::span<std::byte> Room() const { return memory_.subspan(used_, kReadSize); }

  // Claims the first `bytes` of Room(); their offset.
  size_t Claim(size_t bytes) {
    const size_t offset = used_;
    // Rounded up so that a copy by machine words is possible.
    used_ += (bytes + 7) & ~size_t{7};
    return offset;
  }

 private:
  std::span<std::byte> memory_;
  size_t used_ = 0;
};

}  // namespace afunix::engine
