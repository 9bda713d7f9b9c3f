#include "posix/epoll.h"

namespace afunix::posix {
namespace {

Status Control(int set, int operation, int fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (::epoll_ctl(set, operation, fd, &event) != 0) return LastError();
  return {};
}

}  // namespace

Result<EpollSet> EpollSet::Open() {
  Fd fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) return LastError();
  return EpollSet(std::move(fd));
}

Status EpollSet::Add(int fd, uint32_t events, uint64_t tag) {
  return Control(fd_.get(), EPOLL_CTL_ADD, fd, events, tag);
}

Status EpollSet::Modify(int fd, uint32_t events, uint64_t tag) {
  return Control(fd_.get(), EPOLL_CTL_MOD, fd, events, tag);
}

Status EpollSet::Remove(int fd) { return Control(fd_.get(), EPOLL_CTL_DEL, fd, 0, 0); }

size_t EpollSet::Poll(std::span<epoll_event> events) { return Wait(events, 0); }

size_t EpollSet::Wait(std::span<epoll_event> events, int timeout_ms) {
  const int ready =
      ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  return ready < 0 ? 0 : static_cast<size_t>(ready);
}

}  // namespace afunix::posix
