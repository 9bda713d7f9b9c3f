// Connection: what a stream socket and a message socket have in common, the same for every engine.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/descriptor_load.h"
#include "engine/endpoint.h"
#include "engine/writer.h"
#include "posix/unix_address.h"
#include "posix/working_directory.h"

namespace afunix::engine {

// A connection attempt that waits for room in the peer's backlog.
struct ConnectAttempt {
  posix::UnixAddress address;
  // Of a relative pathname that waits: where it begins.
  std::shared_ptr<const posix::WorkingDirectory> from;
  int64_t give_up_at = 0;
  int64_t pause = 0;
};

struct Connection : Endpoint {
  using Endpoint::Endpoint;

  [[nodiscard]] bool HasRequests() const override {
    return connecting || shutdown_wanted || HasPending();
  }
  [[nodiscard]] bool Watches() const override { return reading || watches_end || awaits_user; }

  // Something was written that the kernel has not taken; its bytes.
  [[nodiscard]] virtual bool HasPending() const = 0;
  [[nodiscard]] virtual size_t PendingSize() const = 0;
  virtual void DiscardPending() = 0;

  bool reading = false;
  // Nobody reads, and shall hear of the end if it is all that is left.
  bool watches_end = false;
  // It is not read from until its user has done something with what came: it counts as reading.
  bool awaits_user = false;
  bool connecting = false;
  // Reads go into the user's own memory.
  bool reads_into_target = false;
  // The kernel reported a hang-up or an error: read until it says 0, no new edge will come.
  bool hung_up = false;
  // Both directions are shut: what is queued is all that will ever come.
  bool peer_gone = false;
  // End or error was reported; there is nothing left to read.
  bool ended = false;
  // The kernel has room again, or an error to tell, for what is pending.
  bool writable = false;
  // Writability is among the events asked for.
  bool watches_writable = false;
  // Reads that shall be made directly, because the ones before them were long or many, before the
  // kernel is asked to fill buffers of a ring again (io_uring).
  uint8_t direct_reads = 0;
  // A half-close waits behind what is pending.
  bool shutdown_wanted = false;
  // An error from the kernel that waits for the data before it to be reported.
  int read_error = 0;
  // The last read of a stream left nothing behind it but an end, or an error.
  bool drained = false;
  // Of a stream: −errno of what was pending, told behind all that was received before it.
  int32_t write_failure = 0;
  int64_t busy_poll = 0;
  // Descriptors that one message may bring.
  uint16_t max_descriptors = 0;
  // Whoever wrote what was received last.
  Writer writer;
  // What the next payload takes along.
  std::unique_ptr<DescriptorLoad> load;
  std::unique_ptr<ConnectAttempt> attempt;
};

}  // namespace afunix::engine
