#include "engine/epoll_engine.h"

#include <utility>

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

posix::Status EpollEngine::Watch(Endpoint& endpoint) {
  ++counters_.syscalls;
  return epoll_.Add(endpoint.fd.get(), kReadEvents, endpoints_.Tag(endpoint.handle));
}

void EpollEngine::Unwatch(Endpoint& endpoint) {
  // An open file may live on elsewhere (a descriptor that was passed on or inherited), and the
  // kernel would go on reporting events for it.
  ++counters_.syscalls;
  (void)epoll_.Remove(endpoint.fd.get());
}

void EpollEngine::WatchWritable(Connection& socket, bool watch) {
  if (socket.watches_writable == watch) return;
  ++counters_.syscalls;
  const uint32_t events = watch ? kReadEvents | EPOLLOUT : kReadEvents;
  if (epoll_.Modify(socket.fd.get(), events, endpoints_.Tag(socket.handle)).ok()) {
    socket.watches_writable = watch;
  }
}

void EpollEngine::Wake() {
  ++counters_.syscalls;
  wake_.Signal();
}

void EpollEngine::NoteEvents(bool ask) {
  if (!ask) return;
  ++counters_.syscalls;
  const size_t count = epoll_.Poll(events_);
  for (size_t i = 0; i < count; ++i) {
    const epoll_event& event = events_[i];
    if (event.data.u64 == kTimerTag) {
      RunDeadlines();
    } else if (event.data.u64 != kWakeTag) {
      Endpoint* endpoint = endpoints_.FindTagged(event.data.u64);
      if (endpoint != nullptr && !endpoint->closed) NoteReady(*endpoint, event.events);
    }
  }
}

void EpollEngine::ArmTimer(int64_t when) {
  ++counters_.syscalls;
  (void)timer_.ArmAt(when);
}

void EpollEngine::Shutdown() {
  ForgetEverything();
  ForgetQueues();
  epoll_ = posix::EpollSet();
}

}  // namespace afunix::engine
