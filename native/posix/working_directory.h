// WorkingDirectory: the one of the moment, held, so that a relative path goes on leading to the
// same place whatever chdir(2) comes later.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

// A path that begins where the process is.
[[nodiscard]] inline bool IsRelative(std::string_view path) {
  return !path.empty() && path.front() != '/';
}

class WorkingDirectory {
 public:
  // EMFILE, and what else open(2) says.
  [[nodiscard]] static Result<std::shared_ptr<const WorkingDirectory>> Hold();

  // The process is still in it.
  [[nodiscard]] bool IsCurrent() const;

  // connect(2) to the relative `path`, of any length that an address has room for, seen from here.
  // EAGAIN: no room in the backlog, or no descriptor for the way there.
  [[nodiscard]] Status Connect(int fd, const std::string& path) const;

  // For openat(2) and the like.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit WorkingDirectory(Fd fd) : fd_(std::move(fd)) {}

  Fd fd_;
};

}  // namespace afunix::posix
