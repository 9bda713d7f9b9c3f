#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "check.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::posix {
namespace {

using namespace std::literals;
using test::Bytes;

bool HasFlags(const Fd& fd) {
  return ::fcntl(fd.get(), F_GETFD) == FD_CLOEXEC && (::fcntl(fd.get(), F_GETFL) & O_NONBLOCK) != 0;
}

std::string LinkOf(const Fd& fd) {
  char target[64];
  const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t length = ::readlink(path.c_str(), target, sizeof(target));
  return length < 0 ? std::string() : std::string(target, static_cast<size_t>(length));
}

TEST("every new socket is close-on-exec and non-blocking") {
  for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
    CHECK(HasFlags(OpenSocket(type).value()));

    const auto pair = SocketPair(type);
    REQUIRE_OK(pair);
    CHECK(HasFlags(pair.value()[0]));
    CHECK(HasFlags(pair.value()[1]));

    const test::Listening listening = test::MakeListener(type);
    const Fd client = OpenSocket(type).value();
    REQUIRE_OK(Connect(client.get(), listening.address));
    const Result<Fd> accepted = Accept(listening.fd.get());
    REQUIRE_OK(accepted);
    CHECK(HasFlags(accepted.value()));
  }
}

TEST("an executed program sees none of our sockets") {
  const auto pair = SocketPair(SocketType::kStream);
  REQUIRE_OK(pair);
  const test::Listening listening = test::MakeListener();
  const Fd client = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Connect(client.get(), listening.address));
  const Result<Fd> accepted = Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  // What is seen if close-on-exec is missing, so that not seeing the others means something.
  const Fd inherited(::dup(client.get()));

  const std::string seen = test::Shell("readlink /proc/$$/fd/*");
  CHECK(seen.find(LinkOf(inherited)) != std::string::npos);
  for (const Fd* fd : {&pair.value()[0], &pair.value()[1], &listening.fd, &accepted.value()}) {
    CHECK(LinkOf(*fd).starts_with("socket:["));
    CHECK(seen.find(LinkOf(*fd)) == std::string::npos);
  }
}

TEST("the kernel's own record of a new socket says non-blocking and close-on-exec") {
  const Fd fd = OpenSocket(SocketType::kSeqpacket).value();
  const std::string info = test::Shell("grep ^flags: /proc/" + std::to_string(::getpid()) +
                                       "/fdinfo/" + std::to_string(fd.get()));
  const unsigned long flags = std::stoul(info.substr(info.find(':') + 1), nullptr, 8);
  CHECK((flags & O_NONBLOCK) != 0);
  CHECK((flags & O_CLOEXEC) != 0);
}

TEST("the two ends of a socket pair are connected to each other") {
  for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
    const auto pair = SocketPair(type);
    REQUIRE_OK(pair);
    const auto& [left, right] = pair.value();
    CHECK_EQ(Send(left.get(), Bytes("there")).value(), 5u);
    CHECK_EQ(Send(right.get(), Bytes("back!")).value(), 5u);
    std::array<std::byte, 16> buffer;
    CHECK_EQ(Receive(right.get(), buffer).value(), 5u);
    CHECK_EQ(test::Text(std::span(buffer).first(5)), "there"sv);
    CHECK_EQ(Receive(left.get(), buffer).value(), 5u);
    CHECK_EQ(test::Text(std::span(buffer).first(5)), "back!"sv);
  }
}

TEST("accepting when nobody waits is EAGAIN") {
  const test::Listening listening = test::MakeListener();
  CHECK_ERROR(Accept(listening.fd.get()), EAGAIN);
}

TEST("accepting on a socket that does not listen is EINVAL") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  CHECK_ERROR(Accept(fd.get()), EINVAL);
}

TEST("connections are accepted in the order in which they came") {
  const test::Listening listening = test::MakeListener();
  std::vector<Fd> clients;
  for (const char* name : {"1", "2", "3"}) {
    clients.push_back(OpenSocket(SocketType::kStream).value());
    REQUIRE_OK(Connect(clients.back().get(), listening.address));
    REQUIRE_OK(Send(clients.back().get(), Bytes(name)));
  }
  for (const std::string_view name : {"1", "2", "3"}) {
    const Result<Fd> accepted = Accept(listening.fd.get());
    REQUIRE_OK(accepted);
    std::array<std::byte, 1> buffer;
    REQUIRE_OK(Receive(accepted.value().get(), buffer));
    CHECK_EQ(test::Text(buffer), name);
  }
}

TEST("connecting to a full backlog is EAGAIN and the connection is not in progress") {
  for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
    const test::Listening listening = test::MakeListener(type, 0);
    // A backlog of 0 lets one connection wait.
    const Fd first = OpenSocket(type).value();
    REQUIRE_OK(Connect(first.get(), listening.address));
    const Fd second = OpenSocket(type).value();
    CHECK_ERROR(Connect(second.get(), listening.address), EAGAIN);

    const Result<Fd> accepted = Accept(listening.fd.get());
    REQUIRE_OK(accepted);
    CHECK_ERROR(Accept(listening.fd.get()), EAGAIN);
    CHECK_ERROR(PeerAddress(second.get()), ENOTCONN);
    CHECK_OK(Connect(second.get(), listening.address));
    CHECK_OK(Accept(listening.fd.get()));
  }
}

TEST("connecting where nobody listens is ECONNREFUSED, where nothing is ENOENT") {
  const test::TemporaryDirectory directory;
  const UnixAddress address = UnixAddress::Pathname(directory / "s").value();
  const Fd client = OpenSocket(SocketType::kStream).value();
  CHECK_ERROR(Connect(client.get(), address), ENOENT);

  const Fd bound = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Bind(bound.get(), address));
  CHECK_ERROR(Connect(client.get(), address), ECONNREFUSED);
  CHECK_ERROR(Connect(client.get(), UnixAddress::Abstract(test::UniqueName()).value()),
              ECONNREFUSED);
  // The same socket may try again.
  REQUIRE_OK(Listen(bound.get(), 1));
  CHECK_OK(Connect(client.get(), address));
}

TEST("a regular file is ECONNREFUSED") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "file";
  const Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const Fd client = OpenSocket(SocketType::kStream).value();
  CHECK_ERROR(Connect(client.get(), UnixAddress::Pathname(path).value()), ECONNREFUSED);
}

TEST("the wrong type is EPROTOTYPE at a path and ECONNREFUSED at an abstract name") {
  const test::TemporaryDirectory directory;
  const UnixAddress path = UnixAddress::Pathname(directory / "s").value();
  const Fd listener = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Bind(listener.get(), path));
  REQUIRE_OK(Listen(listener.get(), 1));
  const Fd client = OpenSocket(SocketType::kSeqpacket).value();
  CHECK_ERROR(Connect(client.get(), path), EPROTOTYPE);

  const test::Listening abstract = test::MakeListener(SocketType::kStream);
  CHECK_ERROR(Connect(client.get(), abstract.address), ECONNREFUSED);
}

TEST("connecting twice is EISCONN") {
  const test::Listening listening = test::MakeListener();
  const Fd client = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Connect(client.get(), listening.address));
  CHECK_ERROR(Connect(client.get(), listening.address), EISCONN);
}

TEST("binding to a path that exists is EADDRINUSE, into a missing directory ENOENT") {
  const test::TemporaryDirectory directory;
  const UnixAddress address = UnixAddress::Pathname(directory / "s").value();
  { REQUIRE_OK(Bind(OpenSocket(SocketType::kStream).value().get(), address)); }
  const Fd second = OpenSocket(SocketType::kStream).value();
  CHECK_ERROR(Bind(second.get(), address), EADDRINUSE);
  CHECK_ERROR(Bind(second.get(), UnixAddress::Pathname(directory / "none/s").value()), ENOENT);
}

TEST("listening on an unbound or a connected socket is EINVAL") {
  const Fd unbound = OpenSocket(SocketType::kStream).value();
  CHECK_ERROR(Listen(unbound.get(), 1), EINVAL);
  const auto pair = SocketPair(SocketType::kStream);
  CHECK_ERROR(Listen(pair.value()[0].get(), 1), EINVAL);
}

TEST("shutting down the sending side ends the peer's input and nothing else") {
  const auto pair = SocketPair(SocketType::kStream);
  const auto& [left, right] = pair.value();
  REQUIRE_OK(Send(left.get(), Bytes("last")));
  REQUIRE_OK(Shutdown(left.get(), SHUT_WR));
  std::array<std::byte, 16> buffer;
  CHECK_EQ(Receive(right.get(), buffer).value(), 4u);
  CHECK_EQ(Receive(right.get(), buffer).value(), 0u);
  CHECK_OK(Send(right.get(), Bytes("answer")));
  CHECK_EQ(Receive(left.get(), buffer).value(), 6u);
  CHECK_ERROR(Send(left.get(), Bytes("more")), EPIPE);
}

TEST("Linux lets a socket be shut down before it is connected") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  CHECK_OK(Shutdown(fd.get(), SHUT_WR));
  CHECK_ERROR(Shutdown(fd.get(), 77), EINVAL);
}

TEST("both ends know the server's address, and the client's is unnamed") {
  const test::Listening listening = test::MakeListener();
  const Fd client = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Connect(client.get(), listening.address));
  const Result<Fd> accepted = Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  CHECK_EQ(PeerAddress(client.get()).value().name(), listening.address.name());
  CHECK_EQ(LocalAddress(accepted.value().get()).value().name(), listening.address.name());
  CHECK(PeerAddress(accepted.value().get()).value().kind() == UnixAddress::Kind::kUnnamed);
  CHECK(LocalAddress(client.get()).value().kind() == UnixAddress::Kind::kUnnamed);
}

TEST("a bound client is known to the server by its address") {
  const test::Listening listening = test::MakeListener();
  const Fd client = OpenSocket(SocketType::kStream).value();
  const std::string name = test::UniqueName();
  REQUIRE_OK(Bind(client.get(), UnixAddress::Abstract(name).value()));
  REQUIRE_OK(Connect(client.get(), listening.address));
  const Result<Fd> accepted = Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  CHECK_EQ(PeerAddress(accepted.value().get()).value().name(), name);
}

TEST("integer options are set and read; the kernel doubles a buffer size") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(SetIntOption(fd.get(), SOL_SOCKET, SO_SNDBUF, 65'536));
  CHECK_EQ(GetIntOption(fd.get(), SOL_SOCKET, SO_SNDBUF).value(), 131'072);
  CHECK_ERROR(GetIntOption(fd.get(), SOL_SOCKET, 9999), ENOPROTOOPT);
  CHECK_ERROR(SetIntOption(fd.get(), SOL_SOCKET, 9999, 1), ENOPROTOOPT);
}

TEST("an inherited descriptor becomes non-blocking and close-on-exec, its other flags kept") {
  int fds[2];
  REQUIRE_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const Fd left(fds[0]);
  const Fd right(fds[1]);
  REQUIRE_EQ(::fcntl(left.get(), F_SETFL, O_ASYNC), 0);
  CHECK(!HasFlags(left));
  REQUIRE_OK(MakeNonBlockingCloseOnExec(left.get()));
  CHECK(HasFlags(left));
  CHECK((::fcntl(left.get(), F_GETFL) & O_ASYNC) != 0);
  CHECK_OK(MakeNonBlockingCloseOnExec(left.get()));
  CHECK_ERROR(MakeNonBlockingCloseOnExec(-1), EBADF);
}

TEST("a socket is described by type and by whether it listens") {
  const test::Listening listening = test::MakeListener(SocketType::kSeqpacket);
  const Result<SocketKind> listener = DescribeSocket(listening.fd.get());
  REQUIRE_OK(listener);
  CHECK_EQ(listener.value().type, static_cast<int>(SOCK_SEQPACKET));
  CHECK(listener.value().listening);

  const Fd stream = OpenSocket(SocketType::kStream).value();
  CHECK_EQ(DescribeSocket(stream.get()).value().type, static_cast<int>(SOCK_STREAM));
  CHECK(!DescribeSocket(stream.get()).value().listening);

  const Fd datagram(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK_EQ(DescribeSocket(datagram.get()).value().type, static_cast<int>(SOCK_DGRAM));
}

TEST("what is no AF_UNIX socket is told apart by its errno") {
  const Fd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_ERROR(DescribeSocket(tcp.get()), EAFNOSUPPORT);
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_ERROR(DescribeSocket(file.get()), ENOTSOCK);
  CHECK_ERROR(DescribeSocket(-1), EBADF);
}

TEST("every socket call on a descriptor that is not open is EBADF") {
  CHECK_ERROR(Bind(-1, UnixAddress()), EBADF);
  CHECK_ERROR(Listen(-1, 1), EBADF);
  CHECK_ERROR(Accept(-1), EBADF);
  CHECK_ERROR(Connect(-1, UnixAddress()), EBADF);
  CHECK_ERROR(Shutdown(-1, SHUT_WR), EBADF);
  CHECK_ERROR(LocalAddress(-1), EBADF);
  CHECK_ERROR(PeerAddress(-1), EBADF);
}

TEST("a full descriptor table is EMFILE, and nothing leaks") {
  CHECK(test::InChild([] {
    const test::Listening listening = test::MakeListener();
    const Fd client = OpenSocket(SocketType::kStream).value();
    REQUIRE_OK(Connect(client.get(), listening.address));
    std::vector<Fd> fillers = test::FillDescriptorTable(32, 0);
    CHECK_ERROR(OpenSocket(SocketType::kStream), EMFILE);
    CHECK_ERROR(SocketPair(SocketType::kStream), EMFILE);
    CHECK_ERROR(Accept(listening.fd.get()), EMFILE);
    CHECK_ERROR(Duplicate(client.get()), EMFILE);
    fillers.pop_back();
    CHECK_ERROR(SocketPair(SocketType::kStream), EMFILE);
    // The connection was not lost to the failed attempts.
    CHECK_OK(Accept(listening.fd.get()));
  }));
}

TEST("options that are not an int are read and set as bytes") {
  const auto pair = SocketPair(SocketType::kStream);
  REQUIRE_OK(pair);
  const int fd = pair.value()[0].get();

  timeval patience{.tv_sec = 2, .tv_usec = 500'000};
  REQUIRE_OK(SetOption(fd, SOL_SOCKET, SO_RCVTIMEO, std::as_bytes(std::span(&patience, 1))));
  timeval found{};
  const auto length =
      GetOption(fd, SOL_SOCKET, SO_RCVTIMEO, std::as_writable_bytes(std::span(&found, 1)));
  REQUIRE_OK(length);
  CHECK_EQ(length.value(), sizeof(found));
  CHECK_EQ(found.tv_sec, 2);
  CHECK_EQ(found.tv_usec, 500'000);

  // Less room than there is to tell.
  std::array<std::byte, 2> little;
  CHECK_EQ(GetOption(fd, SOL_SOCKET, SO_PEERCRED, little).value(), 2u);
  CHECK_ERROR(SetOption(fd, SOL_SOCKET, SO_SNDBUF, little), EINVAL);
  CHECK_ERROR(GetOption(fd, SOL_SOCKET, 9999, little), ENOPROTOOPT);
  CHECK_ERROR(GetOption(-1, SOL_SOCKET, SO_TYPE, little), EBADF);
}

TEST("what waits to be read is counted, of SEQPACKET the sum") {
  for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
    const auto pair = SocketPair(type);
    REQUIRE_OK(pair);
    const auto& [left, right] = pair.value();
    CHECK_EQ(Unread(right.get()).value(), 0u);
    REQUIRE_OK(Send(left.get(), Bytes("12345")));
    REQUIRE_OK(Send(left.get(), Bytes("678")));
    CHECK_EQ(Unread(right.get()).value(), 8u);
    CHECK(UnreadByPeer(left.get()).value() >= 8u);
  }
  CHECK_ERROR(Unread(test::MakeListener().fd.get()), EINVAL);
  CHECK_ERROR(Unread(-1), EBADF);
}

TEST("an empty SEQPACKET message is told from the end where it can be") {
  auto pair = SocketPair(SocketType::kSeqpacket);
  REQUIRE_OK(pair);
  auto& [left, right] = pair.value();
  std::array<std::byte, 8> buffer;
  REQUIRE_OK(Send(left.get(), {}));
  CHECK_EQ(Receive(right.get(), buffer).value(), 0u);
  CHECK(!WasEndOfInput(right.get()));

  REQUIRE_OK(Send(left.get(), {}));
  REQUIRE_OK(Send(left.get(), Bytes("x")));
  left.Reset();
  // The peer is gone, but there is something behind it.
  CHECK_EQ(Receive(right.get(), buffer).value(), 0u);
  CHECK(!WasEndOfInput(right.get()));
  CHECK_EQ(Receive(right.get(), buffer).value(), 1u);
  CHECK_EQ(Receive(right.get(), buffer).value(), 0u);
  CHECK(WasEndOfInput(right.get()));
}

}  // namespace
}  // namespace afunix::posix
