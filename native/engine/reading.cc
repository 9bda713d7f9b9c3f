// How a socket is read: one read per collection, into its user's memory, a slab or the receive
// area.
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/ancillary.h"
#include "posix/message.h"

namespace afunix::engine {

namespace {

struct Destination {
  std::span<std::byte> memory;
  CompletionKind kind;
  int32_t slab = 0;
};

}  // namespace

// recvmsg brings descriptors, and tells whether some were dropped; recv is a tenth cheaper, and
// does where none can come.
posix::Result<posix::Received> ReadinessEngine::Receive(const StreamSocket& socket,
                                                        std::span<std::byte> memory) {
  if (socket.max_descriptors == 0 && socket.descriptors_refused && !socket.passes_credentials) {
    const auto bytes = posix::Receive(socket.fd.get(), memory);
    if (!bytes.ok()) return bytes.error();
    return posix::Received{.bytes = bytes.value()};
  }
  const iovec part{memory.data(), memory.size()};
  const size_t control = posix::ControlBufferSize(socket.max_descriptors, socket.passes_credentials,
                                                  socket.PassesPidfds());
  return posix::ReceiveMessage(socket.fd.get(), {&part, 1}, std::span(control_).first(control));
}

bool ReadinessEngine::ReadSome(StreamSocket& socket) {
  bool more = true;
  if (TellHeld(socket, more)) return more;
  if (socket.max_descriptors > 0 && !descriptors_.HasRoom()) return true;
  Destination destination{{}, CompletionKind::kData};
  if (socket.reads_into_target) {
    destination = {memory_.host->ReceiveTarget(socket.handle), CompletionKind::kTargetData};
  } else if (socket.bulk && slabs_used_ < kSlabCount) {
    destination = {memory_.host->Slab(slabs_used_), CompletionKind::kSlabData, slabs_used_};
    if (destination.memory.empty()) destination = {receive_area_.Room(), CompletionKind::kData};
  } else {
    destination = {receive_area_.Room(), CompletionKind::kData};
  }
  if (destination.memory.empty()) {
    // The user's buffer is gone (detached) or has no length: nothing can be received into it.
    socket.read_error = ENOBUFS;
    FinishReading(socket);
    return false;
  }

  for (;;) {
    ++counters_.syscalls;
    const auto received = Receive(socket, destination.memory);
    if (!received.ok()) {
      const int code = received.error().code;
      if (code == EAGAIN) {
        if (socket.read_error != 0) FinishReading(socket);
        socket.ready = false;
        return false;
      }
      // A reset may come before data that is still queued: remember it, read on, report it last.
      if (socket.read_error != 0) {
        FinishReading(socket);
        return false;
      }
      socket.read_error = code;
      continue;
    }
    const size_t bytes = received.value().bytes;
    if (bytes == 0) {
      FinishReading(socket);
      return false;
    }
    counters_.bytes_read += bytes;
    const std::span<const std::byte> control(control_);
    posix::AncillaryReader ancillary(control.first(received.value().control_bytes));
    const size_t descriptors = ancillary.descriptors().size();
    // Too many can come where there was room for a pidfd.
    const bool truncated =
        received.value().control_truncated || descriptors > socket.max_descriptors;
    if (socket.passes_credentials) {
      const int32_t row = PutWriter(socket, ancillary);
      if (row != kSameWriter) Complete(socket.handle, CompletionKind::kCredentials, 0, row);
    }
    if (descriptors > 0 && !truncated) {
      Complete(socket.handle, CompletionKind::kDescriptors, static_cast<int32_t>(descriptors),
               descriptors_.Put(ancillary.TakeDescriptors()));
    }
    if (bytes >= kLongRead) {
      socket.direct_reads = kDirectReads;
    } else if (socket.direct_reads > 0) {
      --socket.direct_reads;
    }
    int32_t offset = destination.slab;
    if (destination.kind == CompletionKind::kData) {
      offset = static_cast<int32_t>(receive_area_.Claim(bytes));
      socket.bulk = bytes >= kBulkRead;
    } else if (destination.kind == CompletionKind::kSlabData) {
      ++slabs_used_;
      socket.bulk = bytes >= kBulkRead;
    }
    Complete(socket.handle, destination.kind, static_cast<int32_t>(bytes), offset);
    if (truncated && socket.max_descriptors > 0) {
      // More than are taken, or more than there is room for in this process.
      Complete(socket.handle, CompletionKind::kDescriptors,
               descriptors >= socket.max_descriptors ? -E2BIG : -EMFILE);
    }
    // A short read emptied the queue, except that a read stops behind a message that carried
    // descriptors, between what different processes wrote, and at out-of-band data, whatever
    // follows.
    bool emptied = bytes < destination.memory.size() && !truncated && descriptors == 0 &&
                   !socket.passes_credentials;
    // Who is read from at every look finds out by that.
    if (emptied && !TellsState() && !socket.hung_up && !socket.busy_polled) {
      AskForState(socket);
      // It may have written more before it left.
      emptied = !socket.hung_up || IsEmpty(socket);
    }
    emptied = emptied && !socket.has_out_of_band;
    socket.drained = emptied;
    if (emptied && socket.peer_gone && socket.read_error == 0 && reset_behind_data_ends_) {
      FinishReading(socket);
      return false;
    }
    // After a hang-up no new edge will come: read until the kernel says 0.
    more = !emptied || socket.hung_up || socket.read_error != 0;
    if (!more) socket.ready = false;
    return more;
  }
}

bool ReadinessEngine::IsEmpty(const Connection& socket) {
  int bytes = 0;
  ++counters_.syscalls;
  return ::ioctl(socket.fd.get(), FIONREAD, &bytes) != 0 || bytes == 0;
}

// The row of whoever wrote what was just received, or kSameWriter.
int32_t ReadinessEngine::PutWriter(Connection& socket, posix::AncillaryReader& ancillary) {
  const auto who = ancillary.WhoSent();
  if (socket.pidfds == Endpoint::kNoPidfds) return peers_.PutWriter(who, socket.writer);
  if (!socket.PassesPidfds()) {
    return peers_.PutWriter(who, posix::Error{-socket.pidfds}, socket.writer);
  }
  return peers_.PutWriter(who, ancillary.TakePidFd(), socket.writer);
}

void ReadinessEngine::FinishReading(Connection& socket) {
  socket.ended = true;
  socket.ready = false;
  socket.reading = false;
  socket.watches_end = false;
  if (socket.read_error != 0) {
    Complete(socket.handle, CompletionKind::kReadError, -socket.read_error);
  } else {
    Complete(socket.handle, CompletionKind::kEnd, 0);
  }
  if (socket.write_failure != 0) Enqueue(socket);
}

}  // namespace afunix::engine
