// Listening: accepting within a budget, a full descriptor table, the socket file.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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
using test::EngineRig;
using test::Event;
using Kind = CompletionKind;

UnixAddress FreshName() { return UnixAddress::Abstract(test::UniqueName()).value(); }

Fd ConnectTo(const UnixAddress& address) {
  Fd client = posix::OpenSocket(posix::SocketType::kStream).value();
  CHECK_OK(posix::Connect(client.get(), address));
  return client;
}

// Whether the other side of `client` has closed it, without a byte.
bool WasClosed(const Fd& client) {
  std::array<std::byte, 1> buffer;
  const auto got = posix::Receive(client.get(), buffer);
  return got.ok() ? got.value() == 0 : got.error().code == ECONNRESET;
}

TEST("a connection is accepted and usable both ways") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const auto listener = rig.engine().Listen(address, {});
  REQUIRE_OK(listener);
  const Fd client = ConnectTo(address);
  const int32_t handle = rig.Await(listener.value(), Kind::kAccepted).result;
  CHECK(handle != listener.value());
  CHECK_EQ(rig.engine().counters().accepted, 1u);
  rig.ReadStart(handle);
  REQUIRE_OK(posix::Send(client.get(), test::Bytes("ping")));
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(handle) == "ping"; }));
  CHECK_EQ(rig.Write(handle, "pong"), 0);
  CHECK_EQ(test::Drain(client), "pong");
}

TEST("who connected is told with the connection, each in a row of their own") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const auto listener = rig.engine().Listen(address, {});
  REQUIRE_OK(listener);
  const Fd first = ConnectTo(address);
  const Fd second = ConnectTo(address);
  REQUIRE(rig.RunUntil([&] { return rig.Count(listener.value(), Kind::kAccepted) == 2; }));
  for (int i = 0; i < 2; ++i) {
    const auto accepted = rig.Take(listener.value(), Kind::kAccepted);
    REQUIRE(accepted.has_value());
    const auto row = static_cast<size_t>(accepted->offset) * engine::kPeerColumns;
    CHECK_EQ(rig.peers()[row], ::getpid());
    CHECK_EQ(rig.peers()[row + 1], static_cast<int32_t>(::geteuid()));
    CHECK_EQ(rig.peers()[row + 2], static_cast<int32_t>(::getegid()));
  }
}

TEST("who wrote is told with what was written, also before the accept") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const auto listener = rig.engine().Listen(address, {.credentials = true});
  REQUIRE_OK(listener);
  const Fd client = ConnectTo(address);
  REQUIRE_OK(posix::Send(client.get(), test::Bytes("early")));
  const int32_t handle = rig.Await(listener.value(), Kind::kAccepted).result;
  rig.ReadStart(handle);
  const Event told = rig.Await(handle, Kind::kCredentials);
  REQUIRE(told.handle == handle);
  const auto row = static_cast<size_t>(told.offset) * engine::kPeerColumns;
  CHECK_EQ(rig.peers()[row], ::getpid());
  CHECK_EQ(rig.peers()[row + 1], static_cast<int32_t>(::geteuid()));
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(handle) == "early"; }));
}

TEST("a writer comes with a pidfd once, and what nobody claims is closed") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const auto listener = rig.engine().Listen(address, {.credentials = true, .pidfds = true});
  REQUIRE_OK(listener);
  const Fd client = ConnectTo(address);
  const int32_t handle = rig.Await(listener.value(), Kind::kAccepted).result;
  const size_t before = test::OpenDescriptorCount();
  rig.ReadStart(handle);
  for (int i = 0; i < 5; ++i) {
    REQUIRE_OK(posix::Send(client.get(), test::Bytes("x")));
    CHECK(rig.RunUntil([&] { return rig.TakeReceived(handle) == "x"; }));
  }
  CHECK_EQ(rig.Count(handle, Kind::kCredentials), 1u);
  rig.Settle();
  CHECK_EQ(test::OpenDescriptorCount(), before);

  CHECK(test::InChild([&] { CHECK_OK(posix::Send(client.get(), test::Bytes("child's"))); }));
  rig.ForgetLog();
  const Event told = rig.Await(handle, Kind::kCredentials);
  const auto row = static_cast<size_t>(told.offset) * engine::kPeerColumns;
  const int32_t pidfd = rig.peers()[row + 3];
  // It may have been reaped before it was read of, or the kernel have no pidfds.
  if (pidfd > 0) {
    const auto place = static_cast<size_t>(pidfd) - 1;
    CHECK(rig.engine().ClaimPidFd(place).valid());
    CHECK(!rig.engine().ClaimPidFd(place).valid());
  } else {
    CHECK(pidfd == -ESRCH || pidfd == -EINVAL || pidfd == -ENOPROTOOPT);
  }
  rig.Settle();
  CHECK_EQ(test::OpenDescriptorCount(), before);
}

TEST("bytes that were sent before the accept are not lost") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  {
    const Fd client = ConnectTo(address);
    REQUIRE_OK(posix::Send(client.get(), test::Bytes("and gone")));
  }
  const int32_t handle = rig.Await(listener, Kind::kAccepted).result;
  rig.ReadStart(handle);
  (void)rig.Await(handle, Kind::kEnd);
  CHECK_EQ(rig.TakeReceived(handle), "and gone");
}

TEST("connections that came before the listener was adopted are accepted") {
  EngineRig rig;
  test::Listening listening = test::MakeListener();
  const Fd client = ConnectTo(listening.address);
  const auto listener = rig.engine().AdoptListener(std::move(listening.fd), 5);
  REQUIRE_OK(listener);
  CHECK(rig.Await(listener.value(), Kind::kAccepted).result >= 0);
}

TEST("an adopted socket that is only bound begins to listen") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  Fd bound = posix::OpenSocket(posix::SocketType::kStream).value();
  REQUIRE_OK(posix::Bind(bound.get(), address));
  const auto listener = rig.engine().AdoptListener(std::move(bound), 5);
  REQUIRE_OK(listener);
  const Fd client = ConnectTo(address);
  CHECK(rig.Await(listener.value(), Kind::kAccepted).result >= 0);
}

TEST("what can't listen is refused, and its descriptor closed") {
  EngineRig rig;
  CHECK_ERROR(rig.engine().AdoptListener(posix::OpenSocket(posix::SocketType::kStream).value(), 1),
              EINVAL);
  CHECK_ERROR(rig.engine().AdoptListener(Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), 1),
              ENOTSOCK);
  CHECK_ERROR(rig.engine().AdoptListener(Fd(), 1), EBADF);
}

TEST("one collection accepts no more from one listener than its budget, and none is lost") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {.backlog = 1000}).value();
  std::vector<Fd> clients;
  clients.reserve(3 * kAcceptBudget + 5);
  for (int i = 0; i < 3 * kAcceptBudget + 5; ++i) clients.push_back(ConnectTo(address));
  std::set<int32_t> handles;
  size_t rounds = 0;
  while (rig.Awake() && rounds < 100) {
    const std::vector<Event> events = rig.Round();
    CHECK(events.size() <= static_cast<size_t>(kAcceptBudget));
    for (const Event& event : events) {
      CHECK(event.kind == Kind::kAccepted);
      handles.insert(event.result);
    }
    ++rounds;
  }
  CHECK_EQ(handles.size(), clients.size());
  CHECK(!handles.contains(listener));
}

TEST("a crowd at one listener does not keep a connection from being read") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  const UnixAddress address = FreshName();
  REQUIRE_OK(rig.engine().Listen(address, {.backlog = 4000}));
  std::vector<Fd> clients;
  clients.reserve(3 * kAcceptBudget);
  for (int i = 0; i < 3 * kAcceptBudget; ++i) clients.push_back(ConnectTo(address));
  REQUIRE_OK(posix::Send(connection.peer.get(), test::Bytes("me too")));
  for (int round = 0; round <= kCollectionsUnasked; ++round) rig.Round();
  CHECK_EQ(rig.TakeReceived(connection.handle), "me too");
}

TEST("listening where somebody listens is EADDRINUSE and leaves the other's file alone") {
  EngineRig rig;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const UnixAddress address = UnixAddress::Pathname(path).value();
  REQUIRE_OK(rig.engine().Listen(address, {}));
  CHECK_ERROR(rig.engine().Listen(address, {}), EADDRINUSE);
  CHECK_EQ(::access(path.c_str(), F_OK), 0);
  CHECK_OK(posix::Connect(posix::OpenSocket(posix::SocketType::kStream).value().get(), address));
}

TEST("the socket file is removed when the listener is closed") {
  EngineRig rig;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const int32_t listener = rig.engine().Listen(UnixAddress::Pathname(path).value(), {}).value();
  CHECK_EQ(::access(path.c_str(), F_OK), 0);
  CHECK_EQ(rig.Close(listener), 0);
  CHECK_EQ(::access(path.c_str(), F_OK), -1);
  (void)rig.Await(listener, Kind::kClosed);
}

TEST("the socket file is removed when the engine is shut down") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  {
    EngineRig rig;
    REQUIRE_OK(rig.engine().Listen(UnixAddress::Pathname(path).value(), {}));
  }
  CHECK_EQ(::access(path.c_str(), F_OK), -1);
}

TEST("a successor's file and an adopted listener's file are left alone") {
  EngineRig rig;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const UnixAddress address = UnixAddress::Pathname(path).value();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  REQUIRE_EQ(::unlink(path.c_str()), 0);
  Fd successor = posix::OpenSocket(posix::SocketType::kStream).value();
  REQUIRE_OK(posix::Bind(successor.get(), address));
  rig.Close(listener);
  CHECK_EQ(::access(path.c_str(), F_OK), 0);

  const int32_t adopted = rig.engine().AdoptListener(std::move(successor), 1).value();
  rig.Close(adopted);
  CHECK_EQ(::access(path.c_str(), F_OK), 0);
}

TEST("mode bits are on the socket file when it can be connected to") {
  EngineRig rig;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const mode_t before = ::umask(0077);
  const auto listener =
      rig.engine().Listen(UnixAddress::Pathname(path).value(), {.backlog = 1, .add_mode = 0066});
  ::umask(before);
  REQUIRE_OK(listener);
  struct stat status {};
  REQUIRE_EQ(::lstat(path.c_str(), &status), 0);
  CHECK_EQ(status.st_mode & 0777, 0766u);
}

TEST("a whole mode is all that the socket file has") {
  EngineRig rig;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const auto listener = rig.engine().Listen(UnixAddress::Pathname(path).value(),
                                            {.backlog = 1, .add_mode = 0444, .whole_mode = true});
  REQUIRE_OK(listener);
  struct stat status {};
  REQUIRE_EQ(::lstat(path.c_str(), &status), 0);
  CHECK_EQ(status.st_mode & 0777, 0444u);
}

TEST("the unnamed address listens at a name of the kernel's choice") {
  EngineRig rig;
  const auto listener = rig.engine().Listen(UnixAddress(), {});
  REQUIRE_OK(listener);
  const auto name = posix::LocalAddress(rig.engine().DescriptorOf(listener.value()));
  REQUIRE_OK(name);
  const Fd client = ConnectTo(name.value());
  CHECK(rig.Await(listener.value(), Kind::kAccepted).result >= 0);
}

TEST("clients that wait in the backlog of a closed listener are told") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  const Fd client = ConnectTo(address);
  rig.Close(listener);
  CHECK(WasClosed(client));
  (void)rig.Await(listener, Kind::kClosed);
  CHECK_EQ(rig.Count(listener, Kind::kAccepted), 0u);
}

TEST("a stream's submissions on a listener are EINVAL") {
  EngineRig rig;
  const int32_t listener = rig.engine().Listen(FreshName(), {}).value();
  CHECK_EQ(rig.Write(listener, "x"), -EINVAL);
  CHECK_EQ(rig.ReadStart(listener), -EINVAL);
}

// The rows of kDropped, and how many connections they speak of.
struct Drops {
  int rows = 0;
  int connections = 0;
  bool all_are_emfile = true;
};
Drops CountDrops(const EngineRig& rig, int32_t listener) {
  Drops drops;
  for (const Event& event : rig.log()) {
    if (event.kind != Kind::kDropped || event.handle != listener) continue;
    ++drops.rows;
    drops.connections += event.offset;
    drops.all_are_emfile = drops.all_are_emfile && event.result == -EMFILE;
  }
  return drops;
}

TEST("with a full descriptor table waiting clients are refused at once and counted") {
  CHECK(test::InChild([] {
    test::LimitDescriptors(64);
    EngineRig rig;
    const UnixAddress address = FreshName();
    const int32_t listener = rig.engine().Listen(address, {}).value();
    std::vector<Fd> clients;
    clients.reserve(3);
    for (int i = 0; i < 3; ++i) clients.push_back(ConnectTo(address));
    std::vector<Fd> fillers = test::FillDescriptorTable(64, 0);
    CHECK(rig.RunUntil([&] { return CountDrops(rig, listener).connections == 3; }));
    CHECK(CountDrops(rig, listener).all_are_emfile);
    CHECK_EQ(rig.Count(listener, Kind::kAccepted), 0u);
    for (const Fd& client : clients) CHECK(WasClosed(client));

    // With descriptors to spare again, the next one is accepted.
    fillers.resize(fillers.size() - 4);
    const Fd later = ConnectTo(address);
    CHECK(rig.Await(listener, Kind::kAccepted).result >= 0);
  }));
}

TEST("with room for some, some are accepted and the rest refused") {
  CHECK(test::InChild([] {
    test::LimitDescriptors(64);
    EngineRig rig;
    const UnixAddress address = FreshName();
    const int32_t listener = rig.engine().Listen(address, {}).value();
    std::vector<Fd> clients;
    clients.reserve(5);
    for (int i = 0; i < 5; ++i) clients.push_back(ConnectTo(address));
    const std::vector<Fd> fillers = test::FillDescriptorTable(64, 2);
    CHECK(rig.RunUntil([&] {
      return rig.Count(listener, Kind::kAccepted) == 2 &&
             CountDrops(rig, listener).connections == 3;
    }));
  }));
}

TEST("a full descriptor table does not make the engine spin") {
  CHECK(test::InChild([] {
    test::LimitDescriptors(64);
    EngineRig rig;
    const UnixAddress address = FreshName();
    const int32_t listener = rig.engine().Listen(address, {}).value();
    const Fd client = ConnectTo(address);
    const std::vector<Fd> fillers = test::FillDescriptorTable(64, 0);
    CHECK(rig.RunUntil([&] { return CountDrops(rig, listener).connections == 1; }));
    const uint64_t before = rig.engine().counters().syscalls;
    for (int i = 0; i < 10; ++i) rig.Round(20);
    // One per round is the rig's own look.
    CHECK(rig.engine().counters().syscalls - before < 40);
  }));
}

TEST("a full descriptor table is not reported again when nobody was refused") {
  CHECK(test::InChild([] {
    test::LimitDescriptors(64);
    EngineRig rig;
    const UnixAddress address = FreshName();
    const int32_t listener = rig.engine().Listen(address, {}).value();
    const Fd client = ConnectTo(address);
    const std::vector<Fd> fillers = test::FillDescriptorTable(64, 0);
    CHECK(rig.RunUntil([&] { return CountDrops(rig, listener).connections == 1; }));
    const int rows = CountDrops(rig, listener).rows;
    for (int i = 0; i < 20; ++i) rig.Round(20);
    CHECK_EQ(CountDrops(rig, listener).rows, rows);
    for (const Event& event : rig.log()) {
      if (event.kind == Kind::kDropped) CHECK(event.offset > 0);
    }
  }));
}

TEST(
    "a listener that finishes serves its backlog, lets nobody else in, and tells when it is done") {
  const test::TemporaryDirectory directory;
  const UnixAddress address = UnixAddress::Pathname(directory / "s").value();
  EngineRig rig;
  const posix::PlaceOptions place;
  posix::PlaceTrouble trouble;
  const auto listener =
      rig.engine().Listen(address, {.backlog = 500, .place = &place, .trouble = &trouble});
  REQUIRE_OK(listener);
  // Some that the engine may have accepted already, and more than it accepts at a time.
  std::vector<Fd> clients;
  clients.reserve(5 + 2 * kAcceptBudget);
  for (int i = 0; i < 5; ++i) clients.push_back(ConnectTo(address));
  rig.Settle();
  for (int i = 0; i < 2 * kAcceptBudget; ++i) clients.push_back(ConnectTo(address));
  CHECK_EQ(rig.HalfClose(listener.value()), kPending);
  CHECK(::access((directory / "s").c_str(), F_OK) != 0);
  const Fd late = posix::OpenSocket(posix::SocketType::kStream).value();
  CHECK(!posix::Connect(late.get(), address).ok());

  CHECK_EQ(rig.HalfClose(listener.value()), kPending);
  (void)rig.Await(listener.value(), Kind::kEnd);
  CHECK_EQ(rig.Count(listener.value(), Kind::kAccepted), clients.size());
  rig.Settle();
  CHECK_EQ(rig.Count(listener.value(), Kind::kEnd), 0u);
  for (const Fd& client : clients) CHECK(!WasClosed(client));
  CHECK_EQ(rig.Close(listener.value()), 0);
  (void)rig.Await(listener.value(), Kind::kClosed);
}

TEST("a listener that finishes with nobody waiting is done at once, also when it is closed first") {
  EngineRig rig;
  const int32_t listener = rig.engine().Listen(FreshName(), {}).value();
  rig.Settle();
  CHECK_EQ(rig.HalfClose(listener), kPending);
  (void)rig.Await(listener, Kind::kEnd);
  CHECK_EQ(rig.Close(listener), 0);
  (void)rig.Await(listener, Kind::kClosed);

  const int32_t other = rig.engine().Listen(FreshName(), {}).value();
  CHECK_EQ(rig.HalfClose(other), kPending);
  CHECK_EQ(rig.Close(other), 0);
  (void)rig.Await(other, Kind::kClosed);
  rig.Settle();
}

TEST("a listener that leaves others to go on lets in what nobody else may know of, and no more") {
  const UnixAddress address = FreshName();
  const Fd listening = posix::OpenSocket(posix::SocketType::kStream).value();
  REQUIRE_OK(posix::Bind(listening.get(), address));
  REQUIRE_OK(posix::Listen(listening.get(), 500));
  const auto copy = [&] { return Fd(::fcntl(listening.get(), F_DUPFD_CLOEXEC, 0)); };
  EngineRig leaving;
  EngineRig staying;
  const int32_t first = leaving.engine().AdoptListener(copy(), 500).value();
  leaving.Settle();
  const int32_t second = staying.engine().AdoptListener(copy(), 500).value();
  staying.Settle();

  // A waiter of an io_uring is woken alone: these may have woken the one that leaves.
  std::vector<Fd> clients;
  clients.reserve(2 * kAcceptBudget);
  for (int i = 0; i < 2 * kAcceptBudget; ++i) clients.push_back(ConnectTo(address));
  CHECK_EQ(leaving.Submit(first, SubmissionKind::kShutdown, 0, 1), kPending);
  (void)leaving.Await(first, Kind::kEnd);
  const size_t left = leaving.Count(first, Kind::kAccepted);
  staying.Settle();
  CHECK_EQ(left + staying.Count(second, Kind::kAccepted), clients.size());
  for (const Fd& client : clients) CHECK(!WasClosed(client));

  const Fd late = ConnectTo(address);
  CHECK(staying.RunUntil(
      [&] { return left + staying.Count(second, Kind::kAccepted) == clients.size() + 1; }));
  leaving.Settle();
  CHECK_EQ(leaving.Count(first, Kind::kAccepted), left);
  CHECK_EQ(leaving.Close(first), 0);
  (void)leaving.Await(first, Kind::kClosed);
  CHECK(!WasClosed(late));
}

TEST("of two that share a socket, one that is busy leaves every connection to the other") {
  const UnixAddress address = FreshName();
  EngineRig busy;
  const int32_t first = busy.engine().Listen(address, {}).value();
  busy.Settle();
  Fd copy(::fcntl(busy.engine().DescriptorOf(first), F_DUPFD_CLOEXEC, 0));
  REQUIRE(copy.valid());
  REQUIRE_OK(busy.engine().Share(first));
  busy.Settle();
  EngineRig free;
  const int32_t second = free.engine().AdoptListener(std::move(copy), 500).value();
  free.Settle();

  std::vector<Fd> clients;
  for (size_t i = 1; i <= 5; ++i) {
    clients.push_back(ConnectTo(address));
    CHECK(free.RunUntil([&] { return free.Count(second, Kind::kAccepted) == i; }));
  }
  busy.Settle();
  CHECK_EQ(busy.Count(first, Kind::kAccepted), size_t{0});

  // And when the other is gone it serves alone.
  CHECK_EQ(free.Close(second), 0);
  (void)free.Await(second, Kind::kClosed);
  for (size_t i = 0; i < 5; ++i) clients.push_back(ConnectTo(address));
  CHECK(busy.RunUntil([&] { return busy.Count(first, Kind::kAccepted) == 5; }));
}

TEST("only a listener can be shared, and again is not an error") {
  EngineRig rig;
  const int32_t listener = rig.engine().Listen(FreshName(), {}).value();
  REQUIRE_OK(rig.engine().Share(listener));
  REQUIRE_OK(rig.engine().Share(listener));
  const auto connection = rig.Make(EngineRig::Origin::kAdopted);
  CHECK_EQ(rig.engine().Share(connection.handle).error().code, EBADF);
  CHECK_EQ(rig.engine().Share(12345).error().code, EBADF);
  CHECK_EQ(rig.Close(listener), 0);
  CHECK_EQ(rig.engine().Share(listener).error().code, EBADF);
  (void)rig.Await(listener, Kind::kClosed);
}

}  // namespace
}  // namespace afunix::engine
