#include "engine/engine_core.h"

#include <sys/socket.h>

#include <algorithm>

#include "engine/budgets.h"
#include "posix/socket.h"

namespace afunix::engine {

EngineCore::EngineCore(const EngineMemory& memory)
    : memory_(memory),
      receive_area_(memory.receive_area.first(kReceiveAreaSize)),
      descriptors_(memory.descriptors),
      peers_(memory.peers) {}

Connection* EngineCore::FindConnection(int32_t handle) const {
  Endpoint* endpoint = endpoints_.Find(handle);
  if (endpoint == nullptr || endpoint->closed || endpoint->kind == Endpoint::Kind::kListener) {
    return nullptr;
  }
  return static_cast<Connection*>(endpoint);
}

StreamSocket* EngineCore::FindStream(int32_t handle) const {
  Connection* connection = FindConnection(handle);
  if (connection == nullptr || connection->kind != Endpoint::Kind::kStream) return nullptr;
  return static_cast<StreamSocket*>(connection);
}

posix::Result<std::unique_ptr<Connection>> EngineCore::NewConnection(posix::SocketType type) const {
  if (type == posix::SocketType::kStream) {
    return std::unique_ptr<Connection>(std::make_unique<StreamSocket>());
  }
  if (!message_area_.open()) return posix::Error{ENXIO};
  return std::unique_ptr<Connection>(std::make_unique<MessageSocket>());
}

void EngineCore::Complete(int32_t handle, CompletionKind kind, int32_t result, int32_t offset) {
  memory_.completions[completed_++] = {handle, static_cast<int32_t>(kind), offset, result, 0};
}

void EngineCore::Defer(int32_t handle, CompletionKind kind, int32_t result) {
  if (kind == CompletionKind::kConnected) {
    for (Completion& earlier : deferred_) {
      if (earlier.handle == handle && earlier.kind == static_cast<int32_t>(kind)) {
        earlier.result = result;
        return;
      }
    }
  }
  deferred_.push_back({handle, static_cast<int32_t>(kind), 0, result, 0});
  if (!attended_ && deferred_.size() == 1) Wake();
}

void EngineCore::BeginCollection() {
  for (const int32_t handle : closed_) endpoints_.Erase(handle);
  closed_.clear();
  completed_ = 0;
  receive_area_.Rewind();
  descriptors_.Clear();
  peers_.Clear();
  message_area_.Rewind();
}

void EngineCore::TellDeferred() {
  const size_t count = std::min(deferred_.size(), memory_.completions.size() - completed_);
  for (size_t i = 0; i < count; ++i) {
    Completion& completion = deferred_[i];
    if (completion.kind == static_cast<int32_t>(CompletionKind::kConnected) &&
        completion.result == 0) {
      completion.result = ConnectOutcome(completion.handle);
    }
    memory_.completions[completed_++] = completion;
    if (completion.kind == static_cast<int32_t>(CompletionKind::kClosed)) {
      closed_.push_back(completion.handle);
    }
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<ptrdiff_t>(count));
}

int32_t EngineCore::ConnectOutcome(int32_t handle) {
  const Connection* socket = FindConnection(handle);
  if (socket == nullptr) return 0;
  ++counters_.syscalls;
  const auto error = posix::GetIntOption(socket->fd.get(), SOL_SOCKET, SO_ERROR);
  return error.ok() ? -error.value() : error.error().Negative();
}

void EngineCore::UpdateLiveness(Endpoint& endpoint) {
  const bool counts = endpoint.closed
                          ? HasRequestsOut(endpoint)
                          : endpoint.HasRequests() || (endpoint.referenced && endpoint.Watches());
  if (counts == endpoint.counted) return;
  endpoint.counted = counts;
  if (counts) {
    ++alive_;
  } else {
    --alive_;
  }
}

void EngineCore::SetReferenced(int32_t handle, bool referenced) {
  Endpoint* endpoint = endpoints_.Find(handle);
  if (endpoint == nullptr) return;
  endpoint->referenced = referenced;
  UpdateLiveness(*endpoint);
}

void EngineCore::SetBusyPoll(int32_t handle, int64_t nanoseconds) {
  Connection* socket = FindConnection(handle);
  if (socket == nullptr) return;
  if (socket->busy_poll > 0 && --busy_polls_[socket->busy_poll] == 0) {
    busy_polls_.erase(socket->busy_poll);
  }
  socket->busy_poll = nanoseconds;
  if (nanoseconds > 0) ++busy_polls_[nanoseconds];
}

size_t EngineCore::PendingBytes(int32_t handle) const {
  const Connection* socket = FindConnection(handle);
  if (socket == nullptr || socket->PendingSize() == 0) return 0;
  const auto queued = posix::UnreadByPeer(socket->fd.get());
  return socket->PendingSize() + (queued.ok() ? queued.value() : 0);
}

posix::Status EngineCore::SetMessageMemory(const MessageMemory& memory) {
  if (message_area_.open()) return posix::Error{EALREADY};
  if (!message_area_.Open(memory)) return posix::Error{EINVAL};
  return {};
}

posix::Result<size_t> EngineCore::SetMessageLimits(int32_t handle, const MessageLimits& limits) {
  Connection* connection = FindConnection(handle);
  if (connection == nullptr || connection->kind != Endpoint::Kind::kMessages) {
    return posix::Error{EBADF};
  }
  auto& socket = static_cast<MessageSocket&>(*connection);
  const int fd = socket.fd.get();
  if (limits.send_buffer > 0) {
    auto set = posix::SetIntOption(fd, SOL_SOCKET, SO_SNDBUF, limits.send_buffer);
    if (!set.ok()) return set.error();
  }
  if (limits.receive_buffer > 0) {
    auto set = posix::SetIntOption(fd, SOL_SOCKET, SO_RCVBUF, limits.receive_buffer);
    if (!set.ok()) return set.error();
  }
  counters_.syscalls += 1;
  auto sendable = posix::LongestMessage(fd);
  if (!sendable.ok()) return sendable.error();
  if (limits.longest > sendable.value() && limits.send_buffer == 0) {
    counters_.syscalls += 2;
    (void)posix::AllowMessage(fd, limits.longest);
    sendable = posix::LongestMessage(fd);
    if (!sendable.ok()) return sendable.error();
  }
  socket.longest = std::min(limits.longest > 0 ? limits.longest : sendable.value(),
                            kMessageAreaSize - kMessageAlignment);
  if (limits.batch_size > 0) socket.batch_size = limits.batch_size;
  return limits.longest > 0 ? std::min(limits.longest, sendable.value()) : sendable.value();
}

int EngineCore::DescriptorOf(int32_t handle) const {
  const Endpoint* endpoint = endpoints_.Find(handle);
  return endpoint == nullptr ? -1 : endpoint->fd.get();
}

void EngineCore::CloseEndpoint(Endpoint& endpoint) {
  if (endpoint.closed) return;
  if (endpoint.kind != Endpoint::Kind::kListener) {
    auto& socket = static_cast<Connection&>(endpoint);
    SetBusyPoll(endpoint.handle, 0);
    socket.DiscardPending();
    socket.load.reset();
    socket.attempt.reset();
  } else {
    auto& listener = static_cast<Listener&>(endpoint);
    // Before the descriptor: the open socket pins the inode that Remove() compares.
    if (listener.owns_file) listener.file.Remove();
    listener.ReleaseReserve();
  }
  endpoint.closed = true;
  UpdateLiveness(endpoint);
  endpoint.fd.Reset();
  ++counters_.syscalls;
  if (!HasRequestsOut(endpoint)) Defer(endpoint.handle, CompletionKind::kClosed, 0);
}

void EngineCore::ForgetEverything() {
  endpoints_.ForEach([](Endpoint& endpoint) {
    if (endpoint.closed) return;
    endpoint.closed = true;
    if (endpoint.kind == Endpoint::Kind::kListener) {
      auto& listener = static_cast<Listener&>(endpoint);
      if (listener.owns_file) listener.file.Remove();
    }
    endpoint.fd.Reset();
  });
  endpoints_ = HandleTable();
  descriptors_.Clear();
  peers_.Clear();
  deferred_.clear();
  closed_.clear();
  alive_ = 0;
  busy_polls_.clear();
}

}  // namespace afunix::engine
