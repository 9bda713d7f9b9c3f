// MessageMemory: what JavaScript and the engine share for messages. MessageArea: the part of it
// that the messages of one collection are received into.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/budgets.h"
#include "engine/records.h"

namespace afunix::engine {

// All of it owned by the engine's host and alive until Shutdown() returned.
struct MessageMemory {
  std::span<std::byte> area;
  // kReceivedColumns columns of kMessageRows each.
  std::span<int32_t> received;
  // kOutgoingColumns columns of kOutgoingRows each; offsets are those of the send area.
  std::span<const int32_t> outgoing;
};

// One message as the table of received messages describes it.
struct ReceivedRow {
  size_t offset;
  size_t length;
  size_t full_length;
  int32_t flags;
  // How many descriptors came with it, and where in their table they begin; kDescriptorsCame only.
  int32_t descriptors = 0;
  int32_t descriptors_at = 0;
  // Who sent it, as a row of the table of peers, or kSameWriter; kCredentialsCame only.
  int32_t peer = 0;
};

// Where the next message can begin behind one that ends at `end`: packed ones can be copied by
// machine words.
constexpr size_t PackedEnd(size_t end) { return (end + 7) & ~size_t{7}; }

class MessageArea {
 public:
  [[nodiscard]] bool open() const { return !memory_.area.empty(); }
  // False: it is smaller than it must be.
  [[nodiscard]] bool Open(const MessageMemory& memory) {
    if (memory.area.size() < kMessageAreaSize ||
        memory.received.size() < kReceivedColumns * kMessageRows ||
        memory.outgoing.size() < kOutgoingColumns * kOutgoingRows) {
      return false;
    }
    memory_ = memory;
    return true;
  }

  void Rewind() {
    used_ = 0;
    rows_ = 0;
  }

  [[nodiscard]] std::span<std::byte> area() const { return memory_.area; }
  // Bytes from the front that hold messages of this collection.
  [[nodiscard]] size_t used() const { return used_; }
  void Use(size_t end) { used_ = end; }

  [[nodiscard]] size_t rows() const { return rows_; }
  [[nodiscard]] size_t RowsLeft() const { return kMessageRows - rows_; }
  void AddRow(const ReceivedRow& row) {
    Column(0) = static_cast<int32_t>(row.offset);
    Column(1) = static_cast<int32_t>(row.length);
    Column(2) = static_cast<int32_t>(row.full_length);
    Column(3) = row.flags;
    if ((row.flags & kDescriptorsCame) != 0) {
      Column(4) = row.descriptors;
      Column(5) = row.descriptors_at;
    }
    if ((row.flags & kCredentialsCame) != 0) Column(6) = row.peer;
    ++rows_;
  }

  // The outgoing message of row `row`, as it lies in `send_area`. Empty: the row makes no sense.
  [[nodiscard]] std::span<const std::byte> Outgoing(size_t row,
                                                    std::span<const std::byte> send_area) const {
    const auto offset = static_cast<size_t>(memory_.outgoing[row]);
    const auto length = static_cast<size_t>(memory_.outgoing[kOutgoingRows + row]);
    if (offset > send_area.size() || length > send_area.size() - offset) return {};
    return send_area.subspan(offset, length);
  }

 private:
  [[nodiscard]] int32_t& Column(size_t column) {
    return memory_.received[column * kMessageRows + rows_];
  }

  MessageMemory memory_;
  size_t used_ = 0;
  size_t rows_ = 0;
};

}  // namespace afunix::engine
