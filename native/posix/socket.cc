#include "posix/socket.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <climits>

namespace afunix::posix {
namespace {

constexpr int kOurFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;

// unix_dgram_sendmsg() in net/unix/af_unix.c
constexpr int kKeptBySender = 32;

using AddressCall = int (*)(int, sockaddr*, socklen_t*);

Result<UnixAddress> AskAddress(AddressCall call, int fd) {
  sockaddr_un address{};
  socklen_t length = sizeof(address);
  if (call(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return LastError();
  return UnixAddress::FromKernel(address, length);
}

Result<size_t> AskQueue(int fd, unsigned long request) {
  int bytes = 0;
  if (::ioctl(fd, request, &bytes) == -1) return LastError();
  return static_cast<size_t>(bytes);
}

}  // namespace

Result<Fd> OpenSocket(SocketType type) {
  const int fd = ::socket(AF_UNIX, static_cast<int>(type) | kOurFlags, 0);
  if (fd < 0) return LastError();
  return Fd(fd);
}

Result<std::array<Fd, 2>> SocketPair(SocketType type) {
  int fds[2];
  if (::socketpair(AF_UNIX, static_cast<int>(type) | kOurFlags, 0, fds) != 0) return LastError();
  return std::array<Fd, 2>{Fd(fds[0]), Fd(fds[1])};
}

Status Bind(int fd, const UnixAddress& address) {
  const int outcome =
      RetryInterrupted([&] { return ::bind(fd, address.data(), address.length()); });
  if (outcome != 0) return LastError();
  return {};
}

Status Listen(int fd, int backlog) {
  if (::listen(fd, backlog) != 0) return LastError();
  return {};
}

Result<Fd> Accept(int listener) {
  const int fd = RetryInterrupted([&] { return ::accept4(listener, nullptr, nullptr, kOurFlags); });
  if (fd < 0) return LastError();
  return Fd(fd);
}

Status Connect(int fd, const UnixAddress& address) {
  // Safe to repeat: an interrupted non-blocking connect has not queued anything at the listener.
  const int outcome =
      RetryInterrupted([&] { return ::connect(fd, address.data(), address.length()); });
  if (outcome != 0) return LastError();
  return {};
}

Status Shutdown(int fd, int how) {
  if (::shutdown(fd, how) != 0) return LastError();
  return {};
}

Result<UnixAddress> LocalAddress(int fd) { return AskAddress(::getsockname, fd); }

Result<UnixAddress> PeerAddress(int fd) { return AskAddress(::getpeername, fd); }

Result<int> GetIntOption(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof(value);
  if (::getsockopt(fd, level, name, &value, &length) != 0) return LastError();
  return value;
}

Status SetIntOption(int fd, int level, int name, int value) {
  if (::setsockopt(fd, level, name, &value, sizeof(value)) != 0) return LastError();
  return {};
}

Result<size_t> GetOption(int fd, int level, int name, std::span<std::byte> value) {
  auto length = static_cast<socklen_t>(value.size());
  if (::getsockopt(fd, level, name, value.data(), &length) != 0) return LastError();
  return static_cast<size_t>(length);
}

Result<size_t> OptionSize(int fd, int level, int name) {
  socklen_t length = 0;
  if (::getsockopt(fd, level, name, nullptr, &length) != 0 && errno != ERANGE) return LastError();
  return static_cast<size_t>(length);
}

Result<size_t> PollNow(int fd, short events) {
  pollfd polled{.fd = fd, .events = events, .revents = 0};
  if (::poll(&polled, 1, 0) < 0) return LastError();
  return static_cast<size_t>(polled.revents);
}

Status SetOption(int fd, int level, int name, std::span<const std::byte> value) {
  const auto length = static_cast<socklen_t>(value.size());
  if (::setsockopt(fd, level, name, value.data(), length) != 0) return LastError();
  return {};
}

Status MakeNonBlockingCloseOnExec(int fd) {
  if (auto done = SetCloseOnExec(fd); !done.ok()) return done;

  const int status_flags = ::fcntl(fd, F_GETFL);
  if (status_flags < 0) return LastError();
  if (::fcntl(fd, F_SETFL, status_flags | O_NONBLOCK) != 0) return LastError();
  return {};
}

Result<SocketKind> DescribeSocket(int fd) {
  const Result<int> domain = GetIntOption(fd, SOL_SOCKET, SO_DOMAIN);
  if (!domain.ok()) return domain.error();
  if (domain.value() != AF_UNIX) return Error{EAFNOSUPPORT};

  const Result<int> type = GetIntOption(fd, SOL_SOCKET, SO_TYPE);
  if (!type.ok()) return type.error();
  const Result<int> listening = GetIntOption(fd, SOL_SOCKET, SO_ACCEPTCONN);
  if (!listening.ok()) return listening.error();
  return SocketKind{.type = type.value(), .listening = listening.value() != 0};
}

Result<size_t> UnreadByPeer(int fd) { return AskQueue(fd, SIOCOUTQ); }

Result<size_t> Unread(int fd) { return AskQueue(fd, SIOCINQ); }

bool WasEndOfInput(int fd) {
  pollfd look{.fd = fd, .events = POLLRDHUP, .revents = 0};
  if (::poll(&look, 1, 0) != 1 || (look.revents & POLLRDHUP) == 0) return false;
  const Result<size_t> queued = Unread(fd);
  return !queued.ok() || queued.value() == 0;
}

Result<size_t> LongestMessage(int fd) {
  const Result<int> buffer = GetIntOption(fd, SOL_SOCKET, SO_SNDBUF);
  if (!buffer.ok()) return buffer.error();
  return static_cast<size_t>(std::max(buffer.value() - kKeptBySender, 0));
}

Status AllowMessage(int fd, size_t size) {
  // The kernel doubles what it is given (socket(7)).
  const size_t half = (size + kKeptBySender + 1) / 2;
  return SetIntOption(fd, SOL_SOCKET, SO_SNDBUF,
                      static_cast<int>(std::min(half, size_t{INT_MAX / 2})));
}

}  // namespace afunix::posix
