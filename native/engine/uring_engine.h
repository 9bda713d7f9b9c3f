// UringEngine: one io_uring for all sockets of one thread.
//
// Short messages come and go in batches: the kernel fills provided buffers as they arrive
// (multishot receive), accepts by itself (multishot accept), and takes the writes of a batch in one
// system call that also collects what has happened meanwhile. Everything that is not short (long
// reads, the user's own buffers, large or unfinished writes) is done by plain system calls, as
// ReadinessEngine has it, with poll requests in the ring to say when.
//
// The kernel makes completions, and writes to provided buffers, only while we are in Enter().
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/readiness_engine.h"
#include "engine/uring_state.h"
#include "posix/event_fd.h"
#include "posix/timer_fd.h"
#include "posix/uring.h"

namespace afunix::engine {

class UringEngine final : public ReadinessEngine {
 public:
  // Errors as Uring::Open(): ENOSYS, EPERM, EINVAL and so on.
  [[nodiscard]] static posix::Result<std::unique_ptr<UringEngine>> Open(const EngineMemory& memory);
  ~UringEngine() override { UringEngine::Shutdown(); }

  [[nodiscard]] int descriptor() const override { return wake_.descriptor(); }
  void Submit(std::span<Submission> submissions, bool more) override;
  [[nodiscard]] bool HasWork() const override {
    return ReadinessEngine::HasWork() || next_answer_ < answers_.size() ||
           (ring_.open() && ring_.HasWork());
  }
  [[nodiscard]] bool LooksForFree() const override { return true; }
  [[nodiscard]] posix::Status SetMessageMemory(const MessageMemory& memory) override;
  [[nodiscard]] posix::Result<size_t> SetMessageLimits(int32_t handle,
                                                       const MessageLimits& limits) override;
  void Wake() override;
  void SetAttended(bool attended) override;
  void Shutdown() override;

 private:
  using Purpose = UringPurpose;
  static constexpr uint64_t kEndpointTag = (uint64_t{1} << 56) - 1;

  explicit UringEngine(const EngineMemory& memory) : ReadinessEngine(memory) {}

  [[nodiscard]] bool HasRequestsOut(const Endpoint& endpoint) const override {
    const UringState* state = states_.Find(endpoint);
    return state != nullptr && state->out != 0;
  }

  // uring_requests.cc
  [[nodiscard]] posix::Status Watch(Endpoint& endpoint) override;
  void Unwatch(Endpoint& endpoint) override;
  void WatchWritable(Connection& socket, bool watch) override;
  void AwaitMore(Endpoint& endpoint) override;
  void AwaitNoMore(Endpoint& endpoint) override;
  void TakeBack(Connection& socket, std::vector<std::byte>& unread) override;
  [[nodiscard]] bool TellHeld(StreamSocket& socket, bool& more) override;
  bool TellReceived(MessageSocket& socket, bool& more) override;
  bool MayReadNow(StreamSocket& socket) override;
  bool HoldsMessages(MessageSocket& socket) override;
  bool MayLookForEnd(const MessageSocket& socket) const override;

  [[nodiscard]] static uint64_t TagFor(Purpose purpose, uint64_t rest) {
    return static_cast<uint64_t>(purpose) << 56 | rest;
  }
  [[nodiscard]] posix::uring::Request& Request();
  void RequestFor(Endpoint& endpoint, Purpose purpose, uint8_t operation, uint32_t events);
  void Cancel(Endpoint& endpoint, Purpose purpose);
  // The kernel shall forget a request that it does not have yet: it names a descriptor by its
  // number, which may be another's by the time it is handed over.
  void Drop(Endpoint& endpoint, Purpose purpose);
  // A request that does nothing and says nothing.
  static void Empty(posix::uring::Request& request);

  // A poll request is answered with the event that woke it.
  [[nodiscard]] bool TellsState() const override { return false; }

  // uring_engine.cc
  void NoteEvents(bool ask) override;
  void ArmTimer(int64_t when) override;
  void Enter(bool collect);
  // Whoever is not attended is woken if there is something to tell.
  void SubmitUnattended(bool collect);
  // Not the timer's, nor one that says nothing.
  [[nodiscard]] static bool IsOfEndpoint(const posix::uring::Answer& answer) {
    return ((answer.tag >> 56) & UringState::kAllPurposes) != 0;
  }
  // Its number is not free before all that an io_uring has of it is back and looked at.
  [[nodiscard]] Endpoint& EndpointOf(const posix::uring::Answer& answer) const;
  // Keeps it for its turn, unless nobody has to wait for that.
  void Note(const posix::uring::Answer& answer);
  void OnAnswer(const posix::uring::Answer& answer);
  // The buffer of `answer`, if it has one: the kernel's again in the next collection, or at once if
  // it is for messages, which are never told from where they were received.
  void Recycle(const Endpoint& endpoint, const posix::uring::Answer& answer);
  void CameBack(Endpoint& endpoint, Purpose purpose);
  void OnListenerAnswer(Listener& listener, Purpose purpose, int32_t result);
  void OnAccepted(Listener& listener, int32_t result);

  // An answer that comes when nothing is told any more.
  void Forget(const posix::uring::Answer& answer);

  // uring_sending.cc
  [[nodiscard]] static bool CanSend(const Submission& submission, const StreamSocket& socket);
  void RequestSend(size_t row, StreamSocket& socket);
  void OnSent(const posix::uring::Answer& answer);
  // Hands over what was requested and waits until the kernel has said what it took.
  // `collect`: it is asked for what has happened meanwhile, too.
  void SendRequested(bool collect);
  void SendDirectly();

  // uring_receiving.cc
  // Its memory is not the ring's: it is read by plain calls, and polled for.
  [[nodiscard]] bool IsReadDirectly(const Connection& socket) const {
    return socket.kind == Endpoint::Kind::kStream
               ? IsReadDirectly(static_cast<const StreamSocket&>(socket))
               : IsReadDirectly(static_cast<const MessageSocket&>(socket));
  }
  [[nodiscard]] static bool IsReadDirectly(const StreamSocket& socket) {
    return socket.reads_into_target || socket.direct_reads > 0 || socket.max_descriptors > 0 ||
           socket.passes_credentials || socket.busy_polled;
  }
  void OnReceived(StreamSocket& socket, const posix::uring::Answer& answer);
  [[nodiscard]] bool HasHadItsShare(const StreamSocket& socket);
  void Hold(StreamSocket& socket, const posix::uring::Answer& answer);
  void Tell(StreamSocket& socket, const posix::uring::Answer& answer);
  void Discard(StreamSocket& socket);
  void KeepUnread(Connection& socket, const posix::uring::Answer& answer,
                  std::vector<std::byte>& unread);
  void OnReceiveStopped(StreamSocket& socket, int32_t result);

  // uring_receiving_messages.cc
  [[nodiscard]] bool IsReadDirectly(const MessageSocket& socket) const;
  void OnReceived(MessageSocket& socket, const posix::uring::Answer& answer);
  void Discard(MessageSocket& socket);
  // What a receive request ended with.
  static void NoteStopped(MessageSocket& socket, int32_t result);
  void KeepUnread(MessageSocket& socket, const posix::uring::Answer& answer,
                  std::vector<std::byte>& unread);
  // Notes a message at `used` of `area`; where the next can go.
  size_t TakeMessage(const MessageSocket& socket, const posix::uring::Answer& answer,
                     std::span<std::byte> area, size_t used);

  static constexpr uint16_t kBytes = 0;
  static constexpr uint16_t kMessages = 1;

  posix::Uring ring_;
  UringStates states_;
  posix::EventFd wake_;
  posix::TimerFd timer_;
  bool timer_polled_ = false;
  // Something was cancelled that must be gone when Submit() returns.
  bool cancelled_ = false;
  // Requests of endpoints that the kernel has.
  size_t requests_out_ = 0;
  // Answers that have not been looked at yet.
  std::vector<posix::uring::Answer> answers_;
  size_t next_answer_ = 0;
  posix::UringBuffers buffers_;
  posix::UringBuffers message_buffers_;
  posix::Mapping message_memory_;
  // Provided buffers that were told and are the kernel's again in the next collection.
  std::vector<uint16_t> told_buffers_;
  // The submissions being carried out, and how many of them are sends without an answer.
  std::span<Submission> submissions_;
  size_t unanswered_sends_ = 0;
  uint32_t collection_ = 0;
  // Connections told in the collection under way.
  int accepted_ = 0;
};

}  // namespace afunix::engine
