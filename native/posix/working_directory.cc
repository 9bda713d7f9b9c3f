#include "posix/working_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "posix/socket.h"
#include "posix/unix_address.h"

namespace afunix::posix {

Result<std::shared_ptr<const WorkingDirectory>> WorkingDirectory::Hold() {
  Fd fd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return LastError();
  return std::shared_ptr<const WorkingDirectory>(new WorkingDirectory(std::move(fd)));
}

bool WorkingDirectory::IsCurrent() const {
  struct stat held {};
  struct stat current {};
  return ::fstat(fd_.get(), &held) == 0 && ::stat(".", &current) == 0 &&
         held.st_dev == current.st_dev && held.st_ino == current.st_ino;
}

Status WorkingDirectory::Connect(int fd, const std::string& path) const {
  // The file itself, as the way to it from /proc may be longer than an address.
  const Fd file(::openat(fd_.get(), path.c_str(), O_PATH | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == EMFILE || errno == ENFILE) return Error{EAGAIN};
    return LastError();
  }
  const auto through = UnixAddress::Pathname("/proc/self/fd/" + std::to_string(file.get()));
  if (!through.ok()) return through.error();
  auto connected = posix::Connect(fd, through.value());
  // Where there is no /proc.
  if (connected.error().code == ENOENT && IsCurrent()) {
    const auto address = UnixAddress::Pathname(path);
    if (!address.ok()) return address.error();
    connected = posix::Connect(fd, address.value());
  }
  return connected;
}

}  // namespace afunix::posix
