#include "engine/readiness_engine.h"

#include <poll.h>
#include <sys/epoll.h>

#include <utility>

#include "engine/budgets.h"
#include "posix/credentials.h"
#include "posix/kernel_constants.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"

namespace afunix::engine {

ReadinessEngine::ReadinessEngine(const EngineMemory& memory) : EngineCore(memory) {}

posix::Result<int32_t> ReadinessEngine::Adopt(posix::Fd fd) {
  auto kind = posix::DescribeSocket(fd.get());
  if (!kind.ok()) return kind.error();
  if (auto made = posix::MakeNonBlockingCloseOnExec(fd.get()); !made.ok()) return made.error();
  auto opened = NewConnection(kind.value().type == SOCK_SEQPACKET ? posix::SocketType::kSeqpacket
                                                                  : posix::SocketType::kStream);
  if (!opened.ok()) return opened.error();
  Connection& socket = *opened.value();
  socket.fd = std::move(fd);
  // Its last owner may have asked who writes: nobody does here, and there is no room for the
  // answer. Before Linux 6.5 there are no pidfds to turn off.
  (void)posix::SetPassCredentials(socket.fd.get(), false);
  (void)posix::SetPassPidFd(socket.fd.get(), false);
  // And it may have taken no descriptors, which this one may take.
  const auto passes = posix::GetIntOption(socket.fd.get(), SOL_SOCKET, posix::kPassRights);
  socket.descriptors_refused = passes.ok() && passes.value() == 0;
  const int32_t handle = endpoints_.Insert(std::move(opened).value());
  if (auto watched = Watch(socket); !watched.ok()) {
    endpoints_.Erase(handle);
    return watched.error();
  }
  return handle;
}

void ReadinessEngine::Enqueue(Endpoint& endpoint) {
  if (endpoint.queued) return;
  endpoint.queued = true;
  queue_.push_back(endpoints_.Tag(endpoint.handle));
  if (!attended_ && queue_.size() == 1) Wake();
}

void ReadinessEngine::Submit(std::span<Submission> submissions, bool /*more*/) {
  ++counters_.flushes;
  for (Submission& submission : submissions) CarryOut(submission);
}

void ReadinessEngine::CarryOut(Submission& submission) {
  Endpoint* endpoint = endpoints_.Find(submission.handle);
  if (endpoint == nullptr || endpoint->closed) {
    submission.offset = -EBADF;
  } else if (submission.kind == static_cast<int32_t>(SubmissionKind::kClose)) {
    Close(*endpoint);
  } else if (endpoint->kind == Endpoint::Kind::kListener) {
    if (submission.kind == static_cast<int32_t>(SubmissionKind::kShutdown)) {
      FinishAccepting(static_cast<Listener&>(*endpoint), submission.length != 0);
      submission.offset = kPending;
    } else {
      submission.offset = -EINVAL;
    }
  } else {
    auto& connection = static_cast<Connection&>(*endpoint);
    submission.offset = Carry(submission, connection);
    UpdateLiveness(connection);
  }
}

int32_t ReadinessEngine::Carry(const Submission& submission, Connection& socket) {
  const auto length = static_cast<size_t>(submission.length);
  const bool of_messages = socket.kind == Endpoint::Kind::kMessages;
  switch (static_cast<SubmissionKind>(submission.kind)) {
    case SubmissionKind::kWrite:
      if (of_messages) return -EINVAL;
      return WriteFromArea(static_cast<StreamSocket&>(socket), BytesOf(submission));
    case SubmissionKind::kWritePayload:
      if (of_messages) return -EINVAL;
      return WritePayload(static_cast<StreamSocket&>(socket), length);
    case SubmissionKind::kSend:
      if (!of_messages) return -EINVAL;
      return SendRows(static_cast<MessageSocket&>(socket), static_cast<size_t>(submission.offset),
                      length);
    case SubmissionKind::kSendPayload:
      if (!of_messages) return -EINVAL;
      return SendPayload(static_cast<MessageSocket&>(socket), length);
    case SubmissionKind::kShutdown:
      HalfClose(socket);
      return kPending;
    case SubmissionKind::kReadStart:
      if (socket.ended) return 0;
      socket.reading = true;
      socket.watches_end = false;
      socket.awaits_user = false;
      if (socket.ready) Enqueue(socket);
      AwaitMore(socket);
      return 0;
    case SubmissionKind::kReadStop:
      socket.reading = false;
      socket.watches_end = of_messages && !socket.ended &&
                           submission.length == static_cast<int32_t>(ReadStop::kWatchEnd);
      socket.awaits_user =
          !socket.ended && submission.length == static_cast<int32_t>(ReadStop::kAwaitUser);
      AwaitNoMore(socket);
      if (socket.watches_end) {
        if (socket.ready) Enqueue(socket);
        AwaitMore(socket);
      }
      // Nothing is told in front of a failure any more.
      if (socket.write_failure != 0) Enqueue(socket);
      return 0;
    case SubmissionKind::kReadTargets:
      socket.reads_into_target = submission.length != 0;
      return 0;
    case SubmissionKind::kClose:
      break;
  }
  return -EINVAL;
}

void ReadinessEngine::Close(Endpoint& endpoint) {
  if (endpoint.fd.valid()) Unwatch(endpoint);
  CloseEndpoint(endpoint);
}

size_t ReadinessEngine::Collect() {
  BeginCollection();
  slabs_used_ = 0;
  TellDeferred();
  NoteEvents(Asks());
  if (attended_) LookAtBusyPolled();
  LookAtQueue();
  counters_.completions += completed();
  if (completed() > 0) ++counters_.wakeups;
  if (!attended_ && HasWork()) Wake();
  return completed();
}

// While sockets are known to have more, or are read from anyway, the kernel is asked about the
// others only now and then.
bool ReadinessEngine::Asks() {
  int unasked = 0;
  if (!queue_.empty()) {
    unasked = kCollectionsUnasked;
  } else if (attended_ && !busy_polled_.empty() && !LooksForFree()) {
    unasked = kLooksUnasked;
  }
  if (++unasked_ < unasked) return false;
  unasked_ = 0;
  return true;
}

void ReadinessEngine::NoteReady(Endpoint& endpoint, uint32_t events) {
  if (endpoint.kind != Endpoint::Kind::kListener) {
    auto& socket = static_cast<Connection&>(endpoint);
    NoteState(socket, events);
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) socket.writable = true;
    if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) socket.ready = true;
  } else {
    endpoint.ready = true;
  }
  Enqueue(endpoint);
}

void ReadinessEngine::NoteState(Connection& socket, uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) socket.hung_up = true;
  if ((events & EPOLLHUP) != 0) socket.peer_gone = true;
  if ((events & EPOLLPRI) != 0 && socket.kind == Endpoint::Kind::kStream) {
    static_cast<StreamSocket&>(socket).has_out_of_band = true;
  }
}

void ReadinessEngine::AskForState(Connection& socket) {
  ++counters_.syscalls;
  pollfd polled{.fd = socket.fd.get(), .events = POLLPRI | POLLRDHUP, .revents = 0};
  if (::poll(&polled, 1, 0) > 0) NoteState(socket, static_cast<uint32_t>(polled.revents));
}

void ReadinessEngine::LookAtQueue() {
  std::swap(queue_, queue_now_);
  size_t next = 0;
  for (; next < queue_now_.size() && HasRoom() && receive_area_.HasRoom(); ++next) {
    Endpoint* endpoint = endpoints_.FindTagged(queue_now_[next]);
    if (endpoint == nullptr) continue;
    endpoint->queued = false;
    if (endpoint->closed) continue;
    bool again = false;
    if (endpoint->kind != Endpoint::Kind::kListener) {
      again = LookAt(static_cast<Connection&>(*endpoint));
    } else {
      again = AcceptSome(static_cast<Listener&>(*endpoint));
    }
    UpdateLiveness(*endpoint);
    if (again) {
      Enqueue(*endpoint);
    } else {
      AwaitMore(*endpoint);
    }
  }
  // Whoever did not get a turn comes first next time.
  if (next < queue_now_.size()) {
    queue_.insert(queue_.begin(), queue_now_.begin() + static_cast<ptrdiff_t>(next),
                  queue_now_.end());
  }
  queue_now_.clear();
}

// As with libuv, what came is told before what becomes of a write; all of it, if nothing else will
// come: the write will fail, and who hears of that reads no more.
bool ReadinessEngine::LookAt(Connection& socket) {
  const bool is_stream = socket.kind == Endpoint::Kind::kStream;
  bool more = false;
  socket.drained = false;
  if (socket.reading && socket.ready) {
    more = is_stream ? ReadSome(static_cast<StreamSocket&>(socket))
                     : ReadMessages(static_cast<MessageSocket&>(socket));
  } else if (socket.watches_end && socket.ready) {
    LookForEnd(static_cast<MessageSocket&>(socket));
  }
  if (socket.writable && (!more || !socket.hung_up || socket.drained)) {
    socket.writable = false;
    OnWritable(socket);
  }
  return TellWriteFailure(socket) || more;
}

void ReadinessEngine::ScheduleAt(int64_t when, const Endpoint& endpoint) {
  deadlines_.Add(when, endpoints_.Tag(endpoint.handle));
  if (timer_armed_for_ != 0 && timer_armed_for_ <= when) return;
  timer_armed_for_ = when;
  ArmTimer(when);
}

void ReadinessEngine::RunDeadlines() {
  const int64_t now = posix::MonotonicNow();
  timer_armed_for_ = 0;
  while (auto tag = deadlines_.TakeDue(now)) {
    Endpoint* endpoint = endpoints_.FindTagged(*tag);
    if (endpoint == nullptr || endpoint->closed) continue;
    if (endpoint->kind != Endpoint::Kind::kListener) {
      auto& socket = static_cast<Connection&>(*endpoint);
      Attempt(socket, now);
      if (!socket.connecting && socket.HasPending()) {
        // It waited for a connection, or for the kernel to have memory again.
        socket.writable = true;
        Enqueue(socket);
      }
    } else {
      static_cast<Listener&>(*endpoint).backing_off = false;
      Enqueue(*endpoint);
    }
  }
  if (auto next = deadlines_.Next()) {
    timer_armed_for_ = *next;
    ArmTimer(*next);
  }
}

void ReadinessEngine::ForgetQueues() {
  deadlines_.Clear();
  queue_.clear();
  busy_polled_.clear();
}

}  // namespace afunix::engine
