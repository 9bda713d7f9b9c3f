// PeerTable: who is at the other end of what is told in this collection, as the kernel recorded it.
// JavaScript reads the rows where it finds them: no call, and nothing to allocate, per connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/writer.h"
#include "posix/credentials.h"
#include "posix/fd.h"

namespace afunix::engine {

// pid, uid, gid, and the pidfd: 1 + its place, see Claim; 0 if nobody asked; −errno.
inline constexpr size_t kPeerColumns = 4;
// In the columns of ids, where the kernel said nothing.
inline constexpr int32_t kUnknownPeer = -1;
// Instead of a row: the writer is the one that was told last on this connection.
inline constexpr int32_t kSameWriter = -2;

class PeerTable {
 public:
  explicit PeerTable(std::span<int32_t> numbers) : numbers_(numbers) {}

  // The row that `peer` is in now. There is one for every completion and message of a collection.
  int32_t Put(const posix::Result<posix::Credentials>& peer) { return PutRow(WriterOf(peer), 0); }

  // The same for who wrote what was just received; kSameWriter if `last` did, which becomes this
  // one. `pidfd` is kept until it is claimed or the collection is over, or closed if it is not new.
  int32_t PutWriter(const posix::Result<posix::Credentials>& who, Writer& last) {
    return PutNew(WriterOf(who), 0, last);
  }
  int32_t PutWriter(const posix::Result<posix::Credentials>& who, posix::Result<posix::Fd> pidfd,
                    Writer& last) {
    Writer writer = WriterOf(who);
    if (!pidfd.ok()) {
      writer.without_pidfd = pidfd.error().Negative();
      return PutNew(writer, writer.without_pidfd, last);
    }
    writer.process = posix::ProcessOf(pidfd.value().get());
    const int32_t row = PutNew(writer, static_cast<int32_t>(pidfds_.size()) + 1, last);
    if (row >= 0) pidfds_.push_back(std::move(pidfd).value());
    return row;
  }

  // None if there is none at `place`, or not any more.
  [[nodiscard]] posix::Fd Claim(size_t place) {
    return place < pidfds_.size() ? std::move(pidfds_[place]) : posix::Fd();
  }
  // How many came in this collection, whoever has them now.
  [[nodiscard]] size_t pidfds() const { return pidfds_.size(); }

  void Clear() {
    used_ = 0;
    pidfds_.clear();
  }

 private:
  static Writer WriterOf(const posix::Result<posix::Credentials>& who) {
    Writer writer{.none = false, .pid = kUnknownPeer, .uid = kUnknownPeer, .gid = kUnknownPeer};
    if (who.ok()) {
      writer.pid = who.value().pid;
      writer.uid = static_cast<int32_t>(who.value().uid);
      writer.gid = static_cast<int32_t>(who.value().gid);
    }
    return writer;
  }

  int32_t PutNew(const Writer& writer, int32_t pidfd, Writer& last) {
    if (writer == last) return kSameWriter;
    last = writer;
    return PutRow(writer, pidfd);
  }

  int32_t PutRow(const Writer& writer, int32_t pidfd) {
    const size_t at = used_ * kPeerColumns;
    if (at + kPeerColumns > numbers_.size()) return kUnknownPeer;
    numbers_[at] = writer.pid;
    numbers_[at + 1] = writer.uid;
    numbers_[at + 2] = writer.gid;
    numbers_[at + 3] = pidfd;
    return static_cast<int32_t>(used_++);
  }

  std::span<int32_t> numbers_;
  size_t used_ = 0;
  std::vector<posix::Fd> pidfds_;
};

}  // namespace afunix::engine
