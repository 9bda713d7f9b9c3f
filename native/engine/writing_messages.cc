// How messages leave: many per system call, each whole or not at all. What the kernel has no room
// for is copied and kept in order.
#include <sys/socket.h>

#include <array>
#include <memory>
#include <utility>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/message.h"

namespace afunix::engine {

posix::Result<size_t> ReadinessEngine::SendOutgoing(const MessageSocket& socket) {
  ++counters_.syscalls;
  if (outgoing_.size() == 1 && !outgoing_.HasControl(0)) {
    // The plain call is a little cheaper.
    auto bytes = posix::Send(socket.fd.get(), outgoing_.Message(0));
    if (!bytes.ok()) return bytes;
    counters_.bytes_written += bytes.value();
    return size_t{1};
  }
  auto sent = posix::SendMessages(socket.fd.get(), outgoing_.headers());
  if (!sent.ok()) return sent;
  for (size_t i = 0; i < sent.value(); ++i) {
    counters_.bytes_written += outgoing_.Message(i).size();
  }
  return sent;
}

// What was received before a failure is told before it.
int32_t ReadinessEngine::FailSending(MessageSocket& socket, int code) {
  socket.outgoing.Discard();
  socket.send_error = code;
  if (socket.read_error == 0) socket.read_error = code;
  socket.ready = true;
  if (socket.reading) Enqueue(socket);
  return -code;
}

int32_t ReadinessEngine::SendRows(MessageSocket& socket, size_t first, size_t count) {
  if (socket.send_error != 0) return -socket.send_error;
  if (socket.shutdown_wanted) return -EPIPE;
  if (!message_area_.open() || first > kOutgoingRows || count > kOutgoingRows - first) {
    return -EINVAL;
  }
  const size_t end = first + count;
  size_t next = first;
  int full = 0;
  while (next < end && full == 0 && !socket.HasPending() && !socket.connecting) {
    const size_t batch = std::min(end - next, kMessagesPerCall);
    outgoing_.Clear();
    for (size_t i = 0; i < batch; ++i) {
      outgoing_.Add(message_area_.Outgoing(next + i, memory_.send_area));
    }
    const auto sent = SendOutgoing(socket);
    if (sent.ok()) {
      next += sent.value();
    } else if (IsFull(sent.error().code)) {
      full = sent.error().code;
    } else {
      return FailSending(socket, sent.error().code);
    }
  }
  if (next == end) return 0;
  for (; next < end; ++next) {
    socket.outgoing.Begin();
    socket.outgoing.Append(message_area_.Outgoing(next, memory_.send_area));
  }
  if (full != 0) WaitForRoom(socket, full);
  return kPending;
}

int32_t ReadinessEngine::SendPayload(MessageSocket& socket, size_t length) {
  // Whatever becomes of the message becomes of what it takes along.
  auto load = std::move(socket.load);
  if (socket.send_error != 0) return -socket.send_error;
  if (socket.shutdown_wanted) return -EPIPE;
  std::array<iovec, kPartsPerSend> parts;
  const size_t count = memory_.host->Payload(socket.handle, 0, parts);
  size_t found = 0;
  for (size_t i = 0; i < count; ++i) found += parts[i].iov_len;
  // Its memory was detached, or is in more parts than one message can be sent from.
  if (found != length) return -EFAULT;
  int full = 0;
  if (!socket.HasPending() && !socket.connecting) {
    ++counters_.syscalls;
    const auto control = load ? load->control() : std::span<const std::byte>{};
    const auto sent = posix::SendMessage(socket.fd.get(), {parts.data(), count}, control);
    if (sent.ok()) {
      counters_.bytes_written += sent.value();
      return 0;
    }
    full = sent.error().code;
    if (!IsFull(full)) return FailSending(socket, full);
  }
  socket.outgoing.Begin(std::move(load));
  for (size_t i = 0; i < count; ++i) {
    socket.outgoing.Append({static_cast<const std::byte*>(parts[i].iov_base), parts[i].iov_len});
  }
  if (full != 0) WaitForRoom(socket, full);
  return kPending;
}

int32_t ReadinessEngine::ContinueWrite(MessageSocket& socket) {
  for (int calls = 0; socket.HasPending(); ++calls) {
    if (calls == kSendBudget) {
      socket.writable = true;
      Enqueue(socket);
      return kPending;
    }
    outgoing_.Clear();
    socket.outgoing.VisitFirst(kMessagesPerCall, [this](std::span<const std::byte> message,
                                                        std::span<const std::byte> control) {
      outgoing_.Add(message, control);
    });
    const auto sent = SendOutgoing(socket);
    if (!sent.ok()) {
      if (IsFull(sent.error().code)) {
        WaitForRoom(socket, sent.error().code);
        return kPending;
      }
      return FailSending(socket, sent.error().code);
    }
    socket.outgoing.Consume(sent.value());
  }
  return 0;
}

}  // namespace afunix::engine
