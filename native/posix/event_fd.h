// EventFd: wakes whoever polls it. eventfd(2).
#pragma once

#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

class EventFd {
 public:
  EventFd() = default;
  [[nodiscard]] static Result<EventFd> Open();
  // Each call is an edge for an edge-triggered poller, whether or not the counter was drained.
  void Signal() const;
  void Drain() const;
  [[nodiscard]] int descriptor() const { return fd_.get(); }

 private:
  explicit EventFd(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace afunix::posix
