// UringState: what an io_uring has of one endpoint, and what it brought of it that nobody was told.
// UringStates: all of them, by handle. A handle's number comes back only when everything is back
// and told, so what a new endpoint finds is as fresh.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/endpoint.h"
#include "posix/uring_abi.h"

namespace afunix::engine {

// What a request is for: a bit in UringState::out, or one of those without an endpoint.
enum class UringPurpose : uint8_t {
  kReceive = 1,
  kPollReadable = 2,
  kPollWritable = 4,
  kAccept = 8,
  kSend = 16,
  kTimer = 32,
  kCancel = 64,
};

struct UringState {
  static constexpr size_t kPurposes = 4;
  static constexpr uint8_t kAllPurposes = (1U << kPurposes) - 1;

  [[nodiscard]] bool IsOut(UringPurpose purpose) const {
    return (out & static_cast<uint8_t>(purpose)) != 0;
  }
  // Where the request for `purpose` was put, if it is out.
  [[nodiscard]] uint32_t& PlaceOf(UringPurpose purpose) {
    return places[static_cast<size_t>(std::countr_zero(static_cast<uint8_t>(purpose)))];
  }

  // Requests of it that are not back, and those of them that were told to come back. They hold the
  // open file, too: only when all are back it is really closed.
  uint8_t out = 0;
  uint8_t cancelled = 0;
  // Answers of its requests that were taken from the ring and not looked at.
  uint32_t waiting = 0;
  // The submission whose bytes are in a request for the kernel, -1 for none.
  int32_t sending = -1;
  // Of the ring (Uring::IsUnsubmitted).
  std::array<uint32_t, kPurposes> places{};
  // The last collection in which a ring buffer of a stream's was told, and bytes told in it.
  uint32_t told_in = 0;
  uint32_t told_bytes = 0;
  // What was brought of a stream whose user has not been told: it reads no more, or has had its
  // share.
  std::unique_ptr<std::deque<posix::uring::Answer>> held;
  // What was brought of messages, in order.
  std::vector<posix::uring::Answer> received;
};

class UringStates {
 public:
  // It stays where it is.
  [[nodiscard]] UringState& Of(const Endpoint& endpoint) {
    const auto handle = static_cast<size_t>(endpoint.handle);
    while (handle / kPerPiece >= pieces_.size()) {
      pieces_.push_back(std::make_unique<Piece>());
    }
    return (*pieces_[handle / kPerPiece])[handle % kPerPiece];
  }
  // Null: it never had one.
  [[nodiscard]] const UringState* Find(const Endpoint& endpoint) const {
    const auto handle = static_cast<size_t>(endpoint.handle);
    if (handle / kPerPiece >= pieces_.size()) return nullptr;
    return &(*pieces_[handle / kPerPiece])[handle % kPerPiece];
  }

  void Clear() { pieces_.clear(); }

 private:
  static constexpr size_t kPerPiece = 64;
  using Piece = std::array<UringState, kPerPiece>;
  std::vector<std::unique_ptr<Piece>> pieces_;
};

}  // namespace afunix::engine
