// Control messages: a writer that lays them out, and a reader that owns every descriptor it
// received. cmsg(3), SCM_RIGHTS and SCM_CREDENTIALS in unix(7).
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "posix/credentials.h"
#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

// The kernel's SCM_MAX_FD: more descriptors in one message are refused with EINVAL.
inline constexpr size_t kMaximumDescriptors = 253;

class AncillaryWriter {
 public:
  // Descriptors stay the caller's: the kernel duplicates them into the message. EINVAL over 253.
  [[nodiscard]] Status AddDescriptors(std::span<const int> descriptors);
  // The kernel checks them against the sender's own (EPERM).
  void AddCredentials(const Credentials& credentials);

  [[nodiscard]] std::span<const std::byte> bytes() const { return buffer_; }

 private:
  void Append(int type, const void* data, size_t size);
  std::vector<std::byte> buffer_;
};

// Nobody can send descriptors to `fd` any more: sendmsg(2) fails with EPERM at the sender. Accepted
// sockets inherit it from their listener. Linux 6.16; ENOPROTOOPT before.
[[nodiscard]] Status RefuseDescriptors(int fd);

// Room for the descriptors of one message, for credentials and for a pidfd, whether or not they are
// asked for.
inline constexpr size_t kControlSize = CMSG_SPACE(kMaximumDescriptors * sizeof(int)) +
                                       CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int));

// Memory for control messages of at most `descriptors` descriptors (and credentials and a pidfd if
// asked for). Its size is CMSG_LEN of the last part and not CMSG_SPACE: the padding would admit one
// descriptor more when the number is odd. Where there is room for a pidfd, too many descriptors can
// take that instead, and come: look how many there are.
[[nodiscard]] size_t ControlBufferSize(size_t descriptors, bool credentials, bool pidfd = false);

// Walks received control messages once; owns the descriptors among them and closes what nobody
// took.
class AncillaryReader {
 public:
  explicit AncillaryReader(std::span<const std::byte> control);

  [[nodiscard]] const std::vector<Fd>& descriptors() const { return descriptors_; }
  [[nodiscard]] std::vector<Fd> TakeDescriptors() { return std::move(descriptors_); }
  [[nodiscard]] const std::optional<Credentials>& credentials() const { return credentials_; }
  // The sender's process (SCM_PIDFD), not one of the descriptors; to be taken once. ENODATA if none
  // came; ESRCH if the process was gone, EMFILE if there was no room for it.
  [[nodiscard]] Result<Fd> TakePidFd() { return std::exchange(pidfd_, Error{ENODATA}); }
  // The same as credentials(); ENODATA if the message came without.
  [[nodiscard]] Result<Credentials> WhoSent() const {
    if (!credentials_) return Error{ENODATA};
    return *credentials_;
  }

 private:
  std::vector<Fd> descriptors_;
  std::optional<Credentials> credentials_;
  Result<Fd> pidfd_ = Error{ENODATA};
};

}  // namespace afunix::posix
