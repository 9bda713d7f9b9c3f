#include "posix/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/timer_fd.h"

namespace afunix::posix {
namespace {

// Who holds the lock makes some ten system calls.
constexpr int64_t kPause = 500'000;

bool IsSameFile(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

Status CheckOurs(const struct stat& status) {
  // In a directory with a sticky bit anybody can have put it there.
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) return Error{EPERM};
  return {};
}

}  // namespace

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    Release();
    path_ = std::exchange(other.path_, {});
    directory_ = other.directory_;
    fd_ = std::move(other.fd_);
  }
  return *this;
}

Result<FileLock> FileLock::Acquire(const std::string& path, int64_t patience, int directory) {
  const int64_t deadline = MonotonicNow() + patience;
  for (;;) {
    // Non-blocking, for the case that somebody put a pipe there.
    Fd fd(::openat(directory, path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                   0600));
    if (!fd.valid()) return LastError();
    struct stat locked {};
    if (::fstat(fd.get(), &locked) != 0) return LastError();
    if (auto ours = CheckOurs(locked); !ours.ok()) return ours.error();
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      // Who held it before has removed the file: the lock counts only on the one that the next
      // comer finds.
      struct stat found {};
      if (::fstatat(directory, path.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
          IsSameFile(locked, found)) {
        FileLock lock;
        lock.path_ = path;
        lock.directory_ = directory;
        lock.fd_ = std::move(fd);
        return lock;
      }
    } else if (errno != EWOULDBLOCK && errno != EINTR) {
      return LastError();
    }
    if (MonotonicNow() >= deadline) return Error{EBUSY};
    Pause(kPause);
  }
}

void FileLock::Release() {
  if (!fd_.valid()) return;
  // Before the lock is given up: afterwards it may be the next one's.
  ::unlinkat(directory_, path_.c_str(), 0);
  path_.clear();
  fd_.Reset();
}

}  // namespace afunix::posix
