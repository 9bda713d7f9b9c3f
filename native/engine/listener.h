// Listener: a listening socket, the file it left, and the descriptor kept in reserve for a full
// table.
#pragma once

#include "engine/budgets.h"
#include "engine/endpoint.h"
#include "posix/fd.h"
#include "posix/socket.h"
#include "posix/socket_file.h"

namespace afunix::engine {

struct Listener final : Endpoint {
  Listener() : Endpoint(Kind::kListener) {}

  [[nodiscard]] bool HasRequests() const override { return false; }
  [[nodiscard]] bool Watches() const override { return true; }

  // Takes the reserve, so that there is one descriptor to give up when the table is full.
  void Reserve();

  // Gives it back when there is nothing left to accept.
  void ReleaseReserve() { reserve_.Reset(); }

  // The descriptor table is full: gives up the reserve, accepts one connection and closes it, so
  // that its client learns at once instead of waiting for ever. False if even that failed.
  [[nodiscard]] bool ShedOne();

  // Of itself, and so of what it accepts.
  posix::SocketType type = posix::SocketType::kStream;
  posix::SocketFile file;
  bool owns_file = false;
  // Others accept from the same socket, or may.
  bool shared = false;
  // Nobody gets in any more; it ends when the backlog is empty.
  bool finishing = false;
  // Finishes while others go on listening on the same socket. What came before it was shared may be
  // known to nobody else, as an accept of io_uring waits exclusively (poll_exclusive in
  // io_uring/opdef.c): whoever waits is accepted here.
  bool leaving = false;
  // So many at most, for others' clients go on coming.
  int may_accept = kLeaveBudget;
  // And it was told that it is.
  bool drained = false;
  // Waits for the back-off to pass before it accepts again.
  bool backing_off = false;

 private:
  posix::Fd reserve_;
};

}  // namespace afunix::engine
