// PeerTable: who is at the other end of what is told in this collection, as the kernel recorded it.
// JavaScript reads the rows where it finds them: no call, and nothing to allocate, per connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "posix/credentials.h"

namespace afunix::engine {

// pid, uid, gid.
inline constexpr size_t kPeerColumns = 3;
// In every column, where the kernel said nothing.
inline constexpr int32_t kUnknownPeer = -1;

class PeerTable {
 public:
  explicit PeerTable(std::span<int32_t> numbers) : numbers_(numbers) {}

  // The row that `peer` is in now. There is one for every completion and message of a collection.
  int32_t Put(const posix::Result<posix::Credentials>& peer) {
    const size_t at = used_ * kPeerColumns;
    if (at + kPeerColumns > numbers_.size()) return kUnknownPeer;
    const bool known = peer.ok();
    numbers_[at] = known ? peer.value().pid : kUnknownPeer;
    numbers_[at + 1] = known ? static_cast<int32_t>(peer.value().uid) : kUnknownPeer;
    numbers_[at + 2] = known ? static_cast<int32_t>(peer.value().gid) : kUnknownPeer;
    return static_cast<int32_t>(used_++);
  }

  void Clear() { used_ = 0; }

 private:
  std::span<int32_t> numbers_;
  size_t used_ = 0;
};

}  // namespace afunix::engine
