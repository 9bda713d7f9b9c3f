// Fd: the one owner of a descriptor.
#pragma once

#include <sys/types.h>

#include <utility>

#include "posix/result.h"

namespace afunix::posix {

class Fd {
 public:
  Fd() = default;
  // Takes ownership of `fd`; -1 is "none", 0 is a descriptor like any other.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  // Gives the descriptor up; the caller owns it now.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  // Closes what is held (errno is kept as it was) and holds `fd` instead.
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// A second descriptor for the same open file description, close-on-exec.
[[nodiscard]] Result<Fd> Duplicate(int fd);

// Programs that are executed do not get it.
[[nodiscard]] Status SetCloseOnExec(int fd);

// EBADF if `fd` is no descriptor.
[[nodiscard]] Status CheckOpen(int fd);

// Which socket, pipe or file it is: a descriptor's number may come to be another's, this not while
// it is open.
struct FileIdentity {
  dev_t device;
  ino_t inode;

  bool operator==(const FileIdentity&) const = default;
};

// EBADF if `fd` is no descriptor.
[[nodiscard]] Result<FileIdentity> IdentityOf(int fd);

}  // namespace afunix::posix
