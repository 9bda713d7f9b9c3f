#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "posix/epoll.h"
#include "posix/event_fd.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"
#include "support.h"

namespace afunix::posix {
namespace {

using test::Bytes;

constexpr int64_t kMillisecond = 1'000'000;

// The tags of what is ready now, sorted.
std::vector<uint64_t> Ready(EpollSet& set) {
  std::array<epoll_event, 16> events;
  std::vector<uint64_t> tags;
  for (const epoll_event& event : std::span(events).first(set.Poll(events))) {
    tags.push_back(event.data.u64);
  }
  std::sort(tags.begin(), tags.end());
  return tags;
}

using Tags = std::vector<uint64_t>;

TEST("a set, an eventfd and a timer are close-on-exec, the last two non-blocking") {
  const EpollSet set = EpollSet::Open().value();
  const EventFd event = EventFd::Open().value();
  const TimerFd timer = TimerFd::Open().value();
  for (const int fd : {set.descriptor(), event.descriptor(), timer.descriptor()}) {
    CHECK_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  }
  CHECK((::fcntl(event.descriptor(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(timer.descriptor(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST("what was added is reported with its tag when it is ready") {
  EpollSet set = EpollSet::Open().value();
  const auto pair = SocketPair(SocketType::kStream).value();
  constexpr uint64_t kTag = 0xfedc'ba98'7654'3210;
  REQUIRE_OK(set.Add(pair[0].get(), EPOLLIN, kTag));
  CHECK(Ready(set).empty());
  REQUIRE_OK(Send(pair[1].get(), Bytes("x")));
  CHECK(Ready(set) == Tags{kTag});
  CHECK(Ready(set) == Tags{kTag});
}

TEST("what was modified is reported by its new interest and tag") {
  EpollSet set = EpollSet::Open().value();
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(set.Add(pair[0].get(), EPOLLIN, 1));
  REQUIRE_OK(set.Modify(pair[0].get(), EPOLLOUT, 2));
  CHECK(Ready(set) == Tags{2});
  REQUIRE_OK(set.Modify(pair[0].get(), 0, 3));
  CHECK(Ready(set).empty());
}

TEST("what was removed is not reported any more") {
  EpollSet set = EpollSet::Open().value();
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(set.Add(pair[0].get(), EPOLLOUT, 1));
  REQUIRE_OK(set.Remove(pair[0].get()));
  CHECK(Ready(set).empty());
}

TEST("a closed descriptor leaves the set by itself") {
  EpollSet set = EpollSet::Open().value();
  auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(set.Add(pair[0].get(), EPOLLOUT, 1));
  pair[0].Reset();
  CHECK(Ready(set).empty());
}

TEST("adding twice is EEXIST, changing what is not there ENOENT, a regular file EPERM") {
  EpollSet set = EpollSet::Open().value();
  const auto pair = SocketPair(SocketType::kStream).value();
  CHECK_ERROR(set.Modify(pair[0].get(), EPOLLIN, 1), ENOENT);
  CHECK_ERROR(set.Remove(pair[0].get()), ENOENT);
  REQUIRE_OK(set.Add(pair[0].get(), EPOLLIN, 1));
  CHECK_ERROR(set.Add(pair[0].get(), EPOLLIN, 1), EEXIST);
  const test::TemporaryDirectory directory;
  const std::string path = directory / "file";
  const Fd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  CHECK_ERROR(set.Add(file.get(), EPOLLIN, 1), EPERM);
  CHECK_ERROR(set.Add(-1, EPOLLIN, 1), EBADF);
}

TEST("more is ready than was asked for: the rest comes with the next call") {
  EpollSet set = EpollSet::Open().value();
  std::vector<EventFd> events;
  for (uint64_t tag = 0; tag < 5; ++tag) {
    events.push_back(EventFd::Open().value());
    events.back().Signal();
    REQUIRE_OK(set.Add(events.back().descriptor(), EPOLLIN | EPOLLET, tag));
  }
  std::array<epoll_event, 3> some;
  CHECK_EQ(set.Poll(some), 3u);
  CHECK_EQ(set.Poll(some), 2u);
  CHECK_EQ(set.Poll(some), 0u);
}

TEST("a set can be polled itself, which is how a loop watches all of it") {
  EpollSet set = EpollSet::Open().value();
  const EventFd event = EventFd::Open().value();
  REQUIRE_OK(set.Add(event.descriptor(), EPOLLIN | EPOLLET, 1));
  CHECK(!test::Polls(set.descriptor(), POLLIN));
  event.Signal();
  CHECK(test::Polls(set.descriptor(), POLLIN));
  CHECK(Ready(set) == Tags{1});
  // The edge was taken: the outer poll is quiet although the eventfd was not drained.
  CHECK(!test::Polls(set.descriptor(), POLLIN));
}

TEST("waiting ends at its timeout, and earlier when something happens") {
  EpollSet set = EpollSet::Open().value();
  const EventFd event = EventFd::Open().value();
  REQUIRE_OK(set.Add(event.descriptor(), EPOLLIN, 1));
  std::array<epoll_event, 1> events;
  const int64_t start = MonotonicNow();
  CHECK_EQ(set.Wait(events, 20), 0u);
  CHECK(MonotonicNow() - start >= 19 * kMillisecond);

  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    event.Signal();
  });
  CHECK_EQ(set.Wait(events, -1), 1u);
  later.join();
}

TEST("waiting that a signal interrupts finds nothing") {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  REQUIRE_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  EpollSet set = EpollSet::Open().value();
  const pthread_t self = ::pthread_self();
  std::thread later([self] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::pthread_kill(self, SIGUSR1);
  });
  std::array<epoll_event, 1> events;
  CHECK_EQ(set.Wait(events, 10'000), 0u);
  later.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST("every signal of an eventfd is an edge, drained or not") {
  EpollSet set = EpollSet::Open().value();
  const EventFd event = EventFd::Open().value();
  REQUIRE_OK(set.Add(event.descriptor(), EPOLLIN | EPOLLET, 1));
  event.Signal();
  CHECK(Ready(set) == Tags{1});
  CHECK(Ready(set).empty());
  event.Signal();
  CHECK(Ready(set) == Tags{1});
}

TEST("a drained eventfd is quiet, and draining an empty one does no harm") {
  const EventFd event = EventFd::Open().value();
  event.Drain();
  CHECK(!test::Polls(event.descriptor(), POLLIN));
  event.Signal();
  event.Signal();
  CHECK(test::Polls(event.descriptor(), POLLIN));
  event.Drain();
  CHECK(!test::Polls(event.descriptor(), POLLIN));
}

TEST("a timer fires once, not before its time") {
  EpollSet set = EpollSet::Open().value();
  const TimerFd timer = TimerFd::Open().value();
  REQUIRE_OK(set.Add(timer.descriptor(), EPOLLIN, 1));
  const int64_t due = MonotonicNow() + 10 * kMillisecond;
  REQUIRE_OK(timer.ArmAt(due));
  std::array<epoll_event, 1> events;
  CHECK_EQ(set.Wait(events, 5'000), 1u);
  CHECK(MonotonicNow() >= due);
  timer.Drain();
  CHECK_EQ(set.Wait(events, 20), 0u);
}

TEST("a timer armed for the past fires at once") {
  const TimerFd timer = TimerFd::Open().value();
  REQUIRE_OK(timer.ArmAt(1));
  CHECK(test::Eventually([&] { return test::Polls(timer.descriptor(), POLLIN); }));
}

TEST("a timer armed again forgets its earlier time, one armed for 0 is off") {
  const TimerFd timer = TimerFd::Open().value();
  REQUIRE_OK(timer.ArmAt(1));
  REQUIRE_OK(timer.ArmAt(MonotonicNow() + 3600'000 * kMillisecond));
  CHECK(!test::Polls(timer.descriptor(), POLLIN));
  REQUIRE_OK(timer.ArmAt(1));
  REQUIRE_OK(timer.ArmAt(0));
  CHECK(!test::Polls(timer.descriptor(), POLLIN));
}

TEST("arming a timer again is a new edge, drained or not") {
  EpollSet set = EpollSet::Open().value();
  const TimerFd timer = TimerFd::Open().value();
  REQUIRE_OK(set.Add(timer.descriptor(), EPOLLIN | EPOLLET, 1));
  REQUIRE_OK(timer.ArmAt(1));
  CHECK(test::Eventually([&] { return Ready(set) == Tags{1}; }));
  CHECK(Ready(set).empty());
  REQUIRE_OK(timer.ArmAt(1));
  CHECK(test::Eventually([&] { return Ready(set) == Tags{1}; }));
}

TEST("the monotonic clock goes forward") {
  const int64_t first = MonotonicNow();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(MonotonicNow() >= first + 2 * kMillisecond);
}

TEST("a full descriptor table is EMFILE") {
  CHECK(test::InChild([] {
    const std::vector<Fd> fillers = test::FillDescriptorTable(32, 0);
    CHECK_ERROR(EpollSet::Open(), EMFILE);
    CHECK_ERROR(EventFd::Open(), EMFILE);
    CHECK_ERROR(TimerFd::Open(), EMFILE);
  }));
}

}  // namespace
}  // namespace afunix::posix
