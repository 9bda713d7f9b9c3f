#include "posix/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace afunix::posix {

void Fd::Reset(int fd) {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  const int saved = errno;
  // Not repeated on EINTR: the descriptor is already free, and its number may be somebody else's.
  ::close(old);
  errno = saved;
}

Status CheckOpen(int fd) {
  if (::fcntl(fd, F_GETFD) == -1) return LastError();
  return {};
}

Status SetCloseOnExec(int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0) return LastError();
  if (::fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) return LastError();
  return {};
}

Result<Fd> Duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return LastError();
  return Fd(copy);
}

Result<FileIdentity> IdentityOf(int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return LastError();
  return FileIdentity{.device = status.st_dev, .inode = status.st_ino};
}

}  // namespace afunix::posix
