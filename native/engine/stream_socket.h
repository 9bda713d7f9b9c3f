// StreamSocket: the state of one SOCK_STREAM connection.
#pragma once

#include <cstdint>

#include "engine/connection.h"
#include "engine/pending_write.h"

namespace afunix::engine {

struct StreamSocket final : Connection {
  StreamSocket() : Connection(Kind::kStream) {}

  [[nodiscard]] bool HasPending() const override { return !write.empty() || write_failure != 0; }
  [[nodiscard]] size_t PendingSize() const override { return write.remaining(); }
  void DiscardPending() override {
    write.Discard();
    write_failure = 0;
  }

  // It is read from at every look, without asking whether it has anything: see busy_polling.cc.
  bool busy_polled = false;
  // The last read was long: the next goes into a slab.
  bool bulk = false;
  // The peer has sent MSG_OOB, which no part of this library reads; the kernel skips it.
  bool has_out_of_band = false;
  // Times that a large write found the queue full.
  uint32_t queue_filled = 0;
  PendingWrite write;
};

}  // namespace afunix::engine
