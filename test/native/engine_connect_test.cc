// Connecting: at once, refused, and waiting for room in a full backlog.
#include <chrono>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::UnixAddress;
using test::EngineRig;
using test::Event;
using Kind = CompletionKind;

constexpr int64_t kMillisecond = 1'000'000;

// A listener with a full backlog.
struct FullBacklog {
  FullBacklog() : listening(test::MakeListener(posix::SocketType::kStream, 0)) {
    first = posix::OpenSocket(posix::SocketType::kStream).value();
    CHECK_OK(posix::Connect(first.get(), listening.address));
  }
  test::Listening listening;
  posix::Fd first;
};

TEST("a connection is told by the next collection, and never before") {
  EngineRig rig;
  const test::Listening listening = test::MakeListener();
  const auto handle = rig.engine().Connect(listening.address, 0);
  REQUIRE_OK(handle);
  CHECK(rig.log().empty());
  CHECK(rig.Awake());
  const std::vector<Event> events = rig.Round();
  REQUIRE_EQ(events.size(), 1u);
  CHECK(events[0].kind == Kind::kConnected);
  CHECK_EQ(events[0].handle, handle.value());
  CHECK_EQ(events[0].result, 0);
  CHECK_EQ(rig.engine().counters().connected, 1u);
  CHECK_OK(posix::Accept(listening.fd.get()));
}

TEST("what goes wrong is told with its errno, and the handle is there until it is closed") {
  EngineRig rig;
  const test::TemporaryDirectory directory;
  const auto missing = UnixAddress::Pathname(directory / "none").value();
  const int32_t handle = rig.engine().Connect(missing, 1000 * kMillisecond).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -ENOENT);
  CHECK_EQ(rig.engine().counters().connected, 0u);
  CHECK(rig.engine().DescriptorOf(handle) >= 0);
  CHECK_EQ(rig.Close(handle), 0);
  (void)rig.Await(handle, Kind::kClosed);
  CHECK_EQ(rig.engine().DescriptorOf(handle), -1);

  const auto nobody = UnixAddress::Abstract(test::UniqueName()).value();
  const int32_t refused = rig.engine().Connect(nobody, 1000 * kMillisecond).value();
  CHECK_EQ(rig.Await(refused, Kind::kConnected).result, -ECONNREFUSED);
}

TEST("without patience a full backlog is EAGAIN at once") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t handle = rig.engine().Connect(full.listening.address, 0).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -EAGAIN);
}

TEST("a full backlog is tried again until there is room") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t handle =
      rig.engine().Connect(full.listening.address, 10'000 * kMillisecond).value();
  for (int i = 0; i < 5; ++i) rig.Round(5);
  CHECK(rig.log().empty());
  CHECK(rig.engine().KeepsAlive());
  REQUIRE_OK(posix::Accept(full.listening.fd.get()));
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);

  const auto accepted = posix::Accept(full.listening.fd.get());
  REQUIRE_OK(accepted);
  CHECK_EQ(rig.Write(handle, "hello"), 0);
  CHECK_EQ(test::Drain(accepted.value()), "hello");
}

TEST("a backlog that stays full is EAGAIN at the deadline, neither before nor much later") {
  EngineRig rig;
  const FullBacklog full;
  const int64_t start = posix::MonotonicNow();
  const int32_t handle = rig.engine().Connect(full.listening.address, 60 * kMillisecond).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -EAGAIN);
  const int64_t took = posix::MonotonicNow() - start;
  CHECK(took >= 60 * kMillisecond);
  CHECK(took < 5000 * kMillisecond);
  rig.Settle();
  CHECK_EQ(rig.Count(handle, Kind::kConnected), 0u);
}

TEST("waiting for a backlog sleeps: its tries are few") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t handle = rig.engine().Connect(full.listening.address, 400 * kMillisecond).value();
  const uint64_t before = rig.engine().counters().syscalls;
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -EAGAIN);
  // 1, 2, 4 ... 50, 50 ... milliseconds: about a dozen tries of a few calls; the rig itself looks
  // every 5 ms, which is one call each.
  CHECK(rig.engine().counters().syscalls - before < 150);
}

TEST("patience may be as long as time itself") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t handle =
      rig.engine().Connect(full.listening.address, std::numeric_limits<int64_t>::max()).value();
  rig.Round(20);
  CHECK(rig.log().empty());
  REQUIRE_OK(posix::Accept(full.listening.fd.get()));
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
}

TEST("many attempts wait for one backlog and all get in") {
  EngineRig rig;
  const FullBacklog full;
  std::vector<int32_t> handles;
  handles.reserve(20);
  for (int i = 0; i < 20; ++i) {
    handles.push_back(rig.engine().Connect(full.listening.address, 10'000 * kMillisecond).value());
  }
  std::vector<posix::Fd> accepted;
  CHECK(rig.RunUntil([&] {
    auto next = posix::Accept(full.listening.fd.get());
    if (next.ok()) accepted.push_back(std::move(next).value());
    return accepted.size() == 21;
  }));
  for (const int32_t handle : handles) {
    CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
  }
}

TEST("a listener that goes away while a connection waits is ECONNREFUSED") {
  EngineRig rig;
  FullBacklog full;
  const int32_t handle =
      rig.engine().Connect(full.listening.address, 10'000 * kMillisecond).value();
  rig.Round(5);
  full.listening.fd.Reset();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -ECONNREFUSED);
}

TEST("an attempt that is closed while it waits is told closed, and nothing else") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t handle = rig.engine().Connect(full.listening.address, 30 * kMillisecond).value();
  rig.Round(2);
  CHECK_EQ(rig.Close(handle), 0);
  (void)rig.Await(handle, Kind::kClosed);
  for (int i = 0; i < 10; ++i) rig.Round(10);
  CHECK(rig.log().empty());
  CHECK(!rig.engine().KeepsAlive());
}

TEST("a waiting attempt's deadline does not reach the next owner of its number") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t waiting = rig.engine().Connect(full.listening.address, 20 * kMillisecond).value();
  rig.Close(waiting);
  (void)rig.Await(waiting, Kind::kClosed);
  rig.Round();
  const auto connection = rig.Make();
  CHECK_EQ(connection.handle, waiting);
  for (int i = 0; i < 5; ++i) rig.Round(10);
  CHECK(rig.log().empty());
  CHECK_EQ(rig.Write(connection.handle, "still here"), 0);
}

TEST("a connection whose listener closed before it was told is ECONNRESET") {
  EngineRig rig;
  test::Listening listening = test::MakeListener();
  const int32_t handle = rig.engine().Connect(listening.address, 0).value();
  listening.fd.Reset();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -ECONNRESET);
}

TEST("a connection whose server greeted it and closed is a connection") {
  EngineRig rig;
  const test::Listening listening = test::MakeListener();
  const int32_t handle = rig.engine().Connect(listening.address, 0).value();
  {
    const auto accepted = posix::Accept(listening.fd.get());
    REQUIRE_OK(accepted);
    REQUIRE_OK(posix::Send(accepted.value().get(), test::Bytes("no more today")));
  }
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
  rig.ReadStart(handle);
  (void)rig.Await(handle, Kind::kEnd);
  CHECK_EQ(rig.TakeReceived(handle), "no more today");
}

TEST("connecting once more replaces an outcome that was not told, and is told once") {
  EngineRig rig;
  const auto nobody = UnixAddress::Abstract(test::UniqueName()).value();
  const test::Listening listening = test::MakeListener();
  const int32_t handle = rig.engine().Connect(nobody, 0).value();
  REQUIRE_OK(rig.engine().ConnectAgain(handle, listening.address, 0));
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
  rig.Settle();
  CHECK(rig.log().empty());
  CHECK_EQ(rig.Write(handle, "x"), 0);
  CHECK_EQ(test::Drain(posix::Accept(listening.fd.get()).value()), "x");
}

TEST("connecting once more after a failure was told is told again") {
  EngineRig rig;
  const auto nobody = UnixAddress::Abstract(test::UniqueName()).value();
  const test::Listening listening = test::MakeListener();
  const int32_t handle = rig.engine().Connect(nobody, 0).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -ECONNREFUSED);
  REQUIRE_OK(rig.engine().ConnectAgain(handle, listening.address, 0));
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
}

TEST("connecting once more what is connected is EISCONN, and it stays connected") {
  EngineRig rig;
  auto connection = rig.Make();
  const test::Listening listening = test::MakeListener();
  REQUIRE_OK(rig.engine().ConnectAgain(connection.handle, listening.address, 0));
  CHECK_EQ(rig.Await(connection.handle, Kind::kConnected).result, -EISCONN);
  CHECK_EQ(rig.Write(connection.handle, "x"), 0);
  CHECK_EQ(test::Drain(connection.peer), "x");
}

TEST("connecting once more while waiting for a backlog forgets the first address") {
  EngineRig rig;
  const FullBacklog full;
  const test::Listening listening = test::MakeListener();
  const int32_t handle =
      rig.engine().Connect(full.listening.address, 10'000 * kMillisecond).value();
  rig.Round(3);
  REQUIRE_OK(rig.engine().ConnectAgain(handle, listening.address, 0));
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
  CHECK_OK(posix::Accept(listening.fd.get()));
  for (int i = 0; i < 10; ++i) rig.Round(5);
  CHECK(rig.log().empty());
}

TEST("connecting once more what is not there is EBADF") {
  EngineRig rig;
  const auto nobody = UnixAddress::Abstract(test::UniqueName()).value();
  CHECK_ERROR(rig.engine().ConnectAgain(0, nobody, 0), EBADF);
  auto connection = rig.Make();
  rig.Close(connection.handle);
  CHECK_ERROR(rig.engine().ConnectAgain(connection.handle, nobody, 0), EBADF);
}

TEST("thousands of connections begun and closed in one tick are all told") {
  EngineRig rig;
  // Nobody listens, and each is closed at once, so that it takes few descriptors.
  const auto nobody = UnixAddress::Abstract(test::UniqueName()).value();
  for (int i = 0; i < 3'000; ++i) {
    const int32_t handle = rig.engine().Connect(nobody, 0).value();
    CHECK_EQ(rig.Close(handle), 0);
  }
  rig.Settle();
  CHECK_EQ(rig.log().size(), 6'000u);
}

TEST("reading that is asked for before the connection is there begins with it") {
  EngineRig rig;
  const FullBacklog full;
  const int32_t handle =
      rig.engine().Connect(full.listening.address, 10'000 * kMillisecond).value();
  CHECK_EQ(rig.ReadStart(handle), 0);
  REQUIRE_OK(posix::Accept(full.listening.fd.get()));
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
  const auto accepted = posix::Accept(full.listening.fd.get());
  REQUIRE_OK(accepted);
  REQUIRE_OK(posix::Send(accepted.value().get(), test::Bytes("early")));
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(handle) == 5; }));
}

TEST("a connection may write before it was told that it is one") {
  EngineRig rig;
  const test::Listening listening = test::MakeListener();
  const int32_t handle = rig.engine().Connect(listening.address, 0).value();
  CHECK_EQ(rig.Write(handle, "quick"), 0);
  const auto accepted = posix::Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  CHECK_EQ(test::Drain(accepted.value()), "quick");
}

}  // namespace
}  // namespace afunix::engine
