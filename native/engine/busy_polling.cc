// A few sockets with busy polling are read from at every look instead of asking the kernel first.
// While somebody looks, no request of theirs waits in the kernel, so that who writes to them has
// nobody to wake; before the thread sleeps, it is asked to wake us.
#include <algorithm>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"

namespace afunix::engine {

void ReadinessEngine::SetBusyPoll(int32_t handle, int64_t nanoseconds) {
  EngineCore::SetBusyPoll(handle, nanoseconds);
  StreamSocket* socket = FindStream(handle);
  if (socket == nullptr || nanoseconds == 0 || socket->busy_polled) return;
  // Those that are gone hold no place.
  std::erase_if(busy_polled_, [this](uint64_t tag) {
    const Endpoint* endpoint = endpoints_.FindTagged(tag);
    return endpoint == nullptr || endpoint->closed;
  });
  if (busy_polled_.size() >= kBusyPolledSockets) return;
  socket->busy_polled = true;
  busy_polled_.push_back(endpoints_.Tag(handle));
}

// Looking may be interrupted after every look: the first of each stretch asks about the others.
void ReadinessEngine::SetAttended(bool attended) {
  EngineCore::SetAttended(attended);
  if (attended && !busy_polled_.empty()) unasked_ = kLooksUnasked;
}

void ReadinessEngine::LookAtBusyPolled() {
  if (busy_polled_.empty()) return;
  std::erase_if(busy_polled_, [this](uint64_t tag) {
    Endpoint* endpoint = endpoints_.FindTagged(tag);
    if (endpoint == nullptr || endpoint->closed) return true;
    auto& socket = static_cast<StreamSocket&>(*endpoint);
    if (socket.busy_poll == 0 || socket.ended) {
      socket.busy_polled = false;
      AwaitMore(socket);
      return true;
    }
    if (socket.reading && !socket.connecting && !socket.ready && MayReadNow(socket)) {
      socket.ready = true;
      Enqueue(socket);
    }
    return false;
  });
}

void ReadinessEngine::AwaitBusyPolled() {
  for (const uint64_t tag : busy_polled_) {
    Endpoint* endpoint = endpoints_.FindTagged(tag);
    if (endpoint != nullptr) AwaitMore(*endpoint);
  }
}

}  // namespace afunix::engine
