// Listening and accepting.
#include <sys/socket.h>

#include <utility>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/ancillary.h"
#include "posix/credentials.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"

namespace afunix::engine {

posix::Result<int32_t> ReadinessEngine::Listen(const posix::UnixAddress& address,
                                               const ListenOptions& options) {
  counters_.syscalls += 4;
  auto opened = posix::OpenSocket(options.type);
  if (!opened.ok()) return opened.error();
  auto listener = std::make_unique<Listener>();
  listener->type = options.type;
  listener->fd = std::move(opened).value();
  listener->descriptors_refused =
      !options.descriptors && posix::RefuseDescriptors(listener->fd.get()).ok();
  listener->passes_credentials = options.credentials;
  if (options.pidfds) listener->pidfds = Endpoint::kPidfdsPass;
  if (options.place != nullptr) {
    return ListenAtPlace(std::move(listener), std::string(address.name()), options);
  }
  const bool has_file = address.kind() == posix::UnixAddress::Kind::kPathname;
  auto origin = posix::SocketFile::Origin(has_file ? address.name() : "");
  if (!origin.ok()) return origin.error();
  if (auto bound = posix::Bind(listener->fd.get(), address); !bound.ok()) return bound.error();
  if (has_file) {
    auto file = posix::SocketFile::Remember(std::string(address.name()), std::move(origin).value());
    if (!file.ok()) return file.error();
    listener->file = std::move(file).value();
    listener->owns_file = true;
    // Between bind and listen nobody can connect yet.
    if (options.add_mode != 0) {
      const auto changed = options.whole_mode ? listener->file.SetMode(options.add_mode)
                                              : listener->file.AddMode(options.add_mode);
      if (!changed.ok()) {
        listener->file.Remove();
        return changed.error();
      }
    }
  }
  return StartListening(std::move(listener), options.backlog);
}

posix::Result<int32_t> ReadinessEngine::ListenAtPlace(std::unique_ptr<Listener> listener,
                                                      const std::string& path,
                                                      const ListenOptions& options) {
  counters_.syscalls += 8;
  auto place = posix::SocketPlace::Take(listener->fd.get(), path, *options.place, *options.trouble);
  if (!place.ok()) return place.error();
  auto started = StartListening(std::move(listener), options.backlog);
  if (!started.ok()) return started;
  // From its first moment at the path it accepts.
  auto file = place.value().Publish(*options.trouble);
  auto& endpoint = static_cast<Listener&>(*endpoints_.Find(started.value()));
  if (!file.ok()) {
    Close(endpoint);
    return file.error();
  }
  endpoint.file = std::move(file).value();
  endpoint.owns_file = true;
  return started;
}

posix::Result<int32_t> ReadinessEngine::AdoptListener(posix::Fd fd, int backlog, bool credentials,
                                                      bool pidfds) {
  auto kind = posix::DescribeSocket(fd.get());
  if (!kind.ok()) return kind.error();
  if (auto made = posix::MakeNonBlockingCloseOnExec(fd.get()); !made.ok()) return made.error();
  auto listener = std::make_unique<Listener>();
  if (kind.value().type == SOCK_SEQPACKET) listener->type = posix::SocketType::kSeqpacket;
  listener->fd = std::move(fd);
  listener->shared = true;
  listener->passes_credentials = credentials;
  if (pidfds) listener->pidfds = Endpoint::kPidfdsPass;
  return StartListening(std::move(listener), backlog);
}

posix::Status ReadinessEngine::Share(int32_t listener) {
  Endpoint* endpoint = endpoints_.Find(listener);
  if (endpoint == nullptr || endpoint->closed || endpoint->kind != Endpoint::Kind::kListener) {
    return posix::Error{EBADF};
  }
  if (std::exchange(static_cast<Listener*>(endpoint)->shared, true)) return {};
  // It may be waiting in a way that leaves nothing to the others.
  AwaitNoMore(*endpoint);
  Submit({}, false);
  return {};
}

posix::Result<int32_t> ReadinessEngine::StartListening(std::unique_ptr<Listener> listener,
                                                       int backlog) {
  Listener& endpoint = *listener;
  // Before listen(2): whoever connects finds it so, and what they accept inherits it.
  auto listening = endpoint.passes_credentials ? posix::SetPassCredentials(endpoint.fd.get(), true)
                                               : posix::Status();
  if (endpoint.PassesPidfds()) {
    // Where there are none, the rest still comes, and whoever looks for one is told why.
    if (!posix::SetPassPidFd(endpoint.fd.get(), true).ok()) endpoint.pidfds = -ENOPROTOOPT;
  }
  if (listening.ok()) listening = posix::Listen(endpoint.fd.get(), backlog);
  const int32_t handle = endpoints_.Insert(std::move(listener));
  if (listening.ok()) listening = Watch(endpoint);
  if (!listening.ok()) {
    if (endpoint.owns_file) endpoint.file.Remove();
    endpoints_.Erase(handle);
    return listening.error();
  }
  endpoint.Reserve();
  UpdateLiveness(endpoint);
  return handle;
}

bool ReadinessEngine::AcceptSome(Listener& listener) {
  if (listener.backing_off) return false;
  int32_t shed = 0;
  int32_t shed_because = 0;
  bool more = true;
  // Who leaves takes what waits in one go: new ones may come as fast as a few at a time are taken.
  const bool sharing = listener.shared && !listener.leaving;
  const int budget = sharing ? kSharedAcceptBudget : kAcceptBudget;
  for (int i = 0; i < budget && HasRoom(); ++i) {
    if (listener.leaving && --listener.may_accept < 0) {
      more = false;
      break;
    }
    ++counters_.syscalls;
    auto accepted = posix::Accept(listener.fd.get());
    if (accepted.ok()) {
      if (TellAccepted(listener, std::move(accepted).value())) continue;
      shed_because = -ENOSPC;
      ++shed;
      continue;
    }
    const int code = accepted.error().code;
    if (code == EAGAIN || (code == EINVAL && listener.finishing)) {
      more = false;
      break;
    }
    if (code == ECONNABORTED || code == EPROTO) continue;
    shed_because = -code;
    if ((code == EMFILE || code == ENFILE) && listener.ShedOne()) {
      ++shed;
      continue;
    }
    // No memory, or not even the reserve: whoever waits in the backlog goes on waiting for a
    // moment.
    BackOff(listener);
    more = false;
    break;
  }
  // A reserve that could not be had before may be there now.
  if (shed_because == 0) listener.Reserve();
  if (shed > 0) Complete(listener.handle, CompletionKind::kDropped, shed_because, shed);
  if (!more && !listener.backing_off) {
    listener.ready = false;
    FinishIfDrained(listener);
  }
  return more;
}

void ReadinessEngine::FinishAccepting(Listener& listener, bool leave) {
  if (listener.finishing) return;
  listener.finishing = true;
  listener.leaving = leave;
  if (std::exchange(listener.owns_file, false)) listener.file.Remove();
  if (!leave) {
    counters_.syscalls += 2;
    // From here on connect(2) fails with ECONNREFUSED, and what is in the backlog stays there
    // (unix_stream_connect() and unix_accept() in net/unix/af_unix.c).
    (void)posix::Shutdown(listener.fd.get(), SHUT_RD);
  }
  AwaitNoMore(listener);
  if (!HasRequestsOut(listener)) {
    listener.ready = true;
    Enqueue(listener);
  }
}

void ReadinessEngine::FinishIfDrained(Listener& listener) {
  if (!listener.finishing || std::exchange(listener.drained, true)) return;
  Complete(listener.handle, CompletionKind::kEnd, 0);
}

bool ReadinessEngine::TellAccepted(Listener& listener, posix::Fd fd) {
  auto made = NewConnection(listener.type);
  if (!made.ok()) return false;
  auto owned = std::move(made).value();
  Connection& socket = *owned;
  socket.fd = std::move(fd);
  socket.descriptors_refused = listener.descriptors_refused;
  socket.passes_credentials = listener.passes_credentials;
  socket.pidfds = listener.pidfds;
  const int32_t handle = endpoints_.Insert(std::move(owned));
  if (!Watch(socket).ok()) {
    endpoints_.Erase(handle);
    return false;
  }
  ++counters_.accepted;
  ++counters_.syscalls;
  // As of connect(2): neither a change of identity nor an exit of the peer changes it any more.
  Complete(listener.handle, CompletionKind::kAccepted, handle,
           peers_.Put(posix::PeerCredentials(socket.fd.get())));
  return true;
}

void ReadinessEngine::BackOff(Listener& listener) {
  listener.backing_off = true;
  ScheduleAt(posix::MonotonicNow() + kAcceptBackOff, listener);
}

}  // namespace afunix::engine
