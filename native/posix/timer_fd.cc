#include "posix/timer_fd.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

namespace afunix::posix {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

Result<TimerFd> TimerFd::Open() {
  Fd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.valid()) return LastError();
  return TimerFd(std::move(fd));
}

Status TimerFd::ArmAt(int64_t nanoseconds) const {
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(nanoseconds / kNanosecondsPerSecond);
  when.it_value.tv_nsec = static_cast<long>(nanoseconds % kNanosecondsPerSecond);
  if (::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) return LastError();
  return {};
}

// EAGAIN says that it has not fired, which is what was wanted.
void TimerFd::Drain() const {
  uint64_t expirations = 0;
  [[maybe_unused]] const ssize_t got =
      RetryInterrupted([&] { return ::read(fd_.get(), &expirations, sizeof(expirations)); });
}

int64_t MonotonicNow() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * kNanosecondsPerSecond + now.tv_nsec;
}

void Pause(int64_t nanoseconds) {
  constexpr int64_t kSecond = 1'000'000'000;
  const timespec pause{.tv_sec = static_cast<time_t>(nanoseconds / kSecond),
                       .tv_nsec = static_cast<long>(nanoseconds % kSecond)};
  ::nanosleep(&pause, nullptr);
}

}  // namespace afunix::posix
