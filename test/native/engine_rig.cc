#include "engine_rig.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "check.h"
#include "engine/budgets.h"
#include "engine/epoll_engine.h"
#include "engine/uring_engine.h"
#include "posix/message.h"
#include "posix/socket.h"

namespace afunix::test {

using engine::Completion;
using engine::CompletionKind;
using engine::Submission;
using engine::SubmissionKind;

EngineRig::EngineRig()
    : completions_(engine::kCompletionCapacity),
      send_area_(engine::kSendAreaSize),
      receive_area_(engine::kReceiveMemorySize),
      descriptors_(engine::kDescriptorCapacity),
      peers_(engine::kPeerRows * engine::kPeerColumns),
      slabs_(engine::kSlabCount, std::vector<std::byte>(engine::kReadSize)) {
  const engine::EngineMemory memory{.completions = completions_,
                                    .send_area = send_area_,
                                    .receive_area = receive_area_,
                                    .descriptors = descriptors_,
                                    .peers = peers_,
                                    .host = this};
  if (OnUring()) {
    auto opened = engine::UringEngine::Open(memory);
    CHECK_OK(opened);
    engine_ = std::move(opened).value();
  } else {
    auto opened = engine::EpollEngine::Open(memory);
    CHECK_OK(opened);
    engine_ = std::move(opened).value();
  }
}

bool OnUring() {
  const char* const wanted = std::getenv("AFUNIX_ENGINE");
  return wanted != nullptr && std::string_view(wanted) == "io_uring";
}

EngineRig::~EngineRig() { engine_->Shutdown(); }

bool EngineRig::Awake() const { return Polls(engine_->descriptor(), POLLIN); }

std::vector<Event> EngineRig::Round(int timeout_ms) {
  pollfd polled{.fd = engine_->descriptor(), .events = POLLIN, .revents = 0};
  ::poll(&polled, 1, timeout_ms);
  return Look(1);
}

std::vector<Event> EngineRig::Look(int looks, const std::function<void(int)>& before) {
  std::vector<Event> events;
  engine_->SetAttended(true);
  for (int look = 0; look < looks; ++look) {
    if (before) before(look);
    const size_t count = engine_->Collect();
    for (size_t i = 0; i < count; ++i) events.push_back(Read(completions_[i]));
    // Whatever is in the tables later must not be what was told now.
    for (size_t i = 0; i < count; ++i) {
      const Completion& row = completions_[i];
      if (row.kind != static_cast<int32_t>(CompletionKind::kData)) continue;
      std::fill_n(receive_area_.begin() + row.offset, row.result, std::byte{0xdb});
    }
  }
  engine_->SetAttended(false);
  if (engine_->HasWork()) engine_->Wake();
  log_.insert(log_.end(), events.begin(), events.end());
  return events;
}

bool EngineRig::RunUntil(const std::function<bool()>& done) {
  // A round counts for little however long it took: a machine that stood still has waited for
  // nothing.
  constexpr std::chrono::milliseconds kMostOfARound(50);
  std::chrono::steady_clock::duration waited{};
  while (!done()) {
    if (waited > std::chrono::seconds(10)) return false;
    const auto start = std::chrono::steady_clock::now();
    Round(5);
    waited += std::min<std::chrono::steady_clock::duration>(
        kMostOfARound, std::chrono::steady_clock::now() - start);
  }
  return true;
}

void EngineRig::Settle() {
  for (int rounds = 0; rounds < 10'000 && Awake(); ++rounds) Round();
}

std::optional<Event> EngineRig::Take(int32_t handle, CompletionKind kind) {
  const auto found = std::find_if(log_.begin(), log_.end(), [&](const Event& event) {
    return event.handle == handle && event.kind == kind;
  });
  if (found == log_.end()) return std::nullopt;
  Event event = *found;
  log_.erase(found);
  return event;
}

size_t EngineRig::Count(int32_t handle, CompletionKind kind) const {
  return static_cast<size_t>(std::count_if(log_.begin(), log_.end(), [&](const Event& event) {
    return event.handle == handle && event.kind == kind;
  }));
}

Event EngineRig::Await(int32_t handle, CompletionKind kind) {
  if (!RunUntil([&] { return Count(handle, kind) > 0; })) {
    check::Fail(__FILE__, __LINE__,
                "no completion of kind " + std::to_string(static_cast<int>(kind)) + " on handle " +
                    std::to_string(handle));
    return {};
  }
  return *Take(handle, kind);
}

std::string EngineRig::TakeReceived(int32_t handle) { return std::exchange(received_[handle], {}); }

size_t EngineRig::ReceivedSize(int32_t handle) const {
  const auto found = received_.find(handle);
  return found == received_.end() ? 0 : found->second.size();
}

int32_t EngineRig::Submit(int32_t handle, SubmissionKind kind, int32_t offset, int32_t length) {
  Submission submission{handle, static_cast<int32_t>(kind), offset, length};
  engine_->Submit({&submission, 1}, false);
  return submission.offset;
}

int32_t EngineRig::Write(int32_t handle, std::string_view text) {
  // Somewhere inside, so that the offset matters.
  constexpr size_t kOffset = 24;
  if (text.size() + kOffset > send_area_.size()) return -E2BIG;
  std::memcpy(send_area_.data() + kOffset, text.data(), text.size());
  const int32_t outcome =
      Submit(handle, SubmissionKind::kWrite, kOffset, static_cast<int32_t>(text.size()));
  // The area belongs to the next flush now.
  std::fill(send_area_.begin(), send_area_.begin() + static_cast<ptrdiff_t>(kOffset + text.size()),
            std::byte{0xdb});
  return outcome;
}

int32_t EngineRig::WritePayload(int32_t handle, std::vector<std::string> parts) {
  size_t length = 0;
  for (const std::string& part : parts) length += part.size();
  payloads_[handle] = std::move(parts);
  return Submit(handle, SubmissionKind::kWritePayload, 0, static_cast<int32_t>(length));
}

int32_t EngineRig::ReadIntoTarget(int32_t handle, size_t size) {
  targets_[handle] = std::vector<std::byte>(size);
  return Submit(handle, SubmissionKind::kReadTargets, 0, 1);
}

EngineRig::Connection EngineRig::Make(Origin origin) {
  return Make(origin, posix::SocketType::kStream);
}

EngineRig::Connection EngineRig::MakeMessages(Origin origin) {
  ShareMessages();
  return Make(origin, posix::SocketType::kSeqpacket);
}

void EngineRig::ShareMessages() {
  if (!message_area_.empty()) return;
  message_area_.resize(engine::kMessageAreaSize);
  received_rows_.resize(engine::kReceivedColumns * engine::kMessageRows);
  outgoing_rows_.resize(engine::kOutgoingColumns * engine::kOutgoingRows);
  CHECK_OK(engine_->SetMessageMemory(
      {.area = message_area_, .received = received_rows_, .outgoing = outgoing_rows_}));
}

int32_t EngineRig::SendMessages(int32_t handle, const std::vector<std::string>& messages) {
  // Somewhere inside, so that the offsets matter.
  constexpr size_t kFirstRow = 5;
  size_t offset = 24;
  for (size_t i = 0; i < messages.size(); ++i) {
    outgoing_rows_[kFirstRow + i] = static_cast<int32_t>(offset);
    outgoing_rows_[engine::kOutgoingRows + kFirstRow + i] =
        static_cast<int32_t>(messages[i].size());
    std::memcpy(send_area_.data() + offset, messages[i].data(), messages[i].size());
    offset += messages[i].size();
  }
  const int32_t outcome =
      Submit(handle, SubmissionKind::kSend, kFirstRow, static_cast<int32_t>(messages.size()));
  std::fill(send_area_.begin(), send_area_.begin() + static_cast<ptrdiff_t>(offset),
            std::byte{0xdb});
  return outcome;
}

int32_t EngineRig::SendMessagePayload(int32_t handle, std::vector<std::string> parts) {
  size_t length = 0;
  for (const std::string& part : parts) length += part.size();
  payloads_[handle] = std::move(parts);
  const int32_t outcome =
      Submit(handle, SubmissionKind::kSendPayload, 0, static_cast<int32_t>(length));
  payloads_.erase(handle);
  return outcome;
}

std::vector<std::string> EngineRig::TakeMessages(int32_t handle) {
  return std::exchange(messages_[handle], {});
}

void EngineRig::ReadMessages(const Event& event) {
  const auto target = targets_.find(event.handle);
  const std::span<const std::byte> area = target == targets_.end() ? message_area_ : target->second;
  for (int32_t i = 0; i < event.result; ++i) {
    const auto row = static_cast<size_t>(event.offset) + static_cast<size_t>(i);
    messages_[event.handle].emplace_back(Text(area.subspan(
        static_cast<size_t>(ReceivedColumn(0, row)), static_cast<size_t>(ReceivedColumn(1, row)))));
  }
}

EngineRig::Connection EngineRig::Make(Origin origin, posix::SocketType type) {
  Connection connection;
  if (origin == Origin::kAdopted) {
    auto pair = posix::SocketPair(type).value();
    connection.handle = engine_->Adopt(std::move(pair[0])).value();
    connection.peer = std::move(pair[1]);
  } else if (origin == Origin::kConnected) {
    const Listening listening = MakeListener(type);
    connection.handle = engine_->Connect(listening.address, 0, type).value();
    CHECK_EQ(Await(connection.handle, CompletionKind::kConnected).result, 0);
    connection.peer = posix::Accept(listening.fd.get()).value();
  } else {
    const auto address = posix::UnixAddress::Abstract(UniqueName()).value();
    const int32_t listener = engine_->Listen(address, {.type = type}).value();
    connection.peer = posix::OpenSocket(type).value();
    CHECK_OK(posix::Connect(connection.peer.get(), address));
    connection.handle = Await(listener, CompletionKind::kAccepted).result;
    Close(listener);
    (void)Await(listener, CompletionKind::kClosed);
  }
  return connection;
}

std::span<std::byte> EngineRig::ReceiveTarget(int32_t handle) { return targets_[handle]; }

std::span<std::byte> EngineRig::Slab(int32_t index) {
  return slabs_.at(static_cast<size_t>(index));
}

size_t EngineRig::Payload(int32_t handle, size_t skip, std::span<iovec> parts) {
  const auto found = payloads_.find(handle);
  if (found == payloads_.end()) return 0;
  size_t count = 0;
  for (std::string& part : found->second) {
    if (count == parts.size()) break;
    if (skip >= part.size()) {
      skip -= part.size();
      continue;
    }
    parts[count++] = {part.data() + skip, part.size() - skip};
    skip = 0;
  }
  return count;
}

Event EngineRig::Read(const Completion& row) {
  Event event{.handle = row.handle,
              .kind = static_cast<CompletionKind>(row.kind),
              .result = row.result,
              .offset = row.offset,
              .bytes = {}};
  const auto size = static_cast<size_t>(row.result);
  if (event.kind == CompletionKind::kData) {
    event.bytes =
        Text(std::span(receive_area_).subspan(static_cast<size_t>(row.offset)).first(size));
  } else if (event.kind == CompletionKind::kSlabData) {
    event.bytes = Text(std::span(slabs_.at(static_cast<size_t>(row.offset))).first(size));
  } else if (event.kind == CompletionKind::kTargetData) {
    event.bytes = Text(std::span(targets_[row.handle]).first(size));
  } else if (event.kind == CompletionKind::kMessages) {
    ReadMessages(event);
  }
  received_[row.handle] += event.bytes;
  return event;
}

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

std::string Drain(const posix::Fd& peer) {
  std::string bytes;
  std::vector<std::byte> buffer(65'536);
  for (;;) {
    const auto got = posix::Receive(peer.get(), buffer);
    if (!got.ok() || got.value() == 0) return bytes;
    bytes += Text(std::span(buffer).first(got.value()));
  }
}

}  // namespace afunix::test
