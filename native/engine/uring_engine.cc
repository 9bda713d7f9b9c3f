#include "engine/uring_engine.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "engine/budgets.h"
#include "posix/assert.h"

namespace afunix::engine {

namespace uring = posix::uring;

posix::Result<std::unique_ptr<UringEngine>> UringEngine::Open(const EngineMemory& memory) {
  if (memory.receive_area.size() < kReceiveMemorySize) return posix::Error{EINVAL};
  std::unique_ptr<UringEngine> engine(new UringEngine(memory));
  auto ring = posix::Uring::Open(kRingRequests, kRingAnswers);
  if (!ring.ok()) return ring.error();
  engine->ring_ = std::move(ring).value();
  auto wake = posix::EventFd::Open();
  if (!wake.ok()) return wake.error();
  engine->wake_ = std::move(wake).value();
  auto timer = posix::TimerFd::Open();
  if (!timer.ok()) return timer.error();
  engine->timer_ = std::move(timer).value();
  if (auto done = engine->ring_.RegisterEventFd(engine->wake_.descriptor()); !done.ok()) {
    return done.error();
  }
  auto buffers = engine->ring_.ProvideBuffers(kBytes, memory.receive_area.subspan(kReceiveAreaSize),
                                              kRingBufferCount, kRingBufferSize);
  if (!buffers.ok()) return buffers.error();
  engine->buffers_ = std::move(buffers).value();
  return engine;
}

void UringEngine::Wake() {
  ++counters_.syscalls;
  wake_.Signal();
}

void UringEngine::SetAttended(bool attended) {
  if (attended == attended_) return;
  ReadinessEngine::SetAttended(attended);
  if (!ring_.open()) return;
  if (attended) {
    ring_.Notify(false);
    ++counters_.syscalls;
    wake_.Drain();
  } else {
    AwaitBusyPolled();
    if (ring_.unsubmitted() > 0) Enter(false);
    ring_.Notify(true);
  }
}

void UringEngine::Enter(bool collect) {
  ++counters_.syscalls;
  // EAGAIN and EBUSY: what could not be submitted stays for the next time.
  (void)ring_.Enter(collect);
  uring::Answer answer{};
  while (ring_.Take(answer)) {
    switch (static_cast<Purpose>(answer.tag >> 56)) {
      case Purpose::kSend:
        OnSent(answer);
        break;
      case Purpose::kCancel:
        // It was too late; the request answers for itself.
        break;
      default:
        Note(answer);
    }
  }
}

Endpoint& UringEngine::EndpointOf(const uring::Answer& answer) const {
  Endpoint* const endpoint = endpoints_.FindTagged(answer.tag & kEndpointTag);
  AFUNIX_ASSERT(endpoint != nullptr, "the kernel answers for endpoints that are there");
  return *endpoint;
}

void UringEngine::Note(const uring::Answer& answer) {
  if (IsOfEndpoint(answer)) {
    const Endpoint& endpoint = EndpointOf(answer);
    UringState& state = states_.Of(endpoint);
    AFUNIX_ASSERT(state.IsOut(static_cast<Purpose>(answer.tag >> 56)),
                  "an answer belongs to a request that is out");
    // What was closed is told to be closed as soon as it is, but nothing ahead of what came before.
    ++state.waiting;
    if (endpoint.closed && state.waiting == 1) {
      OnAnswer(answer);
      return;
    }
  }
  answers_.push_back(answer);
}

void UringEngine::SubmitUnattended(bool collect) {
  if (attended_) return;
  // Answers that we take now need not wake us.
  ring_.Notify(false);
  if (collect || ring_.unsubmitted() > 0) Enter(collect);
  ring_.Notify(true);
  if (HasWork()) Wake();
}

void UringEngine::Submit(std::span<Submission> submissions, bool more) {
  if (!ring_.open()) {
    ReadinessEngine::Submit(submissions, more);
    return;
  }
  ++counters_.flushes;
  const bool collect = attended_ && !more;
  if (!attended_) ring_.Notify(false);
  submissions_ = submissions;
  for (size_t row = 0; row < submissions.size(); ++row) {
    Submission& submission = submissions[row];
    StreamSocket* socket = FindStream(submission.handle);
    // What comes behind a send has to know what became of it.
    if (socket != nullptr && states_.Of(*socket).sending >= 0) SendRequested(collect);
    if (socket != nullptr && submissions.size() > 1 && CanSend(submission, *socket)) {
      RequestSend(row, *socket);
    } else {
      CarryOut(submission);
    }
  }
  if (unanswered_sends_ > 0) SendRequested(collect);
  submissions_ = {};
  const bool cancelled = std::exchange(cancelled_, false);
  if (attended_) {
    if (cancelled) Enter(true);
  } else {
    SubmitUnattended(cancelled);
  }
}

void UringEngine::NoteEvents(bool ask) {
  if (!ring_.open()) return;
  accepted_ = 0;
  ++collection_;
  if (!told_buffers_.empty()) buffers_.Recycle(told_buffers_);
  told_buffers_.clear();
  if (ask) {
    for (int enters = 0; enters < kRingEnters && ring_.HasWork(); ++enters) {
      if (answers_.size() - next_answer_ >= kRingAnswersWanted) break;
      Enter(true);
    }
  }
  while (next_answer_ < answers_.size() && HasRoom() && accepted_ < kAcceptBudget) {
    // A copy: what it leads to may add to them.
    const uring::Answer answer = answers_[next_answer_++];
    OnAnswer(answer);
  }
  if (next_answer_ == answers_.size()) {
    answers_.clear();
    next_answer_ = 0;
  }
}

void UringEngine::OnAnswer(const uring::Answer& answer) {
  const auto purpose = static_cast<Purpose>(answer.tag >> 56);
  if (purpose == Purpose::kTimer) {
    timer_polled_ = false;
    RunDeadlines();
    return;
  }
  // It was taken back before its turn came.
  if (purpose == Purpose::kCancel) return;
  Endpoint& endpoint = EndpointOf(answer);
  --states_.Of(endpoint).waiting;
  if ((answer.flags & uring::kHasMore) == 0) CameBack(endpoint, purpose);
  if (endpoint.kind == Endpoint::Kind::kListener) {
    OnListenerAnswer(static_cast<Listener&>(endpoint), purpose, answer.result);
    return;
  }
  if (endpoint.closed) {
    Recycle(endpoint, answer);
    return;
  }
  auto& socket = static_cast<Connection&>(endpoint);
  if (purpose == Purpose::kReceive) {
    if (socket.kind == Endpoint::Kind::kStream) {
      OnReceived(static_cast<StreamSocket&>(socket), answer);
    } else {
      OnReceived(static_cast<MessageSocket&>(socket), answer);
    }
  } else if (purpose == Purpose::kPollWritable) {
    if (answer.result > 0) NoteState(socket, static_cast<uint32_t>(answer.result));
    socket.writable = true;
    Enqueue(socket);
  } else if (answer.result > 0) {
    NoteReady(socket, static_cast<uint32_t>(answer.result));
  } else {
    AwaitMore(socket);
  }
  UpdateLiveness(socket);
}

void UringEngine::Recycle(const Endpoint& endpoint, const uring::Answer& answer) {
  if ((answer.flags & uring::kHasBuffer) == 0) return;
  const auto buffer = static_cast<uint16_t>(answer.flags >> uring::kBufferShift);
  if (endpoint.kind == Endpoint::Kind::kMessages) {
    message_buffers_.Recycle({&buffer, 1});
  } else {
    told_buffers_.push_back(buffer);
  }
}

void UringEngine::CameBack(Endpoint& endpoint, Purpose purpose) {
  const auto kept = static_cast<uint8_t>(~static_cast<uint8_t>(purpose));
  UringState& state = states_.Of(endpoint);
  AFUNIX_ASSERT(state.IsOut(purpose), "a request that comes back was out");
  state.out &= kept;
  state.cancelled &= kept;
  --requests_out_;
  if (endpoint.closed && state.out == 0) {
    AFUNIX_ASSERT(state.waiting == 0, "the last answer is looked at last");
    UpdateLiveness(endpoint);
    Defer(endpoint.handle, CompletionKind::kClosed, 0);
  }
}

void UringEngine::OnListenerAnswer(Listener& listener, Purpose purpose, int32_t result) {
  if (purpose == Purpose::kAccept) {
    OnAccepted(listener, result);
  } else if (result != -ECANCELED) {
    listener.ready = true;
  }
  if (listener.closed) return;
  // What the request did not bring is still in the backlog.
  if (listener.finishing && !HasRequestsOut(listener)) listener.ready = true;
  if (listener.ready) Enqueue(listener);
  AwaitMore(listener);
}

void UringEngine::OnAccepted(Listener& listener, int32_t result) {
  posix::Fd accepted(result < 0 ? -1 : result);
  // Accepted while it was being closed: nobody will serve it.
  if (listener.closed) return;
  if (accepted.valid()) {
    (void)TellAccepted(listener, std::move(accepted));
    ++accepted_;
  } else if (result != -ECANCELED) {
    // Whatever it is, accept(2) will say it again, and AcceptSome() knows what to do.
    listener.ready = true;
  }
}

void UringEngine::ArmTimer(int64_t when) {
  if (!ring_.open()) return;
  ++counters_.syscalls;
  (void)timer_.ArmAt(when);
  if (std::exchange(timer_polled_, true)) return;
  uring::Request& request = Request();
  request.operation = uring::kPollAdd;
  request.fd = timer_.descriptor();
  request.operation_flags = POLLIN;
  request.tag = TagFor(Purpose::kTimer, 0);
  SubmitUnattended(false);
}

void UringEngine::Shutdown() {
  if (!ring_.open()) {
    // Perhaps it never was.
    ForgetEverything();
    return;
  }
  // Requests hold open files, and buffers that are about to go: all of them come back first.
  if (requests_out_ > 0 || timer_polled_) {
    uring::Request& request = Request();
    request.operation = uring::kAsyncCancel;
    request.fd = -1;
    request.operation_flags = uring::kCancelAny | uring::kCancelAll;
    request.tag = TagFor(Purpose::kCancel, 0);
  }
  for (int tries = 0; tries < kShutdownTries && (requests_out_ > 0 || timer_polled_); ++tries) {
    if (tries > 0) ::sched_yield();
    Enter(true);
    for (; next_answer_ < answers_.size(); ++next_answer_) Forget(answers_[next_answer_]);
  }
  answers_.clear();
  next_answer_ = 0;
  told_buffers_.clear();
  ForgetEverything();
  ForgetQueues();
  states_.Clear();
  ring_ = posix::Uring();
  buffers_ = posix::UringBuffers();
  message_buffers_ = posix::UringBuffers();
  message_memory_ = posix::Mapping();
  timer_ = posix::TimerFd();
  wake_ = posix::EventFd();
}

void UringEngine::Forget(const uring::Answer& answer) {
  if ((answer.flags & uring::kHasMore) == 0) {
    if (static_cast<Purpose>(answer.tag >> 56) == Purpose::kTimer) {
      timer_polled_ = false;
    } else {
      --requests_out_;
    }
  }
  if (static_cast<Purpose>(answer.tag >> 56) == Purpose::kAccept && answer.result >= 0) {
    posix::Fd unserved(answer.result);
  }
}

}  // namespace afunix::engine
