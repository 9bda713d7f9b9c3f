// What an io_uring is asked for an endpoint, and how that is taken back.
#include <poll.h>
#include <sys/socket.h>

#include "engine/budgets.h"
#include "engine/uring_engine.h"
#include "posix/assert.h"

namespace afunix::engine {

namespace uring = posix::uring;

uring::Request& UringEngine::Request() {
  if (!ring_.HasRoom()) Enter(false);
  // While the kernel keeps answers for which there was no room it may take no request: it is asked
  // for them, too. If it has no memory for requests, they wait with us.
  if (!ring_.HasRoom()) Enter(true);
  return ring_.NextRequest();
}

void UringEngine::RequestFor(Endpoint& endpoint, Purpose purpose, uint8_t operation,
                             uint32_t events) {
  uring::Request& request = Request();
  request.operation = operation;
  request.fd = endpoint.fd.get();
  request.operation_flags = events;
  request.tag = TagFor(purpose, endpoints_.Tag(endpoint.handle));
  if (purpose == Purpose::kReceive) {
    request.priority = uring::kReceiveMultishot;
    request.flags = uring::kSelectBuffer;
    request.buffer_group = endpoint.kind == Endpoint::Kind::kMessages ? kMessages : kBytes;
  } else if (purpose == Purpose::kAccept) {
    request.priority = uring::kAcceptMultishot;
  } else if (purpose == Purpose::kPollReadable && endpoint.kind == Endpoint::Kind::kMessages) {
    // Messages are read until there are none: it says when there are new ones, as an edge-triggered
    // epoll does, and need not be asked again.
    request.length = uring::kPollMultishot;
  }
  UringState& state = states_.Of(endpoint);
  AFUNIX_ASSERT(!endpoint.closed && endpoint.fd.valid() && !state.IsOut(purpose),
                "an open endpoint has one request for each purpose");
  state.out |= static_cast<uint8_t>(purpose);
  state.PlaceOf(purpose) = ring_.place() - 1;
  ++requests_out_;
}

posix::Status UringEngine::Watch(Endpoint& endpoint) {
  // A stream is asked for when somebody reads.
  if (!ring_.open()) return posix::Error{EBADF};
  AwaitMore(endpoint);
  SubmitUnattended(false);
  return {};
}

void UringEngine::AwaitMore(Endpoint& endpoint) {
  if (endpoint.closed || endpoint.queued) return;
  if (endpoint.kind == Endpoint::Kind::kListener) {
    if (endpoint.ready) return;
    const auto& listener = static_cast<Listener&>(endpoint);
    if (states_.Of(listener).out != 0 || listener.backing_off || listener.finishing) return;
    if (listener.shared) {
      // A connection wakes one waiter that accepts (poll_exclusive in io_uring/opdef.c), always the
      // first in line, and a request that stays keeps its place there: one thread would get all of
      // them, busy or not. A plain poll wakes everybody who waits, and who is busy does not wait.
      RequestFor(endpoint, Purpose::kPollReadable, uring::kPollAdd, POLLIN);
    } else {
      RequestFor(endpoint, Purpose::kAccept, uring::kAccept, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    return;
  }
  auto& socket = static_cast<Connection&>(endpoint);
  if (socket.ended || socket.connecting) return;
  if (socket.write_failure != 0 && socket.reading && !socket.ready) {
    // Read until there is nothing more: then the failure is told.
    socket.ready = MayReadNow(static_cast<StreamSocket&>(socket));
    if (socket.ready) Enqueue(socket);
    return;
  }
  // What is ready says nothing of an end that comes behind it.
  if (!socket.watches_end && (!socket.reading || socket.ready)) return;
  const bool directly = socket.watches_end || IsReadDirectly(socket);
  if (attended_ && directly && socket.kind == Endpoint::Kind::kStream &&
      static_cast<StreamSocket&>(socket).busy_polled) {
    // It is looked at anyway.
    return;
  }
  const UringState& state = states_.Of(socket);
  if (state.IsOut(Purpose::kReceive) || state.IsOut(Purpose::kPollReadable)) {
    // A poll request for messages stays until it is told to come back.
    if (!directly && socket.kind == Endpoint::Kind::kMessages) {
      Cancel(socket, Purpose::kPollReadable);
    }
  } else if (directly) {
    RequestFor(socket, Purpose::kPollReadable, uring::kPollAdd, POLLIN | POLLRDHUP);
  } else {
    // MSG_TRUNC: tell how long a message was, not how much of it there was room for.
    RequestFor(socket, Purpose::kReceive, uring::kReceive,
               socket.kind == Endpoint::Kind::kMessages ? MSG_TRUNC : 0);
  }
}

void UringEngine::AwaitNoMore(Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::kListener) {
    Cancel(endpoint, Purpose::kAccept);
    Cancel(endpoint, Purpose::kPollReadable);
  } else {
    Cancel(endpoint, Purpose::kReceive);
  }
}

void UringEngine::WatchWritable(Connection& socket, bool watch) {
  // A request for it is answered once; there is nothing to take back.
  if (!watch || states_.Of(socket).IsOut(Purpose::kPollWritable)) return;
  RequestFor(socket, Purpose::kPollWritable, uring::kPollAdd, POLLOUT);
}

void UringEngine::Unwatch(Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::kStream) Discard(static_cast<StreamSocket&>(endpoint));
  if (endpoint.kind == Endpoint::Kind::kMessages) Discard(static_cast<MessageSocket&>(endpoint));
  AFUNIX_ASSERT(states_.Of(endpoint).sending < 0, "nothing is being sent on what is closed");
  for (size_t i = 0; i < UringState::kPurposes; ++i) {
    const auto purpose = static_cast<Purpose>(1U << i);
    Drop(endpoint, purpose);
    Cancel(endpoint, purpose);
  }
}

void UringEngine::Cancel(Endpoint& endpoint, Purpose purpose) {
  const auto bit = static_cast<uint8_t>(purpose);
  UringState& state = states_.Of(endpoint);
  if (!state.IsOut(purpose) || (state.cancelled & bit) != 0) return;
  uring::Request& request = Request();
  request.operation = uring::kAsyncCancel;
  request.fd = -1;
  request.address = TagFor(purpose, endpoints_.Tag(endpoint.handle));
  request.flags = uring::kNoAnswerOnSuccess;
  request.tag = TagFor(Purpose::kCancel, 0);
  state.cancelled |= bit;
  cancelled_ = true;
}

void UringEngine::Drop(Endpoint& endpoint, Purpose purpose) {
  UringState& state = states_.Of(endpoint);
  const uint32_t place = state.PlaceOf(purpose);
  if (!state.IsOut(purpose) || !ring_.IsUnsubmitted(place)) return;
  uring::Request& request = ring_.Unsubmitted(place);
  // Another's is there if the places have come round since.
  if (request.tag != TagFor(purpose, endpoints_.Tag(endpoint.handle))) return;
  Empty(request);
  CameBack(endpoint, purpose);
}

void UringEngine::Empty(uring::Request& request) {
  request = {};
  request.operation = uring::kNop;
  request.flags = uring::kNoAnswerOnSuccess;
  request.tag = TagFor(Purpose::kCancel, 0);
}

}  // namespace afunix::engine
