// DescriptorTable: descriptors that came with received data and are told in this collection. They
// are closed with the next one, unless JavaScript has claimed them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "posix/ancillary.h"
#include "posix/fd.h"

namespace afunix::engine {

class DescriptorTable {
 public:
  // `numbers` is where JavaScript reads them.
  explicit DescriptorTable(std::span<int32_t> numbers) : numbers_(numbers) {}

  [[nodiscard]] size_t Room() const { return numbers_.size() - held_.size(); }
  // Room for all that one message can bring.
  [[nodiscard]] bool HasRoom() const { return Room() >= posix::kMaximumDescriptors; }

  // The place of the first.
  int32_t Put(std::vector<posix::Fd> descriptors) {
    const size_t first = held_.size();
    for (posix::Fd& descriptor : descriptors) {
      numbers_[held_.size()] = descriptor.get();
      held_.push_back(std::move(descriptor));
    }
    return static_cast<int32_t>(first);
  }

  // None if there is none at `place`, or not any more.
  [[nodiscard]] posix::Fd Claim(size_t place) {
    return place < held_.size() ? std::move(held_[place]) : posix::Fd();
  }

  void Clear() { held_.clear(); }

 private:
  std::span<int32_t> numbers_;
  std::vector<posix::Fd> held_;
};

}  // namespace afunix::engine
