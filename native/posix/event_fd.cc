#include "posix/event_fd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace afunix::posix {

Result<EventFd> EventFd::Open() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return LastError();
  return EventFd(std::move(fd));
}

// Can fail only when the counter is full, after 2^64 - 2 signals: the reader is awake by then.
void EventFd::Signal() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      RetryInterrupted([&] { return ::write(fd_.get(), &one, sizeof(one)); });
}

// EAGAIN says that it was empty, which is what was wanted.
void EventFd::Drain() const {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got =
      RetryInterrupted([&] { return ::read(fd_.get(), &count, sizeof(count)); });
}

}  // namespace afunix::posix
