// Endpoint: what every handle stands for, a connection or a listener.
#pragma once

#include <cstdint>

#include "posix/fd.h"

namespace afunix::engine {

struct Endpoint {
  static constexpr int32_t kNoPidfds = 0;
  static constexpr int32_t kPidfdsPass = 1;

  enum class Kind : uint8_t { kStream, kMessages, kListener };

  explicit Endpoint(Kind endpoint_kind) : kind(endpoint_kind) {}
  virtual ~Endpoint() = default;
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // A request is under way (connect, write, half-close): it keeps the process running in any case,
  // as libuv's requests do.
  [[nodiscard]] virtual bool HasRequests() const = 0;
  // It waits for what others do (reads, accepts): keeps the process running while referenced.
  [[nodiscard]] virtual bool Watches() const = 0;

  [[nodiscard]] bool PassesPidfds() const { return pidfds == kPidfdsPass; }

  const Kind kind;
  // The kernel said that there is something to read or accept, and we have not seen the end of it.
  bool ready = false;
  // Stands in the engine's list of endpoints to look at.
  bool queued = false;
  bool referenced = true;
  // Counted among those that keep the process running.
  bool counted = false;
  bool closed = false;
  // The kernel lets nobody send descriptors to it (and to what it accepts).
  bool descriptors_refused = false;
  // The kernel says of everything that is received who sent it (of a listener: to what it accepts).
  bool passes_credentials = false;
  // And it comes with a pidfd of theirs: kPidfdsPass, kNoPidfds, or −errno where it can't.
  int32_t pidfds = kNoPidfds;
  int32_t handle = -1;
  posix::Fd fd;
};

}  // namespace afunix::engine
