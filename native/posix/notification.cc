#include "posix/notification.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "posix/ancillary.h"
#include "posix/fd.h"

namespace afunix::posix {

Status SendNotification(const UnixAddress& address, std::span<const std::byte> text,
                        std::span<const int> descriptors, int64_t patience) {
  if (text.empty()) return Error{EINVAL};
  AncillaryWriter control;
  if (!descriptors.empty()) {
    if (auto added = control.AddDescriptors(descriptors); !added.ok()) return added;
    // Before the socket below can get the number of one that is closed.
    for (const int descriptor : descriptors) {
      if (auto open = CheckOpen(descriptor); !open.ok()) return open;
    }
  }
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return LastError();
  const timeval limit{.tv_sec = static_cast<time_t>(patience / 1'000'000'000),
                      .tv_usec = static_cast<suseconds_t>(patience % 1'000'000'000 / 1000)};
  // No time at all would mean for ever.
  const bool waits = limit.tv_sec > 0 || limit.tv_usec > 0;
  if (waits && ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0) {
    return LastError();
  }
  iovec part{.iov_base = const_cast<std::byte*>(text.data()), .iov_len = text.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(address.data());
  message.msg_namelen = address.length();
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const auto bytes = control.bytes();
  if (!bytes.empty()) {
    message.msg_control = const_cast<std::byte*>(bytes.data());
    message.msg_controllen = bytes.size();
  }
  const int flags = MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT);
  if (RetryInterrupted([&] { return ::sendmsg(fd.get(), &message, flags); }) == -1) {
    return LastError();
  }
  return {};
}

}  // namespace afunix::posix
