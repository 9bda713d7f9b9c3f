// What a multishot receive brings of messages that come one by one. Each is copied out of its
// buffer, which has room for the longest and is the kernel's again at once. Many at a time are
// better read by recvmmsg, and so are long ones: then the ring only says when.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/budgets.h"
#include "engine/uring_engine.h"

namespace afunix::engine {

namespace uring = posix::uring;

posix::Status UringEngine::SetMessageMemory(const MessageMemory& memory) {
  auto set = EngineCore::SetMessageMemory(memory);
  if (!set.ok() || !ring_.open()) return set;
  // Without them messages are polled for.
  auto mapped = posix::Mapping::Anonymous(size_t{kMessageBufferCount} * kMessageBufferSize);
  if (!mapped.ok()) return {};
  const std::span buffers(mapped.value().At<std::byte>(0), mapped.value().size());
  auto provided = ring_.ProvideBuffers(kMessages, buffers, kMessageBufferCount, kMessageBufferSize);
  if (!provided.ok()) return {};
  message_memory_ = std::move(mapped).value();
  message_buffers_ = std::move(provided).value();
  return {};
}

posix::Result<size_t> UringEngine::SetMessageLimits(int32_t handle, const MessageLimits& limits) {
  auto longest = EngineCore::SetMessageLimits(handle, limits);
  // It may be receiving into buffers that are too small now.
  if (Connection* socket = FindConnection(handle); longest.ok() && socket != nullptr) {
    AwaitNoMore(*socket);
  }
  return longest;
}

// A plain receive does not say that descriptors came and were dropped: only where none can come.
// Who takes one at a time leaves the others to the kernel, which tells the sender if they are never
// read.
bool UringEngine::IsReadDirectly(const MessageSocket& socket) const {
  return !message_buffers_.open() || socket.longest > kMessageBufferSize ||
         socket.batch_size == 1 || socket.reads_into_target || socket.direct_reads > 0 ||
         socket.WantsControl() || !socket.descriptors_refused;
}

void UringEngine::OnReceived(MessageSocket& socket, const uring::Answer& answer) {
  states_.Of(socket).received.push_back(answer);
  socket.ready = true;
  if (socket.reading || socket.watches_end) Enqueue(socket);
}

bool UringEngine::MayLookForEnd(const MessageSocket& socket) const {
  const UringState* state = states_.Find(socket);
  return state == nullptr || !state->IsOut(Purpose::kReceive);
}

bool UringEngine::HoldsMessages(MessageSocket& socket) {
  for (const uring::Answer& answer : states_.Of(socket).received) {
    if (answer.result > 0 || (answer.result == 0 && !OnlyEndIsLeft(socket))) return true;
    if (answer.result == 0) socket.hung_up = true;
    NoteStopped(socket, answer.result);
  }
  Discard(socket);
  return false;
}

void UringEngine::NoteStopped(MessageSocket& socket, int32_t result) {
  const bool goes_on = result >= 0 || result == -ENOBUFS || result == -ECANCELED ||
                       result == -EINTR || result == -EAGAIN;
  // A reset comes before messages that are still queued.
  if (!goes_on && socket.read_error == 0) socket.read_error = -result;
}

void UringEngine::Discard(MessageSocket& socket) {
  auto& received = states_.Of(socket).received;
  for (const uring::Answer& answer : received) Recycle(socket, answer);
  received.clear();
}

bool UringEngine::TellReceived(MessageSocket& socket, bool& more) {
  UringState& state = states_.Of(socket);
  const bool requested = state.IsOut(Purpose::kReceive);
  if (state.received.empty()) {
    if (!requested) return false;
    // Sending has failed, and what was received before shall be told: the request may have some of
    // it.
    Cancel(socket, Purpose::kReceive);
    socket.ready = false;
    more = false;
    return true;
  }
  const bool shared = !socket.reads_into_target;
  const auto area = shared ? message_area_.area() : memory_.host->ReceiveTarget(socket.handle);
  if (!shared && area.size() < socket.longest) {
    // Its user's memory is full or gone: reading starts again when there is other memory.
    socket.reading = false;
    more = false;
    return true;
  }
  const size_t first_row = message_area_.rows();
  const size_t rows = std::min(socket.batch_size, message_area_.RowsLeft());
  size_t used = shared ? message_area_.used() : 0;
  size_t told = 0;
  size_t looked_at = 0;
  bool finished = false;
  bool has_long = false;
  bool reads_on = false;
  for (; looked_at < state.received.size() && told < rows; ++looked_at) {
    const uring::Answer& answer = state.received[looked_at];
    if (answer.result > 0 || (answer.result == 0 && !OnlyEndIsLeft(socket))) {
      const auto length = std::min(static_cast<size_t>(answer.result), socket.longest);
      if (area.size() - used < length) break;
      used = TakeMessage(socket, answer, area, used);
      has_long = has_long || length == 0 || length > kPackedMessage;
      ++told;
    } else if (answer.result == 0) {
      finished = true;
    } else if (answer.result == -ENOBUFS) {
      // Others have all the buffers, and who asks again while they have is told so at once: this
      // one is read directly for a while.
      socket.direct_reads = kDirectReads;
      reads_on = true;
    } else {
      NoteStopped(socket, answer.result);
    }
    Recycle(socket, answer);
  }
  state.received.erase(state.received.begin(),
                       state.received.begin() + static_cast<ptrdiff_t>(looked_at));
  if (shared) message_area_.Use(used);
  if (told > 0) {
    Complete(socket.handle, CompletionKind::kMessages, static_cast<int32_t>(told),
             static_cast<int32_t>(first_row));
  }
  if (told > kFewMessages || has_long) {
    socket.direct_reads = kDirectReads;
    Cancel(socket, Purpose::kReceive);
  }
  more =
      !state.received.empty() || (!requested && !finished && (reads_on || socket.read_error != 0));
  socket.ready = more;
  if (finished) FinishMessages(socket);
  return true;
}

void UringEngine::KeepUnread(MessageSocket& socket, const uring::Answer& answer,
                             std::vector<std::byte>& unread) {
  // What a poll request says is no message.
  if (static_cast<Purpose>(answer.tag >> 56) != Purpose::kReceive) return;
  // A message, unless it is the end, which stays in the kernel, or no bytes at all.
  if (answer.result > 0 || (answer.result == 0 && !OnlyEndIsLeft(socket))) {
    const auto full_length = static_cast<size_t>(answer.result);
    const size_t length = std::min(full_length, socket.longest);
    const auto lengths = std::array{static_cast<int32_t>(length), answer.result};
    const auto header = std::as_bytes(std::span(lengths));
    unread.insert(unread.end(), header.begin(), header.end());
    if (length > 0) {
      const auto bytes =
          message_buffers_.Of(static_cast<uint16_t>(answer.flags >> uring::kBufferShift), length);
      unread.insert(unread.end(), bytes.begin(), bytes.end());
    }
    counters_.bytes_read += length;
  }
  Recycle(socket, answer);
}

size_t UringEngine::TakeMessage(const MessageSocket& socket, const uring::Answer& answer,
                                std::span<std::byte> area, size_t used) {
  const auto full_length = static_cast<size_t>(answer.result);
  const size_t length = std::min(full_length, socket.longest);
  const auto bytes =
      message_buffers_.Of(static_cast<uint16_t>(answer.flags >> uring::kBufferShift), length);
  if (length > 0) std::memcpy(area.data() + used, bytes.data(), length);
  message_area_.AddRow({.offset = used,
                        .length = length,
                        .full_length = full_length,
                        .flags = full_length > length ? kMessageTruncated : 0});
  counters_.bytes_read += length;
  return std::min(PackedEnd(used + length), area.size());
}

}  // namespace afunix::engine
