// TimerFd: a one-shot monotonic timer that can be polled. timerfd_create(2).
#pragma once

#include <cstdint>

#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

class TimerFd {
 public:
  TimerFd() = default;
  [[nodiscard]] static Result<TimerFd> Open();
  // Fires once when CLOCK_MONOTONIC reaches `nanoseconds`; 0 disarms.
  [[nodiscard]] Status ArmAt(int64_t nanoseconds) const;
  void Drain() const;
  [[nodiscard]] int descriptor() const { return fd_.get(); }

 private:
  explicit TimerFd(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] int64_t MonotonicNow();

// Keeps the thread waiting for so many nanoseconds, or until a signal comes.
void Pause(int64_t nanoseconds);

}  // namespace afunix::posix
