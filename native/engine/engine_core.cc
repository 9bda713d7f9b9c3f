#include "engine/engine_core.h"

#include <sys/socket.h>

#include <algorithm>

#include "engine/budgets.h"
#include "posix/socket.h"

namespace afunix::engine {

EngineCore::EngineCore(const EngineMemory& memory)
    : memory_(memory),
      receive_area_(memory.receive_area.first(kReceiveAreaSize)),
      descriptors_(memory.descriptors) {}

StreamSocket* EngineCore::FindStream(int32_t handle) const {
  Endpoint* endpoint = endpoints_.Find(handle);
  if (endpoint == nullptr || endpoint->closed || endpoint->kind != Endpoint::Kind::kStream) {
    return nullptr;
  }
  return static_cast<StreamSocket*>(endpoint);
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
  const StreamSocket* socket = FindStream(handle);
  if (socket == nullptr) return 0;
  ++counters_.syscalls;
  const auto error = posix::GetIntOption(socket->fd.get(), SOL_SOCKET, SO_ERROR);
  return error.ok() ? -error.value() : error.error().Negative();
}

void EngineCore::UpdateLiveness(Endpoint& endpoint) {
  const bool counts = endpoint.closed
                          ? endpoint.requests_out != 0
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
  StreamSocket* socket = FindStream(handle);
  if (socket == nullptr) return;
  if (socket->busy_poll > 0 && --busy_polls_[socket->busy_poll] == 0) {
    busy_polls_.erase(socket->busy_poll);
  }
  socket->busy_poll = nanoseconds;
  if (nanoseconds > 0) ++busy_polls_[nanoseconds];
}

size_t EngineCore::PendingBytes(int32_t handle) const {
  const StreamSocket* socket = FindStream(handle);
  if (socket == nullptr || socket->write.empty()) return 0;
  const auto queued = posix::UnreadByPeer(socket->fd.get());
  return socket->write.remaining() + (queued.ok() ? queued.value() : 0);
}

int EngineCore::DescriptorOf(int32_t handle) const {
  const Endpoint* endpoint = endpoints_.Find(handle);
  return endpoint == nullptr ? -1 : endpoint->fd.get();
}

void EngineCore::CloseEndpoint(Endpoint& endpoint) {
  if (endpoint.closed) return;
  if (endpoint.kind == Endpoint::Kind::kStream) {
    auto& socket = static_cast<StreamSocket&>(endpoint);
    SetBusyPoll(endpoint.handle, 0);
    socket.write.Discard();
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
  if (endpoint.requests_out == 0) Defer(endpoint.handle, CompletionKind::kClosed, 0);
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
  deferred_.clear();
  closed_.clear();
  alive_ = 0;
  busy_polls_.clear();
}

}  // namespace afunix::engine
