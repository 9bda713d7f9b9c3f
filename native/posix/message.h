// sendmsg(2), recvmsg(2) and their batched forms. Truncation is part of what is returned.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <span>

#include "posix/result.h"

namespace afunix::posix {

struct Received {
  // Bytes placed in the buffers, or the message's full length if MSG_TRUNC was passed in `flags`.
  size_t bytes = 0;
  // Bytes of control messages placed in `control`.
  size_t control_bytes = 0;
  // A SEQPACKET message was longer than the buffers; its tail is gone for ever.
  bool truncated = false;
  // Control messages did not fit, or the descriptor table was full: what did arrive must be closed.
  bool control_truncated = false;
};

// Plain bytes in and out of one buffer. Descriptors that come with them are dropped by the kernel.
[[nodiscard]] Result<size_t> Send(int fd, std::span<const std::byte> bytes, int flags = 0);
[[nodiscard]] Result<size_t> Receive(int fd, std::span<std::byte> buffer, int flags = 0);

// At most IOV_MAX parts. MSG_NOSIGNAL always; returns the bytes the kernel took.
[[nodiscard]] Result<size_t> SendMessage(int fd, std::span<const iovec> parts,
                                         std::span<const std::byte> control = {}, int flags = 0);

// MSG_CMSG_CLOEXEC always. `control` may be empty: then control messages are dropped, and
// `control_truncated` tells that there were some.
[[nodiscard]] Result<Received> ReceiveMessage(int fd, std::span<const iovec> parts,
                                              std::span<std::byte> control = {}, int flags = 0);

// Many messages, one system call. Returns how many went or came; an error only if the first one
// failed. The caller fills the mmsghdr array; recvmmsg's timeout is never used (BUGS in
// recvmmsg(2)). At end of input recvmmsg fills every remaining slot with length 0: stop at the
// first.
[[nodiscard]] Result<size_t> SendMessages(int fd, std::span<mmsghdr> messages, int flags = 0);
[[nodiscard]] Result<size_t> ReceiveMessages(int fd, std::span<mmsghdr> messages, int flags = 0);

}  // namespace afunix::posix
