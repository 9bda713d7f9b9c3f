// How bytes leave: tried at once, the rest kept until the kernel has room, then the half-close.
#include <sys/socket.h>

#include <array>
#include <utility>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"

namespace afunix::engine {

bool ReadinessEngine::IsFull(int code) {
  return code == EAGAIN || code == ENOBUFS || code == ENOMEM || code == ETOOMANYREFS;
}

int32_t ReadinessEngine::WriteFromArea(StreamSocket& socket, std::span<const std::byte> bytes) {
  if (socket.write_failure != 0) return socket.write_failure;
  if (socket.shutdown_wanted) return -EPIPE;
  if (!socket.write.empty()) {
    if (!socket.write.is_copy()) return -EALREADY;
    socket.write.KeepCopy(bytes);
    return kPending;
  }
  ++counters_.syscalls;
  return SettleSend(socket, bytes, posix::Send(socket.fd.get(), bytes));
}

int32_t ReadinessEngine::SettleSend(StreamSocket& socket, std::span<const std::byte> bytes,
                                    posix::Result<size_t> sent) {
  size_t taken = 0;
  if (sent.ok()) {
    taken = sent.value();
    counters_.bytes_written += taken;
    if (taken == bytes.size()) return 0;
  } else if (!IsFull(sent.error().code)) {
    return sent.error().Negative();
  }
  socket.write.KeepCopy(bytes.subspan(taken));
  WaitForRoom(socket, sent.ok() ? EAGAIN : sent.error().code);
  return kPending;
}

std::span<const std::byte> ReadinessEngine::BytesOf(const Submission& submission) const {
  return memory_.send_area.subspan(static_cast<size_t>(submission.offset),
                                   static_cast<size_t>(submission.length));
}

void ReadinessEngine::WaitForRoom(Connection& socket, int code) {
  if (code == EAGAIN) {
    WatchWritable(socket, true);
  } else {
    // The socket counts as writable while the kernel has no memory: watching it would spin.
    ScheduleAt(posix::MonotonicNow() + kMemoryRetry, socket);
  }
}

int32_t ReadinessEngine::WritePayload(StreamSocket& socket, size_t length) {
  if (socket.write_failure != 0) return socket.write_failure;
  if (!socket.write.empty() || socket.shutdown_wanted) return -EALREADY;
  socket.write.KeepPayload(length);
  return ContinueWrite(socket);
}

int32_t ReadinessEngine::ContinueWrite(StreamSocket& socket) {
  std::array<iovec, kPartsPerSend> parts;
  for (int sends = 0; !socket.write.empty(); ++sends) {
    if (sends == kSendBudget) {
      socket.writable = true;
      Enqueue(socket);
      return kPending;
    }
    size_t count = 1;
    if (socket.write.is_copy()) {
      const auto rest = socket.write.copy();
      parts[0] = {const_cast<std::byte*>(rest.data()), rest.size()};
    } else {
      count = memory_.host->Payload(socket.handle, socket.write.position(), parts);
      if (count == 0) {
        socket.write.Discard();
        return -EFAULT;
      }
    }
    ++counters_.syscalls;
    const auto control = socket.load ? socket.load->control() : std::span<const std::byte>{};
    const auto sent = posix::SendMessage(socket.fd.get(), {parts.data(), count}, control);
    if (!sent.ok()) {
      if (IsFull(sent.error().code)) {
        if (!socket.write.is_copy() && ++socket.queue_filled == kBulkFills) {
          // A bulk writer: a longer queue means fewer turns of filling it and sleeping.
          ++counters_.syscalls;
          if (posix::SetIntOption(socket.fd.get(), SOL_SOCKET, SO_SNDBUF, kBulkSendBuffer).ok()) {
            continue;
          }
        }
        WaitForRoom(socket, sent.error().code);
        return kPending;
      }
      socket.write.Discard();
      socket.load.reset();
      return sent.error().Negative();
    }
    // They left with the first byte.
    socket.load.reset();
    counters_.bytes_written += sent.value();
    socket.write.Consume(sent.value());
  }
  return 0;
}

void ReadinessEngine::HalfClose(Connection& socket) {
  if (socket.HasPending()) {
    socket.shutdown_wanted = true;
    return;
  }
  socket.shutdown_wanted = false;
  if (socket.peer_gone) {
    // There is nobody left to tell.
    Defer(socket.handle, CompletionKind::kShutdown, 0);
    return;
  }
  ++counters_.syscalls;
  const auto done = posix::Shutdown(socket.fd.get(), SHUT_WR);
  Defer(socket.handle, CompletionKind::kShutdown, done.ok() ? 0 : done.error().Negative());
}

void ReadinessEngine::OnWritable(Connection& socket) {
  // While it is watched, each piece that the peer reads wakes us: not while we are writing anyway.
  // If the kernel has too little room again, ContinueWrite asks again, and asking tells at once if
  // there is room by then.
  WatchWritable(socket, false);
  if (!socket.HasPending()) return;
  const int32_t outcome = socket.kind == Endpoint::Kind::kStream
                              ? ContinueWrite(static_cast<StreamSocket&>(socket))
                              : ContinueWrite(static_cast<MessageSocket&>(socket));
  if (outcome == kPending) return;
  if (outcome < 0 && socket.kind == Endpoint::Kind::kStream) {
    FailWriting(socket, outcome);
  } else {
    TellWritten(socket, outcome);
  }
}

void ReadinessEngine::FailWriting(Connection& socket, int32_t outcome) {
  socket.write_failure = outcome;
  if (!socket.reading) return;
  // What the peer did may be newer than what the kernel has said of it.
  AskForState(socket);
  if (!socket.ready) socket.ready = MayReadNow(static_cast<StreamSocket&>(socket));
}

bool ReadinessEngine::TellWriteFailure(Connection& socket) {
  if (socket.write_failure == 0) return false;
  if (socket.reading && socket.ready && !socket.drained) return true;
  if (socket.reading && !MayReadNow(static_cast<StreamSocket&>(socket))) return false;
  TellWritten(socket, std::exchange(socket.write_failure, 0));
  return false;
}

void ReadinessEngine::WriteBehindData(StreamSocket& socket) {
  OnWritable(socket);
  if (socket.write_failure != 0) TellWritten(socket, std::exchange(socket.write_failure, 0));
}

void ReadinessEngine::TellWritten(Connection& socket, int32_t outcome) {
  Complete(socket.handle, CompletionKind::kWritten, outcome);
  if (socket.shutdown_wanted) HalfClose(socket);
}

}  // namespace afunix::engine
