// Handles: closing from every state, numbers that come back, who keeps the process running.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
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
using posix::UnixAddress;
using test::Bytes;
using test::EngineRig;
using test::Event;
using Kind = CompletionKind;

UnixAddress FreshName() { return UnixAddress::Abstract(test::UniqueName()).value(); }

// Closes `handle`: its descriptor is gone at once, the news comes once and is the last.
void CheckCloses(EngineRig& rig, int32_t handle) {
  const int descriptor = rig.engine().DescriptorOf(handle);
  rig.ForgetLog();
  CHECK_EQ(rig.Close(handle), 0);
  CHECK(!test::IsOpen(descriptor));
  CHECK_EQ(rig.engine().DescriptorOf(handle), -1);
  CHECK_EQ(rig.Close(handle), -EBADF);
  CHECK_EQ(rig.Write(handle, "x"), -EBADF);
  CHECK_EQ(rig.engine().PendingBytes(handle), 0u);
  CHECK(rig.Awake());
  CHECK_EQ(rig.Await(handle, Kind::kClosed).result, 0);
  rig.Settle();
  for (const Event& event : rig.log()) CHECK(event.handle != handle);
  CHECK(!rig.engine().KeepsAlive());
}

TEST("a connection is closed at rest, whoever made it") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    CheckCloses(rig, connection.handle);
    std::array<std::byte, 1> buffer;
    CHECK_EQ(posix::Receive(connection.peer.get(), buffer).value(), 0u);
  }
}

TEST("a connection is closed while it reads, with data waiting") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    rig.ReadStart(connection.handle);
    REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("unread")));
    CheckCloses(rig, connection.handle);
  }
}

TEST("a connection is closed while it stands in the queue with more to read") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes(test::Pattern(150'000))));
  rig.Round();
  CHECK(rig.engine().HasWork());
  CheckCloses(rig, connection.handle);
}

TEST("a connection is closed while a write waits") {
  for (const bool payload : {false, true}) {
    EngineRig rig;
    auto connection = rig.Make();
    const std::string much = test::Pattern(16 << 20);
    if (payload) {
      CHECK_EQ(rig.WritePayload(connection.handle, {much}), kPending);
    } else {
      while (rig.Write(connection.handle, much.substr(0, 100'000)) == 0) continue;
    }
    rig.LosePayload(connection.handle);
    CheckCloses(rig, connection.handle);
    CHECK(rig.Count(connection.handle, Kind::kWritten) == 0);
  }
}

TEST("a connection is closed while a half-close waits") {
  EngineRig rig;
  auto connection = rig.Make();
  while (rig.Write(connection.handle, test::Pattern(100'000)) == 0) continue;
  CHECK_EQ(rig.HalfClose(connection.handle), kPending);
  CheckCloses(rig, connection.handle);
}

TEST("a connection is closed after the end, after a half-close, after an error") {
  EngineRig rig;
  auto ended = rig.Make();
  rig.ReadStart(ended.handle);
  ended.peer.Reset();
  (void)rig.Await(ended.handle, Kind::kEnd);
  CheckCloses(rig, ended.handle);

  auto half = rig.Make();
  CHECK_EQ(rig.HalfClose(half.handle), kPending);
  (void)rig.Await(half.handle, Kind::kShutdown);
  CheckCloses(rig, half.handle);

  auto reset = rig.Make();
  CHECK_EQ(rig.Write(reset.handle, "unread"), 0);
  reset.peer.Reset();
  rig.ReadStart(reset.handle);
  (void)rig.Await(reset.handle, Kind::kReadError);
  CheckCloses(rig, reset.handle);
}

TEST("a connection is closed after its peer, before that was noticed") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  connection.peer.Reset();
  CheckCloses(rig, connection.handle);
}

TEST("a connection that failed is closed") {
  EngineRig rig;
  const int32_t handle = rig.engine().Connect(FreshName(), 0).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -ECONNREFUSED);
  CheckCloses(rig, handle);
}

TEST("a connection that is closed before it was told connected: both are told, in that order") {
  EngineRig rig;
  const test::Listening listening = test::MakeListener();
  const int32_t handle = rig.engine().Connect(listening.address, 0).value();
  CHECK_EQ(rig.Close(handle), 0);
  const std::vector<Event> events = rig.Round();
  REQUIRE_EQ(events.size(), 2u);
  CHECK(events[0].kind == Kind::kConnected);
  CHECK(events[1].kind == Kind::kClosed);
}

TEST("a listener is closed at rest, with clients waiting, and while it backs off") {
  EngineRig rig;
  CheckCloses(rig, rig.engine().Listen(FreshName(), {}).value());
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  const Fd client = posix::OpenSocket(posix::SocketType::kStream).value();
  REQUIRE_OK(posix::Connect(client.get(), address));
  CheckCloses(rig, listener);

  CHECK(test::InChild([] {
    test::LimitDescriptors(64);
    EngineRig small;
    const UnixAddress crowded = FreshName();
    const int32_t full = small.engine().Listen(crowded, {}).value();
    const Fd waiting = posix::OpenSocket(posix::SocketType::kStream).value();
    REQUIRE_OK(posix::Connect(waiting.get(), crowded));
    const std::vector<Fd> fillers = test::FillDescriptorTable(64, 0);
    (void)small.Await(full, Kind::kDropped);
    CheckCloses(small, full);
    for (int i = 0; i < 10; ++i) small.Round(20);
    CHECK(small.log().empty());
  }));
}

TEST("a closed listener leaves no descriptor behind, also not the one it kept in reserve") {
  EngineRig rig;
  const size_t descriptors = test::OpenDescriptorCount();
  const int32_t listener = rig.engine().Listen(FreshName(), {}).value();
  rig.Close(listener);
  (void)rig.Await(listener, Kind::kClosed);
  CHECK_EQ(test::OpenDescriptorCount(), descriptors);
}

TEST("closing the listener leaves the connections it accepted alone") {
  EngineRig rig;
  auto connection = rig.Make(EngineRig::Origin::kAccepted);
  CHECK_EQ(rig.Write(connection.handle, "alive"), 0);
  CHECK_EQ(test::Drain(connection.peer), "alive");
}

TEST("a number comes back only after its closing was told") {
  EngineRig rig;
  auto first = rig.Make(EngineRig::Origin::kAdopted);
  rig.Close(first.handle);
  auto second = rig.Make(EngineRig::Origin::kAdopted);
  CHECK(second.handle != first.handle);
  (void)rig.Await(first.handle, Kind::kClosed);
  // The table that told it is still being read.
  auto third = rig.Make(EngineRig::Origin::kAdopted);
  CHECK(third.handle != first.handle);
  rig.Round();
  auto fourth = rig.Make(EngineRig::Origin::kAdopted);
  CHECK_EQ(fourth.handle, first.handle);
}

TEST("what was under way for one owner of a number never reaches the next") {
  EngineRig rig;
  for (int i = 0; i < 200; ++i) {
    auto before = rig.Make(test::kAllOrigins[i % 3]);
    rig.ReadStart(before.handle);
    REQUIRE_OK(posix::Send(before.peer.get(), Bytes(test::Pattern(100'000))));
    if (i % 2 == 0) rig.Round();
    while (i % 5 == 0 && rig.Write(before.handle, test::Pattern(60'000)) == 0) continue;
    rig.Close(before.handle);
    (void)rig.Await(before.handle, Kind::kClosed);
    rig.Round();
    (void)rig.TakeReceived(before.handle);
    rig.ForgetLog();

    auto after = rig.Make(EngineRig::Origin::kAdopted);
    rig.ReadStart(after.handle);
    before.peer.Reset();
    rig.Settle();
    for (const Event& event : rig.log()) CHECK(event.handle != after.handle);
    CHECK_EQ(rig.ReceivedSize(after.handle), 0u);
    rig.Close(after.handle);
    (void)rig.Await(after.handle, Kind::kClosed);
  }
}

TEST("a closed connection whose open file lives on elsewhere wakes nobody") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    rig.ReadStart(connection.handle);
    rig.Settle();
    // As when it was handed to another process, or given to the user.
    const auto elsewhere = posix::Duplicate(rig.engine().DescriptorOf(connection.handle));
    REQUIRE_OK(elsewhere);
    rig.Close(connection.handle);
    (void)rig.Await(connection.handle, Kind::kClosed);
    rig.Settle();
    REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("not for us")));
    CHECK(!rig.Awake());
    CHECK_EQ(test::Drain(elsewhere.value()), "not for us");
  }
}

TEST("ten thousand connections come and go, and neither numbers nor descriptors grow") {
  EngineRig rig;
  const size_t descriptors = test::OpenDescriptorCount();
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  constexpr int kBatch = 20;
  int32_t highest = 0;
  for (int i = 0; i < 10'000 / kBatch; ++i) {
    std::vector<int32_t> clients;
    std::vector<int32_t> servers;
    for (int k = 0; k < kBatch; ++k) {
      clients.push_back(rig.engine().Connect(address, 1'000'000'000).value());
      CHECK_EQ(rig.Write(clients.back(), "hi"), 0);
    }
    REQUIRE(rig.RunUntil([&] { return rig.Count(listener, Kind::kAccepted) == kBatch; }));
    while (const auto accepted = rig.Take(listener, Kind::kAccepted)) {
      servers.push_back(accepted->result);
      rig.ReadStart(servers.back());
    }
    for (const int32_t server : servers) {
      REQUIRE(rig.RunUntil([&] { return rig.ReceivedSize(server) == 2; }));
      CHECK_EQ(rig.TakeReceived(server), "hi");
    }
    // Either end first, and both at once.
    const auto& first = i % 2 == 0 ? clients : servers;
    const auto& second = i % 2 == 0 ? servers : clients;
    for (const int32_t handle : first) CHECK_EQ(rig.Close(handle), 0);
    if (i % 3 != 0) rig.Round();
    for (const int32_t handle : second) CHECK_EQ(rig.Close(handle), 0);
    for (const int32_t handle : clients) highest = std::max(highest, handle);
    for (const int32_t handle : servers) {
      highest = std::max(highest, handle);
      (void)rig.Await(handle, Kind::kClosed);
    }
    rig.Settle();
    rig.ForgetLog();
  }
  CHECK(highest < 5 * kBatch);
  CHECK_EQ(rig.engine().counters().connected, 10'000u);
  CHECK_EQ(rig.engine().counters().accepted, 10'000u);
  rig.Close(listener);
  (void)rig.Await(listener, Kind::kClosed);
  rig.Round();
  CHECK_EQ(test::OpenDescriptorCount(), descriptors);
}

TEST("more news than the table has rows is told over several collections, each once") {
  EngineRig rig;
  std::set<int32_t> closed;
  while (closed.size() <= 2 * kCompletionCapacity) {
    auto pair = posix::SocketPair(posix::SocketType::kStream).value();
    const int32_t handle = rig.engine().Adopt(std::move(pair[0])).value();
    CHECK(closed.insert(handle).second);
    CHECK_EQ(rig.Close(handle), 0);
  }
  rig.Settle();
  CHECK_EQ(rig.log().size(), closed.size());
  for (const Event& event : rig.log()) CHECK_EQ(closed.erase(event.handle), 1u);
  CHECK(closed.empty());
}

TEST("reading, connecting, listening and closing keep the process running; being idle does not") {
  EngineRig rig;
  CHECK(!rig.engine().KeepsAlive());
  auto connection = rig.Make();
  CHECK(!rig.engine().KeepsAlive());
  rig.ReadStart(connection.handle);
  CHECK(rig.engine().KeepsAlive());
  rig.ReadStop(connection.handle);
  CHECK(!rig.engine().KeepsAlive());

  const int32_t listener = rig.engine().Listen(FreshName(), {}).value();
  CHECK(rig.engine().KeepsAlive());
  rig.Close(listener);
  CHECK(rig.engine().KeepsAlive());  // its closing is still to be told
  (void)rig.Await(listener, Kind::kClosed);
  CHECK(!rig.engine().KeepsAlive());

  const test::Listening other = test::MakeListener();
  const int32_t connecting = rig.engine().Connect(other.address, 0).value();
  CHECK(rig.engine().KeepsAlive());
  (void)rig.Await(connecting, Kind::kConnected);
  CHECK(!rig.engine().KeepsAlive());
}

TEST("an unreferenced handle does not keep the process running, its requests do") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.engine().SetReferenced(connection.handle, false);
  rig.ReadStart(connection.handle);
  CHECK(!rig.engine().KeepsAlive());
  rig.engine().SetReferenced(connection.handle, true);
  CHECK(rig.engine().KeepsAlive());
  rig.engine().SetReferenced(connection.handle, true);
  rig.engine().SetReferenced(connection.handle, false);
  CHECK(!rig.engine().KeepsAlive());

  while (rig.Write(connection.handle, test::Pattern(100'000)) == 0) continue;
  CHECK(rig.engine().KeepsAlive());
  CHECK(rig.RunUntil([&] {
    (void)test::Drain(connection.peer);
    return rig.Count(connection.handle, Kind::kWritten) > 0;
  }));
  CHECK(!rig.engine().KeepsAlive());

  const int32_t listener = rig.engine().Listen(FreshName(), {}).value();
  rig.engine().SetReferenced(listener, false);
  CHECK(!rig.engine().KeepsAlive());
  rig.engine().SetReferenced(9'999, false);
  rig.engine().SetReferenced(-1, true);
}

TEST("the engine sleeps when there is nothing to do") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  REQUIRE_OK(rig.engine().Listen(FreshName(), {}));
  rig.Settle();
  CHECK(!rig.Awake());
  CHECK(!rig.engine().HasWork());
  pollfd polled{.fd = rig.engine().descriptor(), .events = POLLIN, .revents = 0};
  CHECK_EQ(::poll(&polled, 1, 150), 0);
}

TEST("a wake-up makes the descriptor readable each time, and is used up by a collection") {
  EngineRig rig;
  for (int i = 0; i < 3; ++i) {
    rig.engine().Wake();
    CHECK(rig.Awake());
    CHECK(rig.Round().empty());
    CHECK(!rig.Awake());
  }
}

TEST("while attended the engine saves itself wake-ups, and has work all the same") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.Settle();
  rig.engine().SetAttended(true);
  rig.Close(connection.handle);
  CHECK(!rig.Awake());
  CHECK(rig.engine().HasWork());
  rig.engine().SetAttended(false);
  CHECK_EQ(rig.Round().size(), 1u);
}

TEST("an engine that nobody attends is awake as long as it has work") {
  EngineRig rig;
  std::vector<EngineRig::Connection> connections;
  // Together more than one collection has room for, each of them one read.
  for (int i = 0; i < 20; ++i) {
    connections.push_back(rig.Make(EngineRig::Origin::kAdopted));
    rig.ReadStart(connections.back().handle);
    REQUIRE_OK(posix::Send(connections.back().peer.get(), Bytes(test::Pattern(60'000))));
  }
  size_t told = 0;
  for (int i = 0; i < 100 && rig.Awake(); ++i) told += rig.engine().Collect();
  CHECK_EQ(told, connections.size());
  CHECK(!rig.engine().HasWork());

  for (size_t i = 0; i <= kCompletionCapacity; ++i) {
    auto pair = posix::SocketPair(posix::SocketType::kStream).value();
    CHECK_EQ(rig.Close(rig.engine().Adopt(std::move(pair[0])).value()), 0);
  }
  told = 0;
  for (int i = 0; i < 100 && rig.Awake(); ++i) told += rig.engine().Collect();
  CHECK_EQ(told, kCompletionCapacity + 1);
}

TEST("shutting down closes everything in any state, twice does no harm") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  EngineRig rig;
  const test::Listening full = test::MakeListener(posix::SocketType::kStream, 0);
  REQUIRE_OK(rig.engine().Connect(full.address, 0));
  REQUIRE_OK(rig.engine().Connect(full.address, 60'000'000'000));
  REQUIRE_OK(rig.engine().Listen(UnixAddress::Pathname(path).value(), {}));
  auto reading = rig.Make();
  rig.ReadStart(reading.handle);
  auto writing = rig.Make();
  CHECK_EQ(rig.WritePayload(writing.handle, {test::Pattern(16 << 20)}), kPending);
  auto closing = rig.Make();
  rig.Close(closing.handle);
  rig.engine().SetBusyPoll(reading.handle, 1000);

  rig.engine().Shutdown();
  CHECK(!rig.engine().KeepsAlive());
  CHECK_EQ(rig.engine().BusyPoll(), 0);
  CHECK_EQ(rig.engine().DescriptorOf(reading.handle), -1);
  CHECK_EQ(::access(path.c_str(), F_OK), -1);
  std::array<std::byte, 1> buffer;
  CHECK_EQ(posix::Receive(reading.peer.get(), buffer).value(), 0u);
  CHECK_EQ(rig.Write(reading.handle, "x"), -EBADF);
  rig.engine().Shutdown();
}

}  // namespace
}  // namespace afunix::engine
