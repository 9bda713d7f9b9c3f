// ReadinessEngine: what is done with sockets by plain system calls once the kernel has said that
// they are ready. How it is asked to say so is left to the engines below: an epoll set, or poll
// requests in an io_uring.
//
// An endpoint whose readiness has not been used up stands in a list of our own (queue_), so that
// neither pausing nor reading to the end costs a call. Writability is watched only while a write is
// pending: otherwise each message that the peer reads would wake us.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/budgets.h"
#include "engine/deadlines.h"
#include "engine/engine_core.h"
#include "engine/incoming_headers.h"
#include "engine/outgoing_headers.h"
#include "posix/ancillary.h"
#include "posix/message.h"

namespace afunix::engine {

class ReadinessEngine : public EngineCore {
 public:
  [[nodiscard]] posix::Result<int32_t> Connect(const posix::UnixAddress& address, int64_t patience,
                                               posix::SocketType type, bool descriptors) override;
  [[nodiscard]] posix::Status ConnectAgain(int32_t handle, const posix::UnixAddress& address,
                                           int64_t patience) override;
  [[nodiscard]] posix::Result<int32_t> Adopt(posix::Fd fd) override;
  [[nodiscard]] posix::Result<int32_t> Listen(const posix::UnixAddress& address,
                                              const ListenOptions& options) override;
  [[nodiscard]] posix::Result<int32_t> AdoptListener(posix::Fd fd, int backlog, bool credentials,
                                                     bool pidfds) override;
  [[nodiscard]] posix::Status Share(int32_t listener) override;
  void SetBusyPoll(int32_t handle, int64_t nanoseconds) override;
  void SetAttended(bool attended) override;
  [[nodiscard]] posix::Status SetMaxDescriptors(int32_t handle, size_t most,
                                                size_t at_once) override;
  [[nodiscard]] posix::Status AttachDescriptors(int32_t handle,
                                                std::vector<posix::Fd> descriptors) override;
  [[nodiscard]] posix::Result<posix::Fd> Detach(int32_t handle,
                                                std::vector<std::byte>& unread) override;
  void Submit(std::span<Submission> submissions, bool more) override;
  [[nodiscard]] size_t Collect() override;
  [[nodiscard]] bool HasWork() const override { return HasDeferred() || !queue_.empty(); }

 protected:
  explicit ReadinessEngine(const EngineMemory& memory);

  // Called once for an endpoint that is connected or listening; afterwards the kernel says when it
  // has something.
  [[nodiscard]] virtual posix::Status Watch(Endpoint& endpoint) = 0;
  // Called before its descriptor is closed.
  virtual void Unwatch(Endpoint& endpoint) = 0;
  virtual void WatchWritable(Connection& socket, bool watch) = 0;
  // `endpoint` was looked at, or its user wants to read: if it is not queued and not ready, the
  // kernel has to say when it is.
  virtual void AwaitMore(Endpoint& endpoint) = 0;
  // The user of `endpoint` stopped reading, or accepting.
  virtual void AwaitNoMore(Endpoint& endpoint) = 0;
  // Takes back what the kernel has of `socket`, and appends what it received and nobody was told:
  // see Engine::Detach().
  virtual void TakeBack(Connection& socket, std::vector<std::byte>& unread) = 0;
  // Tells what was received of `socket` already. False: nothing was, and it can be read directly.
  [[nodiscard]] virtual bool TellHeld(StreamSocket& socket, bool& more) = 0;
  // The same for messages. False: none were, and none can be on their way but in the kernel's
  // queue.
  [[nodiscard]] virtual bool TellReceived(MessageSocket& socket, bool& more) = 0;
  // Nobody reads: whether messages of `socket` were received ahead. False: none were; what ended
  // the receiving is in its read_error.
  [[nodiscard]] virtual bool HoldsMessages(MessageSocket& socket) = 0;
  // The kernel has no request that may have taken messages of `socket`; otherwise it comes back.
  [[nodiscard]] virtual bool MayLookForEnd(const MessageSocket& socket) const = 0;
  // A socket that is said to be readable is said to be hung up, too, if it is.
  [[nodiscard]] virtual bool TellsState() const = 0;
  // Notes what the kernel says. Without `ask` there is other work: only what is known already.
  virtual void NoteEvents(bool ask) = 0;
  // The kernel has no request that may have taken bytes of `socket`; otherwise it is told to give
  // it back.
  [[nodiscard]] virtual bool MayReadNow(StreamSocket& socket) = 0;
  // RunDeadlines() shall be called at this moment, CLOCK_MONOTONIC.
  virtual void ArmTimer(int64_t when) = 0;

  // readiness_engine.cc
  void CarryOut(Submission& submission);
  // Readiness of `socket` as poll(2) and epoll(7) put it.
  void NoteReady(Endpoint& endpoint, uint32_t events);
  // What does not pass: a hang-up, out-of-band data.
  static void NoteState(Connection& socket, uint32_t events);
  // The same, as it is now.
  void AskForState(Connection& socket);
  void Enqueue(Endpoint& endpoint);
  void RunDeadlines();
  void ForgetQueues();

  // busy_polling.cc
  // Whoever is not attended any more has to be woken for these, too.
  void AwaitBusyPolled();

  // reading.cc
  [[nodiscard]] int32_t PutWriter(Connection& socket, posix::AncillaryReader& ancillary);
  void FinishReading(Connection& socket);
  // No bytes are left to read.
  [[nodiscard]] bool IsEmpty(const Connection& socket);

  // reading_messages.cc
  // The peer has ended, and nothing with bytes is left: what looked like a message without any was
  // the end.
  [[nodiscard]] bool OnlyEndIsLeft(const MessageSocket& socket);
  void FinishMessages(MessageSocket& socket);
  // Nobody reads: tells the end, or the error, if there is nothing in front of it.
  void LookForEnd(MessageSocket& socket);

  // writing.cc; writes return 0, −errno or kPending.
  [[nodiscard]] int32_t SettleSend(StreamSocket& socket, std::span<const std::byte> bytes,
                                   posix::Result<size_t> sent);
  [[nodiscard]] std::span<const std::byte> BytesOf(const Submission& submission) const;
  // All that was received has been told: tries what is pending, and tells if it fails.
  void WriteBehindData(StreamSocket& socket);

  // listening.cc
  [[nodiscard]] bool TellAccepted(Listener& listener, posix::Fd fd);

 private:
  // readiness_engine.cc
  [[nodiscard]] int32_t Carry(const Submission& submission, Connection& socket);
  void Close(Endpoint& endpoint);
  void LookAtQueue();
  // What is to be told of `socket` now. True if it should stay in the queue.
  [[nodiscard]] bool LookAt(Connection& socket);
  void ScheduleAt(int64_t when, const Endpoint& endpoint);
  [[nodiscard]] bool Asks();

  // busy_polling.cc
  void LookAtBusyPolled();

  // reading.cc
  [[nodiscard]] posix::Result<posix::Received> Receive(const StreamSocket& socket,
                                                       std::span<std::byte> memory);
  // True if the socket may have more and should stay in the queue.
  [[nodiscard]] bool ReadSome(StreamSocket& socket);

  // reading_messages.cc
  // ReadSome() for messages.
  [[nodiscard]] bool ReadMessages(MessageSocket& socket);
  [[nodiscard]] posix::Result<size_t> ReceiveInto(const MessageSocket& socket,
                                                  std::span<std::byte> room, size_t count);
  [[nodiscard]] size_t DescriptorRoom(const MessageSocket& socket, size_t at_first) const;
  size_t TakeMessages(MessageSocket& socket, std::span<std::byte> area, size_t at, size_t count);
  void TakeAncillary(MessageSocket& socket, std::span<const std::byte> control, ReceivedRow& row);
  [[nodiscard]] size_t WithoutEnd(const MessageSocket& socket, size_t count);

  // writing.cc
  // What passes by itself. ENOBUFS and ENOMEM: the kernel will have memory again. ETOOMANYREFS: too
  // many descriptors are on their way, unread, from this user.
  [[nodiscard]] static bool IsFull(int code);
  [[nodiscard]] int32_t WriteFromArea(StreamSocket& socket, std::span<const std::byte> bytes);
  [[nodiscard]] int32_t WritePayload(StreamSocket& socket, size_t length);
  [[nodiscard]] int32_t ContinueWrite(StreamSocket& socket);
  [[nodiscard]] int32_t ContinueWrite(MessageSocket& socket);
  void WaitForRoom(Connection& socket, int code);
  void HalfClose(Connection& socket);
  void OnWritable(Connection& socket);
  // A pending write has failed.
  void FailWriting(Connection& socket, int32_t outcome);
  // True if what was received before the failure has to be told first, and is not on its way.
  [[nodiscard]] bool TellWriteFailure(Connection& socket);
  void TellWritten(Connection& socket, int32_t outcome);

  // writing_messages.cc; as writes.
  [[nodiscard]] int32_t SendRows(MessageSocket& socket, size_t first, size_t count);
  [[nodiscard]] int32_t SendPayload(MessageSocket& socket, size_t length);
  int32_t FailSending(MessageSocket& socket, int code);
  [[nodiscard]] posix::Result<size_t> SendOutgoing(const MessageSocket& socket);

  // connecting.cc
  void BeginConnecting(Connection& socket, const posix::UnixAddress& address, int64_t patience);
  [[nodiscard]] posix::Status HoldDirectory(ConnectAttempt& attempt);
  void Attempt(Connection& socket, int64_t now);

  // listening.cc
  [[nodiscard]] posix::Result<int32_t> ListenAtPlace(std::unique_ptr<Listener> listener,
                                                     const std::string& path,
                                                     const ListenOptions& options);
  [[nodiscard]] posix::Result<int32_t> StartListening(std::unique_ptr<Listener> listener,
                                                      int backlog);
  [[nodiscard]] bool AcceptSome(Listener& listener);
  void BackOff(Listener& listener);
  void FinishAccepting(Listener& listener, bool leave);
  void FinishIfDrained(Listener& listener);

  // Where those begin that wait for room at a relative path, if any do.
  std::weak_ptr<const posix::WorkingDirectory> directory_;
  Deadlines deadlines_;
  int64_t timer_armed_for_ = 0;
  // Endpoints to look at without asking the kernel, in the order of their turn.
  std::vector<uint64_t> queue_;
  std::vector<uint64_t> queue_now_;
  // Collections since the kernel was last asked.
  int unasked_ = 0;
  // Open sockets that are read from at every look, and some that were.
  std::vector<uint64_t> busy_polled_;
  // Control messages of the read under way.
  alignas(cmsghdr) std::array<std::byte, posix::kControlSize> control_{};
  // Slabs filled in the collection under way.
  int32_t slabs_used_ = 0;
  // Arguments of the call under way that receives, or sends, many messages.
  IncomingHeaders incoming_;
  OutgoingHeaders outgoing_;
};

}  // namespace afunix::engine
