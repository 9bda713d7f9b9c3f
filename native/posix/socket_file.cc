#include "posix/socket_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "posix/file_lock.h"

namespace afunix::posix {
namespace {

// How long a starter may keep us waiting at the end, in nanoseconds.
constexpr int64_t kPatience = 1'000'000'000;

}  // namespace

SocketFile& SocketFile::operator=(SocketFile&& other) noexcept {
  path_ = std::exchange(other.path_, {});
  origin_ = std::exchange(other.origin_, {});
  device_ = other.device_;
  inode_ = other.inode_;
  uid_ = other.uid_;
  is_socket_ = other.is_socket_;
  under_lock_ = other.under_lock_;
  return *this;
}

Result<std::shared_ptr<const WorkingDirectory>> SocketFile::Origin(std::string_view path) {
  if (!IsRelative(path)) return std::shared_ptr<const WorkingDirectory>();
  return WorkingDirectory::Hold();
}

Result<SocketFile> SocketFile::Remember(std::string path,
                                        std::shared_ptr<const WorkingDirectory> origin) {
  SocketFile file;
  file.origin_ = std::move(origin);
  struct stat status {};
  if (::fstatat(file.From(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return LastError();
  file.path_ = std::move(path);
  file.device_ = status.st_dev;
  file.inode_ = status.st_ino;
  file.uid_ = status.st_uid;
  file.is_socket_ = S_ISSOCK(status.st_mode);
  return file;
}

Status SocketFile::AddMode(mode_t bits) const { return ChangeMode(07777, bits); }

Status SocketFile::SetMode(mode_t bits) const { return ChangeMode(0, bits); }

int SocketFile::From() const { return origin_ ? origin_->fd() : AT_FDCWD; }

Result<Fd> SocketFile::Pin(struct stat& status) const {
  Fd pinned(::openat(From(), path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!pinned.valid()) return LastError();
  if (::fstat(pinned.get(), &status) != 0) return LastError();
  if (status.st_dev != device_ || status.st_ino != inode_) return Error{ENOENT};
  return pinned;
}

Status SocketFile::ChangeMode(mode_t keep, mode_t bits) const {
  // chmod(2) by path would follow a symbolic link that took the file's place in the meantime. An
  // O_PATH descriptor pins what we looked at; fchmod(2) refuses those, the path through /proc
  // works.
  struct stat status {};
  const auto pinned = Pin(status);
  if (!pinned.ok()) return pinned.error();
  const mode_t mode = (status.st_mode & keep) | bits;
  if (mode == (status.st_mode & 07777)) return {};
  const std::string through = "/proc/self/fd/" + std::to_string(pinned.value().get());
  if (::chmod(through.c_str(), mode) != 0) return LastError();
  return {};
}

Status SocketFile::SetOwner(uid_t uid, gid_t gid) const {
  if (uid == static_cast<uid_t>(-1) && gid == static_cast<gid_t>(-1)) return {};
  struct stat status {};
  const auto pinned = Pin(status);
  if (!pinned.ok()) return pinned.error();
  if (::fchownat(pinned.value().get(), "", uid, gid, AT_EMPTY_PATH) != 0) return LastError();
  return {};
}

void SocketFile::Remove() {
  const std::string path = std::exchange(path_, {});
  if (path.empty()) return;
  const int from = From();
  // Outlives the lock.
  const auto origin = std::exchange(origin_, {});
  Result<FileLock> lock =
      under_lock_ ? FileLock::Acquire(path + ".lock", kPatience, from) : FileLock();
  // Whoever has the lock for so long takes care of the file. Where there can be no lock it goes
  // without.
  if (lock.error().code == EBUSY) return;
  struct stat status {};
  if (::fstatat(from, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (status.st_dev != device_ || status.st_ino != inode_) return;
  ::unlinkat(from, path.c_str(), 0);
}

}  // namespace afunix::posix
