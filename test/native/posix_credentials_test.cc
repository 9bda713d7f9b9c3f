#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "check.h"
#include "posix/ancillary.h"
#include "posix/credentials.h"
#include "posix/kernel_constants.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::posix {
namespace {

using namespace std::literals;

constexpr uid_t kNobody = 65'534;

// A server's end whose client is `child_body`'s process; the child waits until the test is done.
struct ClientProcess {
  Fd server;
  pid_t pid = -1;
  Fd keep_alive;

  void End() {
    keep_alive.Reset();
    ::waitpid(pid, nullptr, 0);
  }
};
ClientProcess ForkClient(const std::function<bool()>& before_connect) {
  const test::Listening listening = test::MakeListener();
  auto pair = SocketPair(SocketType::kStream).value();
  ClientProcess client;
  client.pid = ::fork();
  if (client.pid == 0) {
    pair[0].Reset();
    if (!before_connect()) ::_exit(2);
    const Fd fd = OpenSocket(SocketType::kStream).value();
    if (!Connect(fd.get(), listening.address).ok()) ::_exit(3);
    pollfd until_hangup{.fd = pair[1].get(), .events = POLLIN, .revents = 0};
    ::poll(&until_hangup, 1, -1);
    ::_exit(0);
  }
  client.keep_alive = std::move(pair[0]);
  pair[1].Reset();
  if (!test::Eventually([&] {
        Result<Fd> accepted = Accept(listening.fd.get());
        if (accepted.ok()) client.server = std::move(accepted).value();
        return client.server.valid();
      })) {
    check::Fail(__FILE__, __LINE__, "the client process did not connect");
  }
  return client;
}

TEST("the peer of a socket pair is the process that made it") {
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  for (const Fd& end : pair) {
    const Result<Credentials> peer = PeerCredentials(end.get());
    REQUIRE_OK(peer);
    CHECK_EQ(peer.value().pid, ::getpid());
    CHECK_EQ(peer.value().uid, ::geteuid());
    CHECK_EQ(peer.value().gid, ::getegid());
  }
}

TEST("a server sees who connected, a client sees who listened") {
  ClientProcess client = ForkClient([] { return true; });
  const Result<Credentials> peer = PeerCredentials(client.server.get());
  REQUIRE_OK(peer);
  CHECK_EQ(peer.value().pid, client.pid);
  client.End();

  const test::Listening listening = test::MakeListener();
  const Fd mine = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Connect(mine.get(), listening.address));
  // Not accepted yet, and the acceptor may be another process: it is the one that listens.
  CHECK_EQ(PeerCredentials(mine.get()).value().pid, ::getpid());
}

TEST("the credentials are effective ids as of connect, and stay what they were") {
  if (!test::IsRoot()) {
    check::Note("needs root to change ids");
    return;
  }
  ClientProcess client = ForkClient([] {
    return ::setresgid(kNobody, kNobody, kNobody) == 0 &&
           ::setresuid(kNobody, kNobody, kNobody) == 0;
  });
  CHECK_EQ(PeerCredentials(client.server.get()).value().uid, kNobody);
  CHECK_EQ(PeerCredentials(client.server.get()).value().gid, kNobody);
  client.End();
  CHECK_EQ(PeerCredentials(client.server.get()).value().uid, kNobody);
  CHECK_EQ(PeerCredentials(client.server.get()).value().pid, client.pid);
}

TEST("a socket without a peer has no credentials: pid 0 and ids of -1") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  const Result<Credentials> peer = PeerCredentials(fd.get());
  REQUIRE_OK(peer);
  CHECK_EQ(peer.value().pid, 0);
  CHECK_EQ(peer.value().uid, static_cast<uid_t>(-1));
}

TEST("groups are sorted, each once, the primary group among them") {
  const auto pair = SocketPair(SocketType::kStream).value();
  const Result<std::vector<gid_t>> groups = PeerGroups(pair[0].get());
  REQUIRE_OK(groups);
  std::vector<gid_t> expected(static_cast<size_t>(std::max(::getgroups(0, nullptr), 0)));
  if (!expected.empty()) {
    REQUIRE(::getgroups(static_cast<int>(expected.size()), expected.data()) >= 0);
  }
  expected.push_back(::getegid());
  std::sort(expected.begin(), expected.end());
  expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
  CHECK(groups.value() == expected);
}

TEST("any number of groups is read, none included") {
  if (!test::IsRoot()) {
    check::Note("needs root to set groups");
    return;
  }
  for (const size_t count : {0u, 1u, 31u, 32u, 33u, 1000u}) {
    ClientProcess client = ForkClient([count] {
      std::vector<gid_t> groups(count);
      // Downwards and with the primary one among them, so that sorting has something to do.
      for (size_t i = 0; i < count; ++i) groups[i] = static_cast<gid_t>(5000 - i);
      return ::setgroups(count, groups.data()) == 0 && ::setresgid(4999, 4999, 4999) == 0;
    });
    const Result<std::vector<gid_t>> groups = PeerGroups(client.server.get());
    client.End();
    REQUIRE_OK(groups);
    CHECK_EQ(groups.value().size(), std::max(count, size_t{1}) + (count == 1 ? 1 : 0));
    CHECK(std::is_sorted(groups.value().begin(), groups.value().end()));
    CHECK(std::binary_search(groups.value().begin(), groups.value().end(), 4999u));
  }
}

TEST("groups of a socket without a peer are ENODATA") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  CHECK_ERROR(PeerGroups(fd.get()), ENODATA);
}

// The pid that a pidfd stands for, as the kernel tells it.
pid_t PidOf(int pidfd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(pidfd));
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("Pid:")) return std::stoi(line.substr(4));
  }
  return -2;
}

TEST("a pidfd stands for the peer, is close-on-exec, and becomes readable when it ends") {
  ClientProcess client = ForkClient([] { return true; });
  const Result<Fd> pidfd = PeerPidFd(client.server.get());
  if (!pidfd.ok()) {
    CHECK_ERROR(pidfd, ENOPROTOOPT);
    check::Note("this kernel is older than SO_PEERPIDFD");
    client.End();
    return;
  }
  CHECK_EQ(::fcntl(pidfd.value().get(), F_GETFD), FD_CLOEXEC);
  CHECK_EQ(PidOf(pidfd.value().get()), client.pid);
  CHECK(!test::Polls(pidfd.value().get(), POLLIN));
  client.End();
  CHECK(test::Polls(pidfd.value().get(), POLLIN));
}

TEST("a peer that was reaped has a pidfd on newer kernels, EINVAL or ESRCH on older ones") {
  ClientProcess client = ForkClient([] { return true; });
  client.End();
  const Result<Fd> pidfd = PeerPidFd(client.server.get());
  const int code = pidfd.error().code;
  CHECK(code == 0 || code == EINVAL || code == ESRCH || code == ENOPROTOOPT);
  if (pidfd.ok()) CHECK(test::Polls(pidfd.value().get(), POLLIN));
}

TEST("a pidfd of a socket without a peer is ENODATA") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  const int code = PeerPidFd(fd.get()).error().code;
  CHECK(code == ENODATA || code == ENOPROTOOPT);
}

TEST("a security label is bytes without a NUL at their end, or ENOPROTOOPT") {
  const auto pair = SocketPair(SocketType::kStream).value();
  const Result<std::string> label = PeerSecurityLabel(pair[0].get());
  if (!label.ok()) {
    CHECK_ERROR(label, ENOPROTOOPT);
    return;
  }
  CHECK(!label.value().empty());
  CHECK(label.value().back() != '\0');
}

TEST("asking a listener for credentials asks its connections, also for what was sent before") {
  const test::Listening listening = test::MakeListener(SocketType::kSeqpacket);
  REQUIRE_OK(SetPassCredentials(listening.fd.get(), true));
  const Fd client = OpenSocket(SocketType::kSeqpacket).value();
  REQUIRE_OK(Connect(client.get(), listening.address));
  REQUIRE_OK(Send(client.get(), test::Bytes("early")));
  const Result<Fd> accepted = Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  CHECK_EQ(GetIntOption(accepted.value().get(), SOL_SOCKET, SO_PASSCRED).value(), 1);

  std::array<std::byte, 64> control;
  std::array<std::byte, 8> buffer;
  const iovec part = test::Part(buffer);
  const Result<Received> received =
      ReceiveMessage(accepted.value().get(), std::span(&part, 1), control);
  REQUIRE_OK(received);
  const AncillaryReader reader{std::span(control).first(received.value().control_bytes)};
  REQUIRE(reader.credentials().has_value());
  CHECK_EQ(reader.credentials()->pid, ::getpid());
}

TEST("asking for credentials can be taken back") {
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(SetPassCredentials(pair[0].get(), true));
  CHECK_EQ(GetIntOption(pair[0].get(), SOL_SOCKET, SO_PASSCRED).value(), 1);
  REQUIRE_OK(SetPassCredentials(pair[0].get(), false));
  CHECK_EQ(GetIntOption(pair[0].get(), SOL_SOCKET, SO_PASSCRED).value(), 0);
}

TEST("asking what is no socket is ENOTSOCK") {
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_ERROR(PeerCredentials(file.get()), ENOTSOCK);
  CHECK_ERROR(PeerGroups(file.get()), ENOTSOCK);
  CHECK_ERROR(PeerPidFd(file.get()), ENOTSOCK);
  CHECK_ERROR(PeerSecurityLabel(file.get()), ENOTSOCK);
  CHECK_ERROR(SetPassCredentials(file.get(), true), ENOTSOCK);
}

}  // namespace
}  // namespace afunix::posix
