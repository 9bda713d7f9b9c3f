#include "posix/message.h"

namespace afunix::posix {
namespace {

// The C libraries disagree about the types of msghdr's members and about const; both are settled
// here. The kernel writes through neither pointer when sending.
msghdr MakeHeader(std::span<const iovec> parts, const std::byte* control, size_t control_size) {
  msghdr header{};
  header.msg_iov = const_cast<iovec*>(parts.data());
  header.msg_iovlen = static_cast<decltype(header.msg_iovlen)>(parts.size());
  header.msg_control = control_size == 0 ? nullptr : const_cast<std::byte*>(control);
  header.msg_controllen = static_cast<decltype(header.msg_controllen)>(control_size);
  return header;
}

}  // namespace

Result<size_t> Send(int fd, std::span<const std::byte> bytes, int flags) {
  const ssize_t sent = RetryInterrupted(
      [&] { return ::send(fd, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL); });
  if (sent < 0) return LastError();
  return static_cast<size_t>(sent);
}

Result<size_t> Receive(int fd, std::span<std::byte> buffer, int flags) {
  const ssize_t received =
      RetryInterrupted([&] { return ::recv(fd, buffer.data(), buffer.size(), flags); });
  if (received < 0) return LastError();
  return static_cast<size_t>(received);
}

Result<size_t> SendMessage(int fd, std::span<const iovec> parts, std::span<const std::byte> control,
                           int flags) {
  const msghdr header = MakeHeader(parts, control.data(), control.size());
  const ssize_t sent =
      RetryInterrupted([&] { return ::sendmsg(fd, &header, flags | MSG_NOSIGNAL); });
  if (sent < 0) return LastError();
  return static_cast<size_t>(sent);
}

Result<Received> ReceiveMessage(int fd, std::span<const iovec> parts, std::span<std::byte> control,
                                int flags) {
  msghdr header = MakeHeader(parts, control.data(), control.size());
  const ssize_t received =
      RetryInterrupted([&] { return ::recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC); });
  if (received < 0) return LastError();
  return Received{
      .bytes = static_cast<size_t>(received),
      .control_bytes = static_cast<size_t>(header.msg_controllen),
      .truncated = (header.msg_flags & MSG_TRUNC) != 0,
      .control_truncated = (header.msg_flags & MSG_CTRUNC) != 0,
  };
}

Result<size_t> SendMessages(int fd, std::span<mmsghdr> messages, int flags) {
  const int sent = RetryInterrupted([&] {
    return ::sendmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()),
                      flags | MSG_NOSIGNAL);
  });
  if (sent < 0) return LastError();
  return static_cast<size_t>(sent);
}

Result<size_t> ReceiveMessages(int fd, std::span<mmsghdr> messages, int flags) {
  const int received = RetryInterrupted([&] {
    return ::recvmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()),
                      flags | MSG_CMSG_CLOEXEC, nullptr);
  });
  if (received < 0) return LastError();
  return static_cast<size_t>(received);
}

}  // namespace afunix::posix
