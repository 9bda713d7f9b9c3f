// An io_uring answers for many sockets at once, into buffers that all of them share. Whatever is
// closed, paused or given away in between: each answer is accounted for, and none costs the others
// anything. On epoll the same is seen from outside.
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::Fd;
using posix::SocketType;
using posix::UnixAddress;
using test::Bytes;
using test::EngineRig;
using test::SendTo;
using Kind = CompletionKind;

void Write(const Fd& fd, const std::string& text) {
  CHECK_EQ(posix::Send(fd.get(), Bytes(text)).value(), text.size());
}

// Clients that all wait at once: more than are accepted in one collection.
std::vector<Fd> Crowd(const UnixAddress& address, size_t count) {
  std::vector<Fd> clients;
  clients.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(posix::OpenSocket(SocketType::kStream).value());
    CHECK_OK(posix::Connect(clients.back().get(), address));
  }
  return clients;
}

// One whose closing makes the engine ask the kernel for what has come, also while somebody looks.
int32_t MakeFetcher(EngineRig& rig) {
  auto [handle, peer] = rig.Make(EngineRig::Origin::kAdopted);
  rig.ReadStart(handle);
  rig.Settle();
  return handle;
}

// Each of `sockets` is sent `text`, which is received before it stops reading, and told nobody.
void StopInTheMiddle(EngineRig& rig, const std::vector<EngineRig::Connection>& sockets,
                     const std::string& text) {
  for (const auto& [handle, peer] : sockets) rig.ReadStart(handle);
  rig.Settle();
  const int32_t fetcher = MakeFetcher(rig);
  (void)rig.Look(2, [&](int look) {
    if (look != 1) return;
    for (const auto& [handle, peer] : sockets) Write(peer, text);
    CHECK_EQ(rig.Close(fetcher), 0);
    for (const auto& [handle, peer] : sockets) CHECK_EQ(rig.ReadStop(handle), 0);
  });
  rig.Settle();
}

bool HasEnded(const Fd& fd) {
  std::array<std::byte, 8> buffer;
  const auto received = posix::Receive(fd.get(), buffer);
  return received.ok() ? received.value() == 0 : received.error().code == ECONNRESET;
}

TEST("what is closed while its answers wait behind many others gives back what they came with") {
  EngineRig rig;
  const UnixAddress address = UnixAddress::Abstract(test::UniqueName()).value();
  const int32_t listener = rig.engine().Listen(address, {.backlog = 1000}).value();
  // So often that no buffer would be left.
  for (int round = 0; round < 50; ++round) {
    auto [handle, peer] = rig.Make(EngineRig::Origin::kAdopted);
    rig.ReadStart(handle);
    rig.Settle();
    const auto clients = Crowd(address, size_t{3} * kAcceptBudget + 10);
    for (int i = 0; i < 3; ++i) Write(peer, test::Pattern(kRingBufferSize));
    // Closed when the first have been accepted; the bytes' turn comes when that was told long ago.
    (void)rig.Look(2, [&, id = handle](int look) {
      if (look == 1) CHECK_EQ(rig.Close(id), 0);
    });
    CHECK(rig.RunUntil([&] { return rig.Count(listener, Kind::kAccepted) == clients.size(); }));
    CHECK(rig.RunUntil([&, id = handle] { return rig.Count(id, Kind::kClosed) == 1; }));
    for (const auto& event : rig.log()) {
      if (event.kind == Kind::kAccepted) CHECK_EQ(rig.Close(event.result), 0);
    }
    rig.Settle();
    rig.ForgetLog();
  }
  // And there is nothing left to do.
  auto [handle, peer] = rig.Make();
  rig.ReadStart(handle);
  rig.Settle();
  const uint64_t before = rig.engine().counters().syscalls;
  for (int i = 0; i < 20; ++i) rig.Round();
  CHECK(!rig.Awake());
  CHECK(rig.engine().counters().syscalls - before <= 40);
}

TEST("who was accepted for a listener that was closed meanwhile learns that nobody is there") {
  EngineRig rig;
  const UnixAddress busy_at = UnixAddress::Abstract(test::UniqueName()).value();
  const int32_t busy = rig.engine().Listen(busy_at, {.backlog = 1000}).value();
  for (int round = 0; round < 3; ++round) {
    const UnixAddress address = UnixAddress::Abstract(test::UniqueName()).value();
    const int32_t listener = rig.engine().Listen(address, {.backlog = 1000}).value();
    rig.Settle();
    const auto others = Crowd(busy_at, size_t{3} * kAcceptBudget + 10);
    const auto clients = Crowd(address, 5);
    (void)rig.Look(2, [&](int look) {
      if (look == 1) CHECK_EQ(rig.Close(listener), 0);
    });
    CHECK(rig.RunUntil([&] { return rig.Count(busy, Kind::kAccepted) == others.size(); }));
    CHECK(rig.RunUntil([&] { return rig.Count(listener, Kind::kClosed) == 1; }));
    for (const auto& event : rig.log()) {
      if (event.kind == Kind::kAccepted) CHECK_EQ(rig.Close(event.result), 0);
    }
    rig.Settle();
    rig.ForgetLog();
    for (const Fd& client : clients) CHECK(HasEnded(client));
  }
}

TEST("bytes that come many collections late are told in order, and then the end") {
  EngineRig rig;
  const UnixAddress address = UnixAddress::Abstract(test::UniqueName()).value();
  const int32_t listener = rig.engine().Listen(address, {.backlog = 1000}).value();
  auto [handle, peer] = rig.Make();
  rig.ReadStart(handle);
  rig.Settle();
  const auto clients = Crowd(address, size_t{5} * kAcceptBudget);
  std::string sent;
  for (int i = 0; i < 5; ++i) {
    const std::string text = std::to_string(i) + test::Pattern(1000);
    Write(peer, text);
    sent += text;
    (void)rig.Look(1);
  }
  peer.Reset();
  CHECK(rig.RunUntil([&, id = handle] { return rig.Count(id, Kind::kEnd) == 1; }));
  CHECK(rig.TakeReceived(handle) == sent);
  CHECK(rig.RunUntil([&] { return rig.Count(listener, Kind::kAccepted) == clients.size(); }));
}

TEST("streams that stop reading with bytes on their way leave the others in peace") {
  EngineRig rig;
  const std::string piece = test::Pattern(kRingBufferSize / 2);
  std::vector<EngineRig::Connection> silent;
  for (int i = 0; i < 2 * kRingBufferCount; ++i) {
    silent.push_back(rig.Make(EngineRig::Origin::kAdopted));
  }
  StopInTheMiddle(rig, silent, piece);
  auto [handle, peer] = rig.Make();
  rig.ReadStart(handle);
  rig.Settle();
  const uint64_t before = rig.engine().counters().syscalls;
  for (int i = 0; i < 10; ++i) {
    Write(peer, "hello");
    CHECK(rig.RunUntil([&, id = handle] { return rig.TakeReceived(id) == "hello"; }));
  }
  // A few calls for each at most.
  CHECK(rig.engine().counters().syscalls - before <= 200);
  for (int i = 0; i < 20; ++i) rig.Round();
  CHECK(!rig.Awake());
  // They have what they were sent when they want it.
  for (auto& [quiet, writer] : silent) {
    Write(writer, "!");
    rig.ReadStart(quiet);
    CHECK(rig.RunUntil([&, id = quiet] { return rig.ReceivedSize(id) == piece.size() + 1; }));
    CHECK(rig.TakeReceived(quiet) == piece + "!");
  }
}

TEST("message sockets that stop reading with one on its way leave the others in peace") {
  EngineRig rig;
  std::vector<EngineRig::Connection> silent;
  for (int i = 0; i < kMessageBufferCount + 16; ++i) {
    silent.push_back(rig.MakeMessages(EngineRig::Origin::kAdopted));
  }
  StopInTheMiddle(rig, silent, "nobody reads this");
  auto [handle, peer] = rig.MakeMessages();
  rig.ReadStart(handle);
  rig.Settle();
  const uint64_t before = rig.engine().counters().syscalls;
  SendTo(peer, "hello");
  CHECK(rig.RunUntil([&, id = handle] { return rig.MessageCount(id) == 1; }));
  for (int i = 0; i < 20; ++i) rig.Round();
  CHECK(!rig.Awake());
  CHECK(rig.engine().counters().syscalls - before <= 60);
  for (auto& [quiet, writer] : silent) {
    rig.ReadStart(quiet);
    CHECK(rig.RunUntil([&, id = quiet] { return rig.MessageCount(id) == 1; }));
    CHECK(rig.TakeMessages(quiet) == std::vector<std::string>{"nobody reads this"});
  }
}

TEST("more sockets than there are buffers get what they are sent at once, and nobody spins") {
  for (const bool messages : {false, true}) {
    EngineRig rig;
    const size_t count = messages ? 2 * kMessageBufferCount : 3 * kRingBufferCount;
    std::vector<EngineRig::Connection> all;
    for (size_t i = 0; i < count; ++i) {
      all.push_back(messages ? rig.MakeMessages(EngineRig::Origin::kAdopted)
                             : rig.Make(EngineRig::Origin::kAdopted));
      rig.ReadStart(all.back().handle);
    }
    rig.Settle();
    for (int round = 0; round < 5; ++round) {
      const std::string text = "number " + std::to_string(round);
      for (auto& [handle, peer] : all) Write(peer, text);
      for (auto& [handle, peer] : all) {
        if (messages) {
          CHECK(rig.RunUntil([&, id = handle] { return rig.MessageCount(id) == 1; }));
          CHECK(rig.TakeMessages(handle) == std::vector<std::string>{text});
        } else {
          CHECK(rig.RunUntil([&, id = handle] { return rig.ReceivedSize(id) == text.size(); }));
          CHECK(rig.TakeReceived(handle) == text);
        }
      }
      rig.Settle();
      CHECK(!rig.Awake());
    }
  }
}

}  // namespace
}  // namespace afunix::engine
