// EpollEngine: one private epoll set for all sockets of one thread, watched edge-triggered.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/epoll.h"
#include "posix/event_fd.h"
#include "posix/timer_fd.h"

namespace afunix::engine {

class EpollEngine final : public ReadinessEngine {
 public:
  [[nodiscard]] static posix::Result<std::unique_ptr<EpollEngine>> Open(const EngineMemory& memory);
  ~EpollEngine() override { EpollEngine::Shutdown(); }

  [[nodiscard]] int descriptor() const override { return epoll_.descriptor(); }
  [[nodiscard]] bool LooksForFree() const override { return false; }
  void Wake() override;
  void Shutdown() override;

 private:
  explicit EpollEngine(const EngineMemory& memory) : ReadinessEngine(memory) {}

  [[nodiscard]] bool HasRequestsOut(const Endpoint& /*endpoint*/) const override { return false; }
  [[nodiscard]] posix::Status Watch(Endpoint& endpoint) override;
  void Unwatch(Endpoint& endpoint) override;
  void WatchWritable(Connection& socket, bool watch) override;
  // Edge-triggered: the kernel says so by itself.
  void AwaitMore(Endpoint& /*endpoint*/) override {}
  void AwaitNoMore(Endpoint& /*endpoint*/) override {}
  void TakeBack(Connection& socket, std::vector<std::byte>& /*unread*/) override {
    Unwatch(socket);
  }
  bool TellHeld(StreamSocket& /*socket*/, bool& /*more*/) override { return false; }
  bool TellReceived(MessageSocket& /*socket*/, bool& /*more*/) override { return false; }
  bool MayReadNow(StreamSocket& /*socket*/) override { return true; }
  bool HoldsMessages(MessageSocket& /*socket*/) override { return false; }
  bool MayLookForEnd(const MessageSocket& /*socket*/) const override { return true; }
  [[nodiscard]] bool TellsState() const override { return true; }
  void NoteEvents(bool ask) override;
  void ArmTimer(int64_t when) override;

  posix::EpollSet epoll_;
  posix::EventFd wake_;
  posix::TimerFd timer_;
  std::array<epoll_event, kEventBudget> events_{};
};

}  // namespace afunix::engine
