// EpollEngine: one private epoll set for all sockets of one thread.
//
// Sockets are watched edge-triggered, so that neither pausing nor reading to the end costs a call
// to epoll_ctl; an endpoint whose readiness has not been used up stands in a list of our own
// (queue_). Listeners, too. Writability is watched only while a write is pending: otherwise each
// message that the peer reads would wake us.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/deadlines.h"
#include "engine/engine_core.h"
#include "posix/epoll.h"
#include "posix/event_fd.h"
#include "posix/timer_fd.h"

namespace afunix::engine {

class EpollEngine final : public EngineCore {
 public:
  [[nodiscard]] static posix::Result<std::unique_ptr<EpollEngine>> Open(const EngineMemory& memory);
  ~EpollEngine() override { Shutdown(); }

  [[nodiscard]] int descriptor() const override { return epoll_.descriptor(); }
  [[nodiscard]] posix::Result<int32_t> Connect(const posix::UnixAddress& address,
                                               int64_t patience) override;
  [[nodiscard]] posix::Status ConnectAgain(int32_t handle, const posix::UnixAddress& address,
                                           int64_t patience) override;
  [[nodiscard]] posix::Result<int32_t> Adopt(posix::Fd fd) override;
  [[nodiscard]] posix::Result<int32_t> Listen(const posix::UnixAddress& address,
                                              const ListenOptions& options) override;
  [[nodiscard]] posix::Result<int32_t> AdoptListener(posix::Fd fd, int backlog) override;
  void Submit(std::span<Submission> submissions) override;
  [[nodiscard]] size_t Collect() override;
  [[nodiscard]] bool HasWork() const override { return HasDeferred() || !queue_.empty(); }
  void Wake() override;
  void Shutdown() override;

 private:
  explicit EpollEngine(const EngineMemory& memory) : EngineCore(memory) {}

  // epoll_engine.cc
  [[nodiscard]] posix::Status Watch(Endpoint& endpoint);
  void SetWatchesWritable(StreamSocket& socket, bool watch);
  void Enqueue(Endpoint& endpoint);
  void NoteEvents();
  void NoteEvent(const epoll_event& event);
  void LookAtQueue();
  void RunDeadlines();
  void ScheduleAt(int64_t when, const Endpoint& endpoint);
  void Close(Endpoint& endpoint);
  [[nodiscard]] int32_t Carry(Submission& submission, StreamSocket& socket);

  // epoll_reading.cc
  // True if the socket may have more and should stay in the queue.
  [[nodiscard]] bool ReadSome(StreamSocket& socket);
  void FinishReading(StreamSocket& socket);

  // epoll_writing.cc; writes return 0, −errno or kPending.
  [[nodiscard]] int32_t WriteFromArea(StreamSocket& socket, std::span<const std::byte> bytes);
  [[nodiscard]] int32_t WritePayload(StreamSocket& socket, size_t length);
  [[nodiscard]] int32_t ContinueWrite(StreamSocket& socket);
  void WaitForRoom(StreamSocket& socket, int code);
  void HalfClose(StreamSocket& socket);
  void OnWritable(StreamSocket& socket);

  // epoll_connecting.cc
  void BeginConnecting(StreamSocket& socket, const posix::UnixAddress& address, int64_t patience);
  void Attempt(StreamSocket& socket, int64_t now);

  // epoll_listening.cc
  [[nodiscard]] posix::Result<int32_t> StartListening(std::unique_ptr<Listener> listener,
                                                      int backlog);
  [[nodiscard]] bool AcceptSome(Listener& listener);
  [[nodiscard]] bool TellAccepted(Listener& listener, posix::Fd fd);
  void BackOff(Listener& listener);

  posix::EpollSet epoll_;
  posix::EventFd wake_;
  posix::TimerFd timer_;
  Deadlines deadlines_;
  int64_t timer_armed_for_ = 0;
  // Endpoints to look at without asking the kernel, in the order of their turn.
  std::vector<uint64_t> queue_;
  std::vector<uint64_t> queue_now_;
  // Collections since the kernel was last asked.
  int unasked_ = 0;
  // Slabs filled in the collection under way.
  int32_t slabs_used_ = 0;
  std::array<epoll_event, kEventBudget> events_{};
};

}  // namespace afunix::engine
