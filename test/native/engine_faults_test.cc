// What the kernel can answer but seldom does. This program has its own versions of a few system
// calls, which fail when a test asks them to; the core is linked against these.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/ancillary.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"
#include "support.h"

namespace {

// The next `times` calls fail with `error`, after `skip` that don't.
struct Fault {
  int error = 0;
  int times = 0;
  int skip = 0;

  bool Strikes() {
    if (times == 0) return false;
    if (skip > 0) {
      --skip;
      return false;
    }
    --times;
    errno = error;
    return true;
  }
};

Fault on_send;     // send(2) and sendmsg(2)
Fault on_receive;  // recv(2) and recvmsg(2)
Fault on_accept;
Fault on_epoll_add;

}  // namespace

// Not every C library declares its functions as not throwing.
#ifndef __THROW
#define __THROW
#endif

// The C library's own names for the parameters are reserved ones.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" {

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  if (on_send.Strikes()) return -1;
  return ::syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (on_send.Strikes()) return -1;
  return ::syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  if (on_receive.Strikes()) return -1;
  return ::syscall(SYS_recvfrom, fd, bytes, size, flags, nullptr, nullptr);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (on_receive.Strikes()) return -1;
  return ::syscall(SYS_recvmsg, fd, message, flags);
}

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (on_accept.Strikes()) return -1;
  return static_cast<int>(::syscall(SYS_accept4, fd, address, length, flags));
}

int epoll_ctl(int set, int operation, int fd, epoll_event* event) __THROW {
  if (operation == EPOLL_CTL_ADD && on_epoll_add.Strikes()) return -1;
  return static_cast<int>(::syscall(SYS_epoll_ctl, set, operation, fd, event));
}

}  // extern "C"
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

namespace afunix::engine {
namespace {

using posix::Fd;
using posix::UnixAddress;
using test::Bytes;
using test::EngineRig;
using Kind = CompletionKind;

UnixAddress FreshName() { return UnixAddress::Abstract(test::UniqueName()).value(); }

Fd ConnectTo(const UnixAddress& address) {
  Fd client = posix::OpenSocket(posix::SocketType::kStream).value();
  CHECK_OK(posix::Connect(client.get(), address));
  return client;
}

TEST("interrupted calls are repeated") {
  const test::Listening listening = test::MakeListener();
  const Fd client = ConnectTo(listening.address);
  on_accept = {.error = EINTR, .times = 3};
  const auto accepted = posix::Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  on_send = {.error = EINTR, .times = 3};
  CHECK_EQ(posix::Send(client.get(), Bytes("x")).value(), 1u);
  const iovec out = test::Part(std::string_view("y"));
  on_send = {.error = EINTR, .times = 3};
  CHECK_EQ(posix::SendMessage(client.get(), {&out, 1}).value(), 1u);
  std::array<std::byte, 1> buffer;
  on_receive = {.error = EINTR, .times = 3};
  CHECK_EQ(posix::Receive(accepted.value().get(), buffer).value(), 1u);
  const iovec in = test::Part(buffer);
  on_receive = {.error = EINTR, .times = 3};
  CHECK_EQ(posix::ReceiveMessage(accepted.value().get(), {&in, 1}).value().bytes, 1u);
}

TEST("a write that the kernel has no memory for waits and goes on by itself") {
  // ETOOMANYREFS: with descriptors, of which too many are under way.
  for (const int error : {ENOBUFS, ENOMEM, ETOOMANYREFS}) {
    for (const int times : {1, 2, 5}) {
      EngineRig rig;
      auto connection = rig.Make();
      if (error == ETOOMANYREFS) {
        std::vector<posix::Fd> copies;
        copies.push_back(posix::Duplicate(STDIN_FILENO).value());
        CHECK_OK(rig.engine().AttachDescriptors(connection.handle, std::move(copies)));
      }
      on_send = {.error = error, .times = times};
      CHECK_EQ(rig.Write(connection.handle, "patience"), kPending);
      // Nobody reads or writes meanwhile: there is no event that would come from the peer.
      const auto written = rig.Await(connection.handle, Kind::kWritten);
      on_send = {};
      REQUIRE_EQ(written.handle, connection.handle);
      CHECK_EQ(written.result, 0);
      CHECK_EQ(test::Drain(connection.peer), "patience");
    }
  }
}

TEST("a payload that the kernel has no memory for waits and goes on by itself") {
  EngineRig rig;
  auto connection = rig.Make();
  on_send = {.error = ENOBUFS, .times = 3};
  CHECK_EQ(rig.WritePayload(connection.handle, {"a", "b", "c"}), kPending);
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, 0);
  CHECK_EQ(test::Drain(connection.peer), "abc");
  on_send = {};
}

TEST("a message with descriptors waits while too many are under way, and keeps its own") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  std::vector<posix::Fd> copies;
  copies.push_back(posix::Duplicate(STDIN_FILENO).value());
  CHECK_OK(rig.engine().AttachDescriptors(handle, std::move(copies)));
  on_send = {.error = ETOOMANYREFS, .times = 3};
  CHECK_EQ(rig.SendMessagePayload(handle, {"laden"}), kPending);
  CHECK_EQ(rig.SendMessages(handle, {"behind"}), kPending);
  CHECK_EQ(rig.Await(handle, Kind::kWritten).result, 0);
  on_send = {};
  std::array<std::byte, 16> bytes;
  alignas(cmsghdr) std::array<std::byte, 64> control;
  for (const size_t expected : {1, 0}) {
    const iovec part{bytes.data(), bytes.size()};
    const auto received = posix::ReceiveMessage(peer.get(), {&part, 1}, control);
    REQUIRE_OK(received);
    const std::span<const std::byte> brought(control);
    const posix::AncillaryReader ancillary(brought.first(received.value().control_bytes));
    CHECK_EQ(ancillary.descriptors().size(), expected);
  }
}

TEST("waiting for memory does not spin") {
  EngineRig rig;
  auto connection = rig.Make();
  constexpr int kEndless = 1'000'000;
  on_send = {.error = ENOBUFS, .times = kEndless};
  CHECK_EQ(rig.Write(connection.handle, "x"), kPending);
  const int64_t start = posix::MonotonicNow();
  while (posix::MonotonicNow() - start < 100'000'000) rig.Round(50);
  CHECK(kEndless - on_send.times < 200);
  on_send = {};
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, 0);
}

TEST("an error in the middle of a payload is told, and the connection can still be read") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.WritePayload(connection.handle, {test::Pattern(16 << 20)}), kPending);
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("hello")));
  on_send = {.error = EPIPE, .times = 1};
  (void)test::Drain(connection.peer);
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, -EPIPE);
  on_send = {};
  CHECK(!rig.engine().KeepsAlive());
  rig.ReadStart(connection.handle);
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "hello"; }));
}

// By recv(2), where our faults strike, on every engine: into memory of the user's own.
void ReadDirectly(EngineRig& rig, int32_t handle) {
  rig.ReadIntoTarget(handle, kReadSize);
  rig.ReadStart(handle);
}

TEST("an error between two reads is told after everything that was received") {
  EngineRig rig;
  auto connection = rig.Make();
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes(test::Pattern(150'000))));
  on_receive = {.error = ECONNRESET, .times = 1};
  ReadDirectly(rig, connection.handle);
  CHECK_EQ(rig.Await(connection.handle, Kind::kReadError).result, -ECONNRESET);
  CHECK(rig.TakeReceived(connection.handle) == test::Pattern(150'000));
}

TEST("an error that repeats is told once and does not spin") {
  EngineRig rig;
  auto connection = rig.Make();
  on_receive = {.error = EIO, .times = 1'000'000};
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("x")));
  ReadDirectly(rig, connection.handle);
  CHECK_EQ(rig.Await(connection.handle, Kind::kReadError).result, -EIO);
  rig.Settle();
  CHECK(on_receive.times > 999'900);
  CHECK(rig.log().empty());
  on_receive = {};
}

TEST("a connection that was aborted in the backlog is skipped") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  on_accept = {.error = ECONNABORTED, .times = 2};
  const Fd client = ConnectTo(address);
  CHECK(rig.Await(listener, Kind::kAccepted).result >= 0);
  CHECK_EQ(rig.Count(listener, Kind::kDropped), 0u);
}

TEST("a listener that the kernel has no memory for tries again later, and nobody is lost") {
  for (const int error : {ENOMEM, ENOBUFS}) {
    EngineRig rig;
    const UnixAddress address = FreshName();
    const int32_t listener = rig.engine().Listen(address, {}).value();
    on_accept = {.error = error, .times = 1};
    std::vector<Fd> clients;
    clients.reserve(3);
    for (int i = 0; i < 3; ++i) clients.push_back(ConnectTo(address));
    CHECK(rig.RunUntil([&] { return rig.Count(listener, Kind::kAccepted) == 3; }));
  }
}

TEST("connections that arrive while a listener backs off are accepted when it is over") {
  EngineRig rig;
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  on_accept = {.error = ENOMEM, .times = 1};
  const int64_t start = posix::MonotonicNow();
  const Fd first = ConnectTo(address);
  rig.Settle();
  const Fd second = ConnectTo(address);
  rig.Settle();
  const size_t early = rig.Count(listener, Kind::kAccepted);
  // On a machine so busy that the back-off has passed by now there is nothing to see.
  // An io_uring accepts by itself, where no fault of ours strikes.
  if (!test::OnUring() && posix::MonotonicNow() - start < kAcceptBackOff) CHECK_EQ(early, 0u);
  CHECK(rig.RunUntil([&] { return rig.Count(listener, Kind::kAccepted) == 2; }));
}

TEST("a connection that can't be watched is dropped and counted, the next one is accepted") {
  if (test::OnUring()) return check::Note("an io_uring watches by requests, which don't fail");
  EngineRig rig;
  const UnixAddress address = FreshName();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  const Fd unlucky = ConnectTo(address);
  const Fd lucky = ConnectTo(address);
  on_epoll_add = {.error = ENOSPC, .times = 1};
  const auto dropped = rig.Await(listener, Kind::kDropped);
  CHECK_EQ(dropped.result, -ENOSPC);
  CHECK_EQ(dropped.offset, 1);
  CHECK(rig.Await(listener, Kind::kAccepted).result >= 0);
  std::array<std::byte, 1> buffer;
  CHECK_EQ(posix::Receive(unlucky.get(), buffer).value(), 0u);
}

TEST("whatever else can't be watched fails with that error, and leaves nothing behind") {
  if (test::OnUring()) return check::Note("an io_uring watches by requests, which don't fail");
  EngineRig rig;
  const test::Listening listening = test::MakeListener();
  on_epoll_add = {.error = ENOSPC, .times = 1};
  const int32_t handle = rig.engine().Connect(listening.address, 0).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, -ENOSPC);

  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  on_epoll_add = {.error = ENOSPC, .times = 1};
  CHECK_ERROR(rig.engine().Listen(UnixAddress::Pathname(path).value(), {}), ENOSPC);
  CHECK_EQ(::access(path.c_str(), F_OK), -1);

  auto pair = posix::SocketPair(posix::SocketType::kStream).value();
  on_epoll_add = {.error = ENOMEM, .times = 1};
  CHECK_ERROR(rig.engine().Adopt(std::move(pair[0])), ENOMEM);
  on_epoll_add = {};
}

}  // namespace
}  // namespace afunix::engine
