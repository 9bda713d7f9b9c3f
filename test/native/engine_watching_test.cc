// Message sockets that nobody reads, and those that are given away: the end is told if nothing is
// in front of it, and what was received goes to whoever goes on.
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::Fd;
using test::EngineRig;
using test::SendTo;
using Kind = CompletionKind;
using Texts = std::vector<std::string>;

void StopReading(EngineRig& rig, int32_t handle, ReadStop how) {
  CHECK_EQ(rig.Submit(handle, SubmissionKind::kReadStop, 0, static_cast<int32_t>(how)), 0);
}

size_t Told(EngineRig& rig, int32_t handle) {
  return rig.Count(handle, Kind::kEnd) + rig.Count(handle, Kind::kReadError) +
         rig.Count(handle, Kind::kMessages);
}

void Settle(EngineRig& rig) {
  for (int i = 0; i < 10; ++i) (void)rig.Round(1);
}

TEST("whoever only sends hears of the end, and is kept until then") {
  for (const EngineRig::Origin origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    StopReading(rig, handle, ReadStop::kWatchEnd);
    CHECK(rig.engine().KeepsAlive());
    Settle(rig);
    CHECK_EQ(Told(rig, handle), 0u);
    peer.Reset();
    CHECK_EQ(rig.Await(handle, Kind::kEnd).result, 0);
    CHECK(!rig.engine().KeepsAlive());
  }
}

TEST("messages in front of the end wait for a reader, and the end with them") {
  for (const EngineRig::Origin origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    StopReading(rig, handle, ReadStop::kWatchEnd);
    SendTo(peer, "unread");
    peer.Reset();
    Settle(rig);
    CHECK_EQ(Told(rig, handle), 0u);
    rig.ReadStart(handle);
    CHECK_EQ(rig.Await(handle, Kind::kEnd).result, 0);
    CHECK(rig.TakeMessages(handle) == (Texts{"unread"}));
  }
}

TEST("a reset is told to whoever only sends") {
  for (const EngineRig::Origin origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    StopReading(rig, handle, ReadStop::kWatchEnd);
    const int fd = rig.engine().DescriptorOf(handle);
    CHECK(::send(fd, "x", 1, MSG_NOSIGNAL) == 1);
    peer.Reset();
    CHECK_EQ(rig.Await(handle, Kind::kReadError).result, -ECONNRESET);
  }
}

TEST("who waits for their user reads nothing, is kept, and goes on where they were") {
  for (const EngineRig::Origin origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    rig.ReadStart(handle);
    SendTo(peer, "first");
    CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 1; }));
    (void)rig.TakeMessages(handle);
    StopReading(rig, handle, ReadStop::kAwaitUser);
    CHECK(rig.engine().KeepsAlive());
    StopReading(rig, handle, ReadStop::kPlain);
    CHECK(!rig.engine().KeepsAlive());
    StopReading(rig, handle, ReadStop::kAwaitUser);
    SendTo(peer, "second");
    peer.Reset();
    Settle(rig);
    CHECK_EQ(rig.MessageCount(handle), 0u);
    CHECK(rig.engine().KeepsAlive());
    rig.ReadStart(handle);
    CHECK_EQ(rig.Await(handle, Kind::kEnd).result, 0);
    CHECK(rig.TakeMessages(handle) == (Texts{"second"}));
  }
}

// As Engine::Detach() writes it: each behind its length and its full length.
Texts TextsOf(std::span<const std::byte> unread) {
  Texts texts;
  while (!unread.empty()) {
    int32_t length = 0;
    std::memcpy(&length, unread.data(), sizeof(length));
    const auto bytes = unread.subspan(2 * sizeof(length), static_cast<size_t>(length));
    texts.emplace_back(test::Text(bytes));
    unread = unread.subspan(2 * sizeof(length) + bytes.size());
  }
  return texts;
}

TEST("a connection of messages that is given away takes along what nobody was told, in order") {
  for (const EngineRig::Origin origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    rig.ReadStart(handle);
    (void)rig.Round();
    Texts sent;
    for (int i = 0; i < 10; ++i) {
      sent.push_back(std::to_string(i));
      SendTo(peer, sent.back());
    }
    std::vector<std::byte> unread;
    auto given = rig.engine().Detach(handle, unread);
    CHECK_OK(given);
    Texts got = TextsOf(unread);
    for (;;) {
      std::vector<std::byte> buffer(100);
      const auto received = posix::Receive(given.value().get(), buffer);
      if (!received.ok() || received.value() == 0) break;
      got.emplace_back(test::Text(std::span(buffer).first(received.value())));
    }
    CHECK(got == sent);
    CHECK_EQ(rig.Await(handle, Kind::kClosed).result, 0);
    CHECK_EQ(rig.MessageCount(handle), 0u);
  }
}

TEST("whoever adopts a connection takes descriptors if it wants to, and is not told who writes") {
  EngineRig rig;
  auto pair = posix::SocketPair(posix::SocketType::kSeqpacket).value();
  CHECK_OK(posix::SetIntOption(pair[0].get(), SOL_SOCKET, SO_PASSCRED, 1));
  rig.ShareMessages();
  const int32_t handle = rig.engine().Adopt(std::move(pair[0])).value();
  CHECK_EQ(posix::GetIntOption(rig.engine().DescriptorOf(handle), SOL_SOCKET, SO_PASSCRED).value(),
           0);
}

}  // namespace
}  // namespace afunix::engine
