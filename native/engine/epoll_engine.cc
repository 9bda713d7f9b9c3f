#include "engine/epoll_engine.h"

#include <utility>

#include "posix/socket.h"

namespace afunix::engine {

namespace {

// Tags of the engine's own two descriptors; no handle table ever grows that far.
constexpr uint64_t kWakeTag = ~uint64_t{0};
constexpr uint64_t kTimerTag = ~uint64_t{1};

constexpr uint32_t kReadEvents = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

}  // namespace

posix::Result<std::unique_ptr<EpollEngine>> EpollEngine::Open(const EngineMemory& memory) {
  std::unique_ptr<EpollEngine> engine(new EpollEngine(memory));
  auto epoll = posix::EpollSet::Open();
  if (!epoll.ok()) return epoll.error();
  engine->epoll_ = std::move(epoll).value();
  auto wake = posix::EventFd::Open();
  if (!wake.ok()) return wake.error();
  engine->wake_ = std::move(wake).value();
  // Edge-triggered: every signal is a new edge, so the counter never needs to be read.
  if (auto added = engine->epoll_.Add(engine->wake_.descriptor(), EPOLLIN | EPOLLET, kWakeTag);
      !added.ok()) {
    return added.error();
  }
  auto timer = posix::TimerFd::Open();
  if (!timer.ok()) return timer.error();
  engine->timer_ = std::move(timer).value();
  if (auto added = engine->epoll_.Add(engine->timer_.descriptor(), EPOLLIN | EPOLLET, kTimerTag);
      !added.ok()) {
    return added.error();
  }
  return engine;
}

posix::Result<int32_t> EpollEngine::Adopt(posix::Fd fd) {
  if (auto made = posix::MakeNonBlockingCloseOnExec(fd.get()); !made.ok()) return made.error();
  auto socket = std::make_unique<StreamSocket>();
  StreamSocket& stream = *socket;
  stream.fd = std::move(fd);
  const int32_t handle = endpoints_.Insert(std::move(socket));
  if (auto watched = Watch(stream); !watched.ok()) {
    endpoints_.Erase(handle);
    return watched.error();
  }
  return handle;
}

posix::Status EpollEngine::Watch(Endpoint& endpoint) {
  ++counters_.syscalls;
  return epoll_.Add(endpoint.fd.get(), kReadEvents, endpoints_.Tag(endpoint.handle));
}

void EpollEngine::SetWatchesWritable(StreamSocket& socket, bool watch) {
  if (socket.watches_writable == watch) return;
  ++counters_.syscalls;
  const uint32_t events = watch ? kReadEvents | EPOLLOUT : kReadEvents;
  if (epoll_.Modify(socket.fd.get(), events, endpoints_.Tag(socket.handle)).ok()) {
    socket.watches_writable = watch;
  }
}

void EpollEngine::Enqueue(Endpoint& endpoint) {
  if (endpoint.queued) return;
  endpoint.queued = true;
  queue_.push_back(endpoints_.Tag(endpoint.handle));
  if (!attended_ && queue_.size() == 1) Wake();
}

void EpollEngine::Wake() {
  ++counters_.syscalls;
  wake_.Signal();
}

void EpollEngine::Submit(std::span<Submission> submissions) {
  ++counters_.flushes;
  for (Submission& submission : submissions) {
    Endpoint* endpoint = endpoints_.Find(submission.handle);
    if (endpoint == nullptr || endpoint->closed) {
      submission.offset = -EBADF;
    } else if (submission.kind == static_cast<int32_t>(SubmissionKind::kClose)) {
      Close(*endpoint);
    } else if (endpoint->kind != Endpoint::Kind::kStream) {
      submission.offset = -EINVAL;
    } else {
      auto& socket = static_cast<StreamSocket&>(*endpoint);
      submission.offset = Carry(submission, socket);
      UpdateLiveness(socket);
    }
  }
}

int32_t EpollEngine::Carry(Submission& submission, StreamSocket& socket) {
  switch (static_cast<SubmissionKind>(submission.kind)) {
    case SubmissionKind::kWrite:
      return WriteFromArea(socket,
                           memory_.send_area.subspan(static_cast<size_t>(submission.offset),
                                                     static_cast<size_t>(submission.length)));
    case SubmissionKind::kWritePayload:
      return WritePayload(socket, static_cast<size_t>(submission.length));
    case SubmissionKind::kShutdown:
      HalfClose(socket);
      return kPending;
    case SubmissionKind::kReadStart:
      if (socket.ended) return 0;
      socket.reading = true;
      if (socket.ready) Enqueue(socket);
      return 0;
    case SubmissionKind::kReadStop:
      socket.reading = false;
      return 0;
    case SubmissionKind::kReadTargets:
      socket.reads_into_target = submission.length != 0;
      return 0;
    case SubmissionKind::kClose:
      break;
  }
  return -EINVAL;
}

void EpollEngine::Close(Endpoint& endpoint) {
  // An open file may live on elsewhere (a descriptor that was passed on or inherited), and the
  // kernel would go on reporting events for it.
  if (endpoint.fd.valid()) {
    ++counters_.syscalls;
    (void)epoll_.Remove(endpoint.fd.get());
  }
  CloseEndpoint(endpoint);
}

size_t EpollEngine::Collect() {
  BeginCollection();
  slabs_used_ = 0;
  TellDeferred();
  // While sockets are known to have more, the kernel is asked about the others only now and then.
  if (queue_.empty() || ++unasked_ >= kCollectionsUnasked) {
    unasked_ = 0;
    NoteEvents();
  }
  LookAtQueue();
  counters_.completions += completed();
  if (completed() > 0) ++counters_.wakeups;
  if (!attended_ && HasWork()) Wake();
  return completed();
}

void EpollEngine::NoteEvents() {
  ++counters_.syscalls;
  const size_t count = epoll_.Poll(events_);
  for (size_t i = 0; i < count; ++i) NoteEvent(events_[i]);
}

void EpollEngine::NoteEvent(const epoll_event& event) {
  if (event.data.u64 == kWakeTag) return;
  if (event.data.u64 == kTimerTag) {
    RunDeadlines();
    return;
  }
  Endpoint* endpoint = endpoints_.FindTagged(event.data.u64);
  if (endpoint == nullptr || endpoint->closed) return;
  if (endpoint->kind == Endpoint::Kind::kStream) {
    auto& socket = static_cast<StreamSocket&>(*endpoint);
    if ((event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) socket.hung_up = true;
    if ((event.events & EPOLLPRI) != 0) socket.has_out_of_band = true;
    if ((event.events & EPOLLHUP) != 0) socket.peer_gone = true;
    if ((event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) socket.writable = true;
    if ((event.events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) socket.ready = true;
  } else {
    endpoint->ready = true;
  }
  Enqueue(*endpoint);
}

void EpollEngine::LookAtQueue() {
  std::swap(queue_, queue_now_);
  size_t next = 0;
  for (; next < queue_now_.size() && HasRoom() && receive_area_.HasRoom(); ++next) {
    Endpoint* endpoint = endpoints_.FindTagged(queue_now_[next]);
    if (endpoint == nullptr) continue;
    endpoint->queued = false;
    if (endpoint->closed) continue;
    bool again = false;
    if (endpoint->kind == Endpoint::Kind::kStream) {
      auto& socket = static_cast<StreamSocket&>(*endpoint);
      if (std::exchange(socket.writable, false)) OnWritable(socket);
      if (socket.reading && socket.ready) again = ReadSome(socket);
    } else {
      again = AcceptSome(static_cast<Listener&>(*endpoint));
    }
    UpdateLiveness(*endpoint);
    if (again) Enqueue(*endpoint);
  }
  // Whoever did not get a turn comes first next time.
  if (next < queue_now_.size()) {
    queue_.insert(queue_.begin(), queue_now_.begin() + static_cast<ptrdiff_t>(next),
                  queue_now_.end());
  }
  queue_now_.clear();
}

void EpollEngine::ScheduleAt(int64_t when, const Endpoint& endpoint) {
  deadlines_.Add(when, endpoints_.Tag(endpoint.handle));
  if (timer_armed_for_ != 0 && timer_armed_for_ <= when) return;
  timer_armed_for_ = when;
  ++counters_.syscalls;
  (void)timer_.ArmAt(when);
}

void EpollEngine::RunDeadlines() {
  const int64_t now = posix::MonotonicNow();
  timer_armed_for_ = 0;
  while (auto tag = deadlines_.TakeDue(now)) {
    Endpoint* endpoint = endpoints_.FindTagged(*tag);
    if (endpoint == nullptr || endpoint->closed) continue;
    if (endpoint->kind == Endpoint::Kind::kStream) {
      auto& socket = static_cast<StreamSocket&>(*endpoint);
      Attempt(socket, now);
      if (!socket.write.empty()) {
        // It waited for the kernel to have memory again.
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
    ++counters_.syscalls;
    (void)timer_.ArmAt(*next);
  }
}

void EpollEngine::Shutdown() {
  ForgetEverything();
  deadlines_.Clear();
  queue_.clear();
  epoll_ = posix::EpollSet();
}

}  // namespace afunix::engine
