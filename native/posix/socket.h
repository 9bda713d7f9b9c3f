// One thin function per socket call. Every descriptor made here is close-on-exec and non-blocking
// from its first moment; nothing here raises SIGPIPE.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <span>

#include "posix/fd.h"
#include "posix/result.h"
#include "posix/unix_address.h"

namespace afunix::posix {

enum class SocketType : int { kStream = SOCK_STREAM, kSeqpacket = SOCK_SEQPACKET };

[[nodiscard]] Result<Fd> OpenSocket(SocketType type);
[[nodiscard]] Result<std::array<Fd, 2>> SocketPair(SocketType type);

[[nodiscard]] Status Bind(int fd, const UnixAddress& address);
[[nodiscard]] Status Listen(int fd, int backlog);

// EAGAIN: nothing is waiting. EINTR is retried; ECONNABORTED is the caller's to skip.
[[nodiscard]] Result<Fd> Accept(int listener);

// AF_UNIX connects at once or not at all: EAGAIN means that the backlog is full and that the
// connection is NOT in progress (connect(2)); polling for writability would wait for ever.
[[nodiscard]] Status Connect(int fd, const UnixAddress& address);

// `how` is SHUT_RD, SHUT_WR or SHUT_RDWR.
[[nodiscard]] Status Shutdown(int fd, int how);

[[nodiscard]] Result<UnixAddress> LocalAddress(int fd);
[[nodiscard]] Result<UnixAddress> PeerAddress(int fd);

[[nodiscard]] Result<int> GetIntOption(int fd, int level, int name);
[[nodiscard]] Status SetIntOption(int fd, int level, int name, int value);

// Options that are not an int. How many bytes the kernel filled in.
[[nodiscard]] Result<size_t> GetOption(int fd, int level, int name, std::span<std::byte> value);
// How many bytes there are of one that is longer than there was room for (ERANGE).
[[nodiscard]] Result<size_t> OptionSize(int fd, int level, int name);
[[nodiscard]] Status SetOption(int fd, int level, int name, std::span<const std::byte> value);

// Those of `events` that poll(2) tells without waiting, and POLLERR, POLLHUP and POLLNVAL; 0 for
// none.
[[nodiscard]] Result<size_t> PollNow(int fd, short events);

// Makes an inherited descriptor what ours are: non-blocking and close-on-exec.
[[nodiscard]] Status MakeNonBlockingCloseOnExec(int fd);

// Memory of what was sent on `fd` and the peer has not read, in bytes, the kernel's overhead
// included (SIOCOUTQ, unix(7)).
[[nodiscard]] Result<size_t> UnreadByPeer(int fd);

// Bytes that wait to be read (SIOCINQ, unix(7)); of SEQPACKET the sum over all messages.
[[nodiscard]] Result<size_t> Unread(int fd);

// Whether a SEQPACKET receive that brought no byte and no control message was the end of input, for
// which the kernel returns 0 as it does for an empty message. It was not while the peer can still
// send, nor while bytes are queued behind it. If only empty messages came before the end the answer
// is true as well; with SO_PASSCRED every message brings a control message, and nobody needs to
// ask.
[[nodiscard]] bool WasEndOfInput(int fd);

// The longest message that can be sent on a SOCK_SEQPACKET socket: its SO_SNDBUF without what the
// kernel keeps for itself. A longer one gives EMSGSIZE.
[[nodiscard]] Result<size_t> LongestMessage(int fd);
// Raises SO_SNDBUF so that a message of `size` bytes can be sent, or as far as net.core.wmem_max
// lets it.
[[nodiscard]] Status AllowMessage(int fd, size_t size);

// What kind of socket `fd` is, asked of the kernel. ENOTSOCK, EBADF; EAFNOSUPPORT if not AF_UNIX.
struct SocketKind {
  int type = 0;  // SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM
  bool listening = false;
};
[[nodiscard]] Result<SocketKind> DescribeSocket(int fd);

}  // namespace afunix::posix
