// The short writes of a batch, handed over in one system call. Each is taken, in part or as a
// whole, or refused before the call returns (MSG_DONTWAIT): nothing of the send area is the
// kernel's afterwards.
#include <sys/socket.h>

#include "engine/budgets.h"
#include "engine/uring_engine.h"

namespace afunix::engine {

namespace uring = posix::uring;

bool UringEngine::CanSend(const Submission& submission, const StreamSocket& socket) {
  return submission.kind == static_cast<int32_t>(SubmissionKind::kWrite) && submission.length > 0 &&
         !socket.HasPending() && !socket.shutdown_wanted;
}

void UringEngine::RequestSend(size_t row, StreamSocket& socket) {
  const auto bytes = BytesOf(submissions_[row]);
  uring::Request& request = Request();
  request.operation = uring::kSend;
  request.fd = socket.fd.get();
  request.address = reinterpret_cast<uint64_t>(bytes.data());
  request.length = static_cast<uint32_t>(bytes.size());
  request.operation_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  request.tag = TagFor(Purpose::kSend, row);
  states_.Of(socket).sending = static_cast<int32_t>(row);
  ++unanswered_sends_;
}

void UringEngine::OnSent(const uring::Answer& answer) {
  Submission& submission = submissions_[static_cast<size_t>(answer.tag & 0xffffffffU)];
  StreamSocket& socket = *FindStream(submission.handle);
  states_.Of(socket).sending = -1;
  --unanswered_sends_;
  const auto sent = answer.result < 0 ? posix::Result<size_t>(posix::Error{-answer.result})
                                      : posix::Result<size_t>(static_cast<size_t>(answer.result));
  submission.offset = SettleSend(socket, BytesOf(submission), sent);
  UpdateLiveness(socket);
}

void UringEngine::SendRequested(bool collect) {
  // What the kernel has taken it answers, at the latest when it is asked to collect.
  for (int tries = 0; unanswered_sends_ > 0; ++tries) {
    if (tries < kRingEnters || ring_.unsubmitted() == 0) {
      Enter(collect || tries > 0);
    } else {
      SendDirectly();
    }
  }
}

// The kernel has no memory for requests: those that it has not taken are ours again.
void UringEngine::SendDirectly() {
  for (uint32_t i = 0; i < ring_.unsubmitted(); ++i) {
    uring::Request& request = ring_.Unsubmitted(ring_.place() - ring_.unsubmitted() + i);
    if (static_cast<Purpose>(request.tag >> 56) != Purpose::kSend) continue;
    Submission& submission = submissions_[static_cast<size_t>(request.tag & 0xffffffffU)];
    Empty(request);
    states_.Of(*FindStream(submission.handle)).sending = -1;
    --unanswered_sends_;
    CarryOut(submission);
  }
}

}  // namespace afunix::engine
