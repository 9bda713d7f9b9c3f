#include "posix/socket_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "posix/fd.h"

namespace afunix::posix {

Result<SocketFile> SocketFile::Remember(std::string path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return LastError();
  SocketFile file;
  file.path_ = std::move(path);
  file.device_ = status.st_dev;
  file.inode_ = status.st_ino;
  return file;
}

Status SocketFile::AddMode(mode_t bits) const { return ChangeMode(07777, bits); }

Status SocketFile::SetMode(mode_t bits) const { return ChangeMode(0, bits); }

Status SocketFile::ChangeMode(mode_t keep, mode_t bits) const {
  // chmod(2) by path would follow a symbolic link that took the file's place in the meantime. An
  // O_PATH descriptor pins what we looked at; fchmod(2) refuses those, the path through /proc
  // works.
  const Fd pinned(::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!pinned.valid()) return LastError();
  struct stat status {};
  if (::fstat(pinned.get(), &status) != 0) return LastError();
  if (status.st_dev != device_ || status.st_ino != inode_) return Error{ENOENT};

  const std::string through = "/proc/self/fd/" + std::to_string(pinned.get());
  if (::chmod(through.c_str(), (status.st_mode & keep) | bits) != 0) return LastError();
  return {};
}

void SocketFile::Remove() {
  const std::string path = std::exchange(path_, {});
  if (path.empty()) return;
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (status.st_dev != device_ || status.st_ino != inode_) return;
  ::unlink(path.c_str());
}

}  // namespace afunix::posix
