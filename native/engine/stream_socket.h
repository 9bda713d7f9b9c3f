// StreamSocket: the state of one SOCK_STREAM connection, the same for every engine.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/endpoint.h"
#include "engine/pending_write.h"
#include "posix/unix_address.h"
#include "posix/uring_abi.h"

namespace afunix::engine {

// A connection attempt that waits for room in the peer's backlog.
struct ConnectAttempt {
  posix::UnixAddress address;
  int64_t give_up_at = 0;
  int64_t pause = 0;
};

struct StreamSocket final : Endpoint {
  StreamSocket() : Endpoint(Kind::kStream) {}

  [[nodiscard]] bool HasRequests() const override {
    return connecting || shutdown_wanted || !write.empty();
  }
  [[nodiscard]] bool Watches() const override { return reading; }

  bool reading = false;
  bool connecting = false;
  // Reads go into the user's own memory.
  bool reads_into_target = false;
  // The last read was long: the next goes into a slab.
  bool bulk = false;
  // The kernel reported a hang-up or an error: read until it says 0, no new edge will come.
  bool hung_up = false;
  // Both directions are shut: what is queued is all that will ever come.
  bool peer_gone = false;
  // The peer has sent MSG_OOB, which no part of this library reads; the kernel skips it.
  bool has_out_of_band = false;
  // End or error was reported; there is nothing left to read.
  bool ended = false;
  // The kernel has room again, or an error to tell, for what is pending.
  bool writable = false;
  // Writability is among the events asked for.
  bool watches_writable = false;
  // Reads that shall be made directly, because the ones before them were long, before the kernel is
  // asked to fill small buffers again (io_uring).
  uint8_t direct_reads = 0;
  // The last collection in which a ring buffer of this socket's was told, and bytes told in it
  // (io_uring).
  uint32_t told_in = 0;
  uint32_t told_bytes = 0;
  // What an io_uring brought that its user has not been told: it reads no more, or has had its
  // share.
  std::unique_ptr<std::deque<posix::uring::Answer>> held;
  // The submission whose bytes are in a request for the kernel, -1 for none (io_uring).
  int32_t sending = -1;
  // Descriptors that one message may bring.
  uint16_t max_descriptors = 0;
  // What the payload under way takes along.
  std::unique_ptr<std::vector<int>> outgoing;
  // Times that a large write found the queue full.
  uint32_t queue_filled = 0;
  // A half-close waits behind the pending write.
  bool shutdown_wanted = false;
  // An error from the kernel that waits for the data before it to be reported.
  int read_error = 0;
  int64_t busy_poll = 0;
  PendingWrite write;
  std::unique_ptr<ConnectAttempt> attempt;
};

}  // namespace afunix::engine
