// What a multishot receive brings. The kernel goes on filling buffers until it is told to stop, or
// something happens: the end, an error, no buffer left.
#include <cerrno>
#include <utility>

#include "engine/budgets.h"
#include "engine/uring_engine.h"

namespace afunix::engine {

namespace uring = posix::uring;

void UringEngine::OnReceived(StreamSocket& socket, const uring::Answer& answer) {
  if (states_.Of(socket).held ||
      (answer.result > 0 && (!socket.reading || HasHadItsShare(socket)))) {
    Hold(socket, answer);
    return;
  }
  if (answer.result <= 0) {
    OnReceiveStopped(socket, answer.result);
    return;
  }
  Tell(socket, answer);
  if (socket.direct_reads > 0) Cancel(socket, Purpose::kReceive);
  AwaitMore(socket);
}

bool UringEngine::HasHadItsShare(const StreamSocket& socket) {
  const UringState& state = states_.Of(socket);
  return state.told_in == collection_ && state.told_bytes >= kReadSize;
}

void UringEngine::Hold(StreamSocket& socket, const uring::Answer& answer) {
  UringState& state = states_.Of(socket);
  if (!state.held) {
    state.held = std::make_unique<std::deque<uring::Answer>>();
    socket.ready = true;
    Cancel(socket, Purpose::kReceive);
    if (socket.reading) Enqueue(socket);
  }
  state.held->push_back(answer);
}

void UringEngine::Tell(StreamSocket& socket, const uring::Answer& answer) {
  const size_t buffer = answer.flags >> uring::kBufferShift;
  counters_.bytes_read += static_cast<size_t>(answer.result);
  UringState& state = states_.Of(socket);
  if (std::exchange(state.told_in, collection_) != collection_) state.told_bytes = 0;
  state.told_bytes += static_cast<uint32_t>(answer.result);
  if (static_cast<size_t>(answer.result) >= kLongRead) socket.direct_reads = kDirectReads;
  Complete(socket.handle, CompletionKind::kData, answer.result,
           static_cast<int32_t>(kReceiveAreaSize + buffer * kRingBufferSize));
  Recycle(socket, answer);
}

bool UringEngine::TellHeld(StreamSocket& socket, bool& more) {
  auto& held = states_.Of(socket).held;
  if (!held) return false;
  more = false;
  while (!held->empty()) {
    const uring::Answer answer = held->front();
    if (answer.result <= 0) {
      // What stopped it is the last that it brought.
      held.reset();
      socket.ready = false;
      OnReceiveStopped(socket, answer.result);
      return true;
    }
    if (!HasRoom() || HasHadItsShare(socket)) {
      more = true;
      return true;
    }
    held->pop_front();
    Tell(socket, answer);
  }
  held.reset();
  socket.ready = false;
  return true;
}

bool UringEngine::MayReadNow(StreamSocket& socket) {
  if (!states_.Of(socket).IsOut(Purpose::kReceive)) return true;
  Cancel(socket, Purpose::kReceive);
  return false;
}

void UringEngine::TakeBack(Connection& socket, std::vector<std::byte>& unread) {
  UringState& state = states_.Of(socket);
  if (state.held) {
    for (const uring::Answer& answer : *state.held) KeepUnread(socket, answer, unread);
    state.held.reset();
  }
  for (const uring::Answer& answer : state.received) KeepUnread(socket, answer, unread);
  state.received.clear();
  Unwatch(socket);
  const uint64_t tag = endpoints_.Tag(socket.handle);
  for (int tries = 0; tries < kShutdownTries; ++tries) {
    for (size_t i = next_answer_; i < answers_.size(); ++i) {
      uring::Answer& answer = answers_[i];
      if ((answer.tag & kEndpointTag) != tag || !IsOfEndpoint(answer)) continue;
      KeepUnread(socket, answer, unread);
      --state.waiting;
      if ((answer.flags & uring::kHasMore) == 0) {
        CameBack(socket, static_cast<Purpose>(answer.tag >> 56));
      }
      answer = {.tag = TagFor(Purpose::kCancel, 0), .result = 0, .flags = 0};
    }
    if (state.out == 0) return;
    Enter(true);
  }
}

void UringEngine::KeepUnread(Connection& socket, const uring::Answer& answer,
                             std::vector<std::byte>& unread) {
  if (socket.kind == Endpoint::Kind::kMessages) {
    KeepUnread(static_cast<MessageSocket&>(socket), answer, unread);
    return;
  }
  if (answer.result <= 0 || (answer.flags & uring::kHasBuffer) == 0) return;
  const size_t buffer = answer.flags >> uring::kBufferShift;
  const auto bytes = memory_.receive_area.subspan(kReceiveAreaSize + buffer * kRingBufferSize,
                                                  static_cast<size_t>(answer.result));
  unread.insert(unread.end(), bytes.begin(), bytes.end());
  counters_.bytes_read += bytes.size();
  Recycle(socket, answer);
}

void UringEngine::Discard(StreamSocket& socket) {
  auto& held = states_.Of(socket).held;
  if (!held) return;
  for (const uring::Answer& answer : *held) Recycle(socket, answer);
  held.reset();
}

void UringEngine::OnReceiveStopped(StreamSocket& socket, int32_t result) {
  switch (result) {
    case 0:
      // The end stays there: who stopped reading finds it by reading on.
      if (socket.reading) {
        FinishReading(socket);
      } else {
        socket.ready = true;
      }
      return;
    case -ENOBUFS:
      // Others have all the buffers, and who asks again while they have is told so at once: this
      // one is read directly, and polled for, until something came that way.
      socket.direct_reads = 1;
      socket.ready = true;
      break;
    case -ECANCELED:
    case -EINTR:
    case -EAGAIN:
      break;
    case -ECONNRESET:
      // As in libuv, which reads so much at once: a peer that wrote, closed, and left something of
      // ours unread has ended, not failed, if the last read found less than it had room for.
      if (const UringState& state = states_.Of(socket);
          state.told_in == collection_ && state.told_bytes % kReadSize != 0 && socket.reading) {
        if (reset_behind_data_ends_) {
          FinishReading(socket);
          return;
        }
        // Newer ones try the write that waits before they read again.
        WriteBehindData(socket);
      }
      [[fallthrough]];
    default:
      socket.read_error = -result;
      socket.ready = true;
  }
  if (socket.ready && socket.reading) Enqueue(socket);
  AwaitMore(socket);
}

}  // namespace afunix::engine
