// How messages are read: many per system call. While the kernel receives, each has room for the
// longest; afterwards the short ones are moved together, so that a batch is one piece of memory.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/ancillary.h"
#include "posix/message.h"
#include "posix/socket.h"

namespace afunix::engine {

namespace {

constexpr size_t Align(size_t size, size_t alignment) {
  return (size + alignment - 1) & ~(alignment - 1);
}

// Places a page apart would all fall into the same few lines of the processor's cache.
size_t Stride(size_t longest) {
  const size_t stride = Align(longest, kMessageAlignment);
  return stride % 4096 == 0 ? stride + kMessageAlignment : stride;
}

// What the end looks like, and a message without bytes and without descriptors.
bool BroughtNothing(const mmsghdr& header) {
  return header.msg_len == 0 && header.msg_hdr.msg_controllen == 0 &&
         (header.msg_hdr.msg_flags & MSG_CTRUNC) == 0;
}

}  // namespace

bool ReadinessEngine::ReadMessages(MessageSocket& socket) {
  bool more = true;
  if (TellReceived(socket, more)) return more;
  const bool shared = !socket.reads_into_target;
  const auto area = shared ? message_area_.area() : memory_.host->ReceiveTarget(socket.handle);
  const size_t stride = Stride(socket.longest);
  const size_t first_row = message_area_.rows();
  const size_t start = shared ? message_area_.used() : 0;
  const size_t rows = std::min(socket.batch_size, message_area_.RowsLeft());
  const size_t room_at_first = descriptors_.Room();
  const size_t pidfds = peers_.pidfds();
  size_t used = start;
  size_t told = 0;
  bool finished = false;
  while (told < rows && !finished) {
    const size_t room = area.size() > used ? area.size() - used : 0;
    // The last place needs no more than the longest message.
    const size_t places = room < socket.longest ? 0 : 1 + (room - socket.longest) / stride;
    size_t count = std::min({places, kMessagesPerCall, rows - told});
    if (socket.max_descriptors > 0) {
      count = std::min(count, DescriptorRoom(socket, room_at_first) / socket.max_descriptors);
    }
    if (socket.PassesPidfds()) {
      // As many as there may yet be of different processes.
      count = std::min(count, kBatchPidfds - std::min(kBatchPidfds, peers_.pidfds() - pidfds));
    }
    if (count == 0) break;
    const auto received = ReceiveInto(socket, area.subspan(used), count);
    if (!received.ok()) {
      const int code = received.error().code;
      if (code == EAGAIN && socket.read_error == 0) {
        socket.ready = false;
        more = false;
        break;
      }
      // A reset comes before messages that are still queued: remember it, read on, report it last.
      finished = socket.read_error != 0;
      if (!finished) socket.read_error = code;
      continue;
    }
    const size_t messages =
        received.value() == count ? WithoutEnd(socket, count) : received.value();
    finished = messages < received.value();
    used = TakeMessages(socket, area, used, messages);
    told += messages;
    // Its user will hear of that before anything else is received.
    if (socket.too_many_descriptors != 0) break;
    // After a hang-up no new edge will come: read until the kernel says 0.
    if (received.value() < count && !socket.hung_up && socket.read_error == 0) {
      socket.ready = false;
      more = false;
      break;
    }
  }
  if (shared) message_area_.Use(used);
  if (told > 0) {
    Complete(socket.handle, CompletionKind::kMessages, static_cast<int32_t>(told),
             static_cast<int32_t>(first_row));
    if (const int code = std::exchange(socket.too_many_descriptors, 0); code != 0) {
      Complete(socket.handle, CompletionKind::kDescriptors, -code);
    }
  } else if (!shared && more && !finished && area.size() < socket.longest) {
    // Its user's memory is full or gone: reading starts again when there is other memory.
    socket.reading = false;
    return false;
  }
  if (told > 1) {
    socket.direct_reads = kDirectReads;
  } else if (socket.direct_reads > 0) {
    --socket.direct_reads;
  }
  if (!finished) return more;
  FinishMessages(socket);
  return false;
}

void ReadinessEngine::FinishMessages(MessageSocket& socket) {
  if (socket.read_error == 0) {
    // The end may have been seen before the reset that came with it.
    ++counters_.syscalls;
    const auto error = posix::GetIntOption(socket.fd.get(), SOL_SOCKET, SO_ERROR);
    if (error.ok()) socket.read_error = error.value();
  }
  FinishReading(socket);
}

void ReadinessEngine::LookForEnd(MessageSocket& socket) {
  if (!MayLookForEnd(socket)) return;
  if (!HoldsMessages(socket)) {
    // Messages only: they wait for a reader.
    if (!socket.hung_up && socket.read_error == 0) return;
    if (OnlyEndIsLeft(socket)) {
      FinishMessages(socket);
      return;
    }
  }
  // As much as there will ever be, and in front of the end.
  if (socket.hung_up) socket.watches_end = false;
}

// How many descriptors may still come with the messages of this batch: JavaScript has to hold all
// of them until it has told of them. `at_first` is the table's room when the batch began.
size_t ReadinessEngine::DescriptorRoom(const MessageSocket& socket, size_t at_first) const {
  const size_t came = at_first - descriptors_.Room();
  const size_t most = socket.batch_descriptors;
  return std::min(descriptors_.Room(), most > came ? most - came : 0);
}

posix::Result<size_t> ReadinessEngine::ReceiveInto(const MessageSocket& socket,
                                                   std::span<std::byte> room, size_t count) {
  const size_t stride = Stride(socket.longest);
  const size_t control_size =
      socket.WantsControl()
          ? posix::ControlBufferSize(socket.max_descriptors, socket.passes_credentials,
                                     socket.PassesPidfds())
          : 0;
  incoming_.Prepare(room, count, socket.longest, stride, control_size);
  ++counters_.syscalls;
  // MSG_TRUNC: tell how long the messages were, not how much of them there is room for.
  return posix::ReceiveMessages(socket.fd.get(), incoming_.headers(), MSG_TRUNC);
}

// Notes the first `count` messages that were received at `at`, packed; where the next can go.
size_t ReadinessEngine::TakeMessages(MessageSocket& socket, std::span<std::byte> area, size_t at,
                                     size_t count) {
  size_t end = at;
  for (size_t i = 0; i < count; ++i) {
    const mmsghdr& header = incoming_[i];
    const size_t full_length = header.msg_len;
    const size_t length = std::min(full_length, socket.longest);
    const std::byte* const place = incoming_.PlaceOf(i);
    size_t offset = static_cast<size_t>(place - area.data());
    if (length <= kPackedMessage) {
      if (end != offset) std::memmove(area.data() + end, place, length);
      offset = end;
    }
    ReceivedRow row{offset, length, full_length, 0};
    if (full_length > length) row.flags |= kMessageTruncated;
    if ((header.msg_hdr.msg_flags & MSG_CTRUNC) != 0) row.flags |= kDescriptorsDropped;
    if (socket.WantsControl()) TakeAncillary(socket, incoming_.ControlOf(i), row);
    message_area_.AddRow(row);
    counters_.bytes_read += length;
    end = PackedEnd(offset + length);
  }
  return std::min(end, area.size());
}

void ReadinessEngine::TakeAncillary(MessageSocket& socket, std::span<const std::byte> control,
                                    ReceivedRow& row) {
  posix::AncillaryReader ancillary(control);
  const size_t count = ancillary.descriptors().size();
  if (socket.passes_credentials) {
    row.flags |= kCredentialsCame;
    row.peer = PutWriter(socket, ancillary);
  }
  // Too many can come where there was room for a pidfd.
  if (count > socket.max_descriptors) row.flags |= kDescriptorsDropped;
  if (socket.max_descriptors == 0) return;
  if ((row.flags & kDescriptorsDropped) != 0) {
    // More than are taken, or more than there is room for in this process. Those that did come are
    // closed.
    socket.too_many_descriptors = count >= socket.max_descriptors ? E2BIG : EMFILE;
  } else if (count > 0) {
    row.flags |= kDescriptorsCame;
    row.descriptors = static_cast<int32_t>(count);
    row.descriptors_at = descriptors_.Put(ancillary.TakeDescriptors());
  }
}

// At the end of input the kernel fills every place that is left with length 0, and a message
// without bytes looks the same. How many of `count` places hold messages.
size_t ReadinessEngine::WithoutEnd(const MessageSocket& socket, size_t count) {
  size_t messages = count;
  while (messages > 0 && BroughtNothing(incoming_[messages - 1])) --messages;
  return messages < count && OnlyEndIsLeft(socket) ? messages : count;
}

bool ReadinessEngine::OnlyEndIsLeft(const MessageSocket& socket) {
  // Before the peer has ended, the kernel has no end to tell.
  ++counters_.syscalls;
  pollfd polled{.fd = socket.fd.get(), .events = POLLRDHUP, .revents = 0};
  if (::poll(&polled, 1, 0) >= 0 && (polled.revents & (POLLRDHUP | POLLHUP)) == 0) return false;
  return IsEmpty(socket);
}

}  // namespace afunix::engine
