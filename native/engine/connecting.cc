// Connecting. AF_UNIX connects at once or not at all; a full backlog is tried again until there is
// room.
#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/ancillary.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"

namespace afunix::engine {

namespace {

constexpr int64_t kForEver = std::numeric_limits<int64_t>::max();

}  // namespace

posix::Result<int32_t> ReadinessEngine::Connect(const posix::UnixAddress& address, int64_t patience,
                                                posix::SocketType type, bool descriptors) {
  counters_.syscalls += 2;
  auto made = NewConnection(type);
  if (!made.ok()) return made.error();
  auto opened = posix::OpenSocket(type);
  if (!opened.ok()) return opened.error();
  auto owned = std::move(made).value();
  Connection& socket = *owned;
  socket.fd = std::move(opened).value();
  socket.descriptors_refused = !descriptors && posix::RefuseDescriptors(socket.fd.get()).ok();
  const int32_t handle = endpoints_.Insert(std::move(owned));
  BeginConnecting(socket, address, patience);
  return handle;
}

posix::Status ReadinessEngine::ConnectAgain(int32_t handle, const posix::UnixAddress& address,
                                            int64_t patience) {
  Connection* socket = FindConnection(handle);
  if (socket == nullptr) return posix::Error{EBADF};
  BeginConnecting(*socket, address, patience);
  return {};
}

void ReadinessEngine::BeginConnecting(Connection& socket, const posix::UnixAddress& address,
                                      int64_t patience) {
  const int64_t now = posix::MonotonicNow();
  socket.connecting = true;
  socket.attempt = std::make_unique<ConnectAttempt>();
  socket.attempt->address = address;
  socket.attempt->give_up_at = patience > kForEver - now ? kForEver : now + patience;
  socket.attempt->pause = kConnectRetryFirst;
  Attempt(socket, now);
  UpdateLiveness(socket);
}

// What waits goes on seeing the directory of its call; those that wait in the same one share it.
posix::Status ReadinessEngine::HoldDirectory(ConnectAttempt& attempt) {
  if (attempt.from || attempt.address.kind() != posix::UnixAddress::Kind::kPathname) return {};
  if (!posix::IsRelative(attempt.address.name())) return {};
  counters_.syscalls += 2;
  attempt.from = directory_.lock();
  if (attempt.from && attempt.from->IsCurrent()) return {};
  auto held = posix::WorkingDirectory::Hold();
  if (!held.ok()) return held.error();
  attempt.from = std::move(held).value();
  directory_ = attempt.from;
  return {};
}

void ReadinessEngine::Attempt(Connection& socket, int64_t now) {
  if (!socket.attempt) return;
  ConnectAttempt& attempt = *socket.attempt;
  ++counters_.syscalls;
  auto connected = attempt.from
                       ? attempt.from->Connect(socket.fd.get(), std::string(attempt.address.name()))
                       : posix::Connect(socket.fd.get(), attempt.address);
  const bool waits = connected.error().code == EAGAIN && now < attempt.give_up_at;
  if (waits) connected = HoldDirectory(attempt);
  int32_t outcome = connected.error().Negative();
  if (waits && outcome == 0) {
    ScheduleAt(std::min(now + attempt.pause, attempt.give_up_at), socket);
    attempt.pause = std::min(attempt.pause * 2, kConnectRetryLongest);
    return;
  }
  socket.connecting = false;
  if (outcome == 0) {
    if (auto watched = Watch(socket); !watched.ok()) outcome = watched.error().Negative();
  }
  if (outcome == 0) {
    ++counters_.connected;
    if (socket.HasPending()) {
      // It was sent before there was a connection.
      socket.writable = true;
      Enqueue(socket);
    }
  }
  socket.attempt.reset();
  Defer(socket.handle, CompletionKind::kConnected, outcome);
  UpdateLiveness(socket);
}

}  // namespace afunix::engine
