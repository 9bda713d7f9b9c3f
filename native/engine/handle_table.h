// HandleTable: small numbers for endpoints. A number comes back only after its closing was
// reported, and the tag that the kernel returns with an event carries a generation, so that a late
// event of a closed descriptor never reaches the next owner of its number.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/endpoint.h"

namespace afunix::engine {

class HandleTable {
 public:
  // Numbers `endpoint` and keeps it.
  int32_t Insert(std::unique_ptr<Endpoint> endpoint) {
    int32_t handle;
    if (free_.empty()) {
      handle = static_cast<int32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      handle = free_.back();
      free_.pop_back();
    }
    endpoint->handle = handle;
    slots_[static_cast<size_t>(handle)].endpoint = std::move(endpoint);
    return handle;
  }

  void Erase(int32_t handle) {
    Slot& slot = slots_[static_cast<size_t>(handle)];
    slot.endpoint.reset();
    slot.generation = (slot.generation + 1) & kGenerations;
    free_.push_back(handle);
  }

  // Null for a number that stands for nothing.
  [[nodiscard]] Endpoint* Find(int32_t handle) const {
    if (handle < 0 || static_cast<size_t>(handle) >= slots_.size()) return nullptr;
    return slots_[static_cast<size_t>(handle)].endpoint.get();
  }

  [[nodiscard]] uint64_t Tag(int32_t handle) const {
    return static_cast<uint64_t>(slots_[static_cast<size_t>(handle)].generation) << 32 |
           static_cast<uint32_t>(handle);
  }

  // Null if the tag's endpoint is gone, also when its number has a new one.
  [[nodiscard]] Endpoint* FindTagged(uint64_t tag) const {
    const auto index = static_cast<size_t>(tag & 0xffffffffU);
    if (index >= slots_.size() || slots_[index].generation != static_cast<uint32_t>(tag >> 32)) {
      return nullptr;
    }
    return slots_[index].endpoint.get();
  }

  template <typename Visit>
  void ForEach(Visit visit) {
    for (Slot& slot : slots_) {
      if (slot.endpoint) visit(*slot.endpoint);
    }
  }

 private:
  // An engine may need the rest of a tag.
  static constexpr uint32_t kGenerations = (1U << 24) - 1;

  struct Slot {
    std::unique_ptr<Endpoint> endpoint;
    uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<int32_t> free_;
};

}  // namespace afunix::engine
