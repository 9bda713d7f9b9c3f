// EpollSet: one epoll instance. epoll(7).
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

class EpollSet {
 public:
  [[nodiscard]] static Result<EpollSet> Open();

  // `tag` comes back with every event. EEXIST, ENOMEM, ENOSPC (max_user_watches), EPERM.
  [[nodiscard]] Status Add(int fd, uint32_t events, uint64_t tag);
  [[nodiscard]] Status Modify(int fd, uint32_t events, uint64_t tag);
  [[nodiscard]] Status Remove(int fd);

  // Fills `events` without waiting; how many are ready. EINTR counts as none.
  [[nodiscard]] size_t Poll(std::span<epoll_event> events);
  // Waits up to `timeout_ms` milliseconds, -1 for ever.
  [[nodiscard]] size_t Wait(std::span<epoll_event> events, int timeout_ms);

  [[nodiscard]] int descriptor() const { return fd_.get(); }
  EpollSet() = default;

 private:
  explicit EpollSet(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace afunix::posix
