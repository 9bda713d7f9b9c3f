// FileLock: one process at a time, by flock(2) on a file that exists only as long as somebody holds
// or awaits it.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <string>
#include <utility>

#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        directory_(other.directory_),
        fd_(std::move(other.fd_)) {}
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() { Release(); }

  // Makes the file `path`, mode 0600, or takes the one that is there, and locks it. Waits up to
  // `patience` nanoseconds, then EBUSY. EPERM: the file is not a regular one, or not this user's.
  // ELOOP: it is a symbolic link. What open(2) says. A relative path begins in `directory`, which
  // has to stay open as long as the lock is held.
  [[nodiscard]] static Result<FileLock> Acquire(const std::string& path, int64_t patience,
                                                int directory = AT_FDCWD);

  // Removes the file and lets the next one in. Nothing happens if there is no lock.
  void Release();

 private:
  std::string path_;
  int directory_ = AT_FDCWD;
  Fd fd_;
};

}  // namespace afunix::posix
