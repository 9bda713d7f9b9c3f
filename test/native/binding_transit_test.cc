// Descriptors on their way between threads: arrived once, or closed once.
#include "binding/transit.h"

#include <fcntl.h>

#include <array>
#include <thread>

#include "check.h"
#include "posix/fd.h"
#include "support.h"

namespace afunix::binding {
namespace {

using test::IsOpen;

// One that is on its way, and its ticket.
struct Sent {
  Transit::Key ticket;
  int fd;
};

Sent Send(Transit& transit, Transit::Key keeper) {
  posix::Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Transit::Key ticket = transit.NewKey();
  CHECK_OK(transit.Add(ticket, fd.get(), keeper, Transit::Stage::kUnposted));
  return {ticket, fd.Release()};
}

TEST("it arrives once") {
  Transit transit;
  const Sent sent = Send(transit, transit.NewKey());
  transit.SetPosted(sent.ticket);
  {
    const posix::Fd arrived = transit.Take(sent.ticket);
    CHECK_EQ(arrived.get(), sent.fd);
    CHECK(!transit.Take(sent.ticket).valid());
  }
  CHECK(!IsOpen(sent.fd));
}

TEST("a ticket of another table is good for nothing here") {
  Transit ours;
  Transit theirs;
  const Sent sent = Send(theirs, theirs.NewKey());
  CHECK(sent.ticket < int64_t{1} << 53);
  CHECK(!ours.Take(sent.ticket).valid());
  CHECK(theirs.Take(sent.ticket).valid());
}

TEST("what an environment has not posted ends with it; what it has posted goes on") {
  Transit transit;
  const Transit::Key keeper = transit.NewKey();
  const Sent kept = Send(transit, keeper);
  const Sent posted = Send(transit, keeper);
  transit.SetPosted(posted.ticket);
  const Sent other = Send(transit, transit.NewKey());
  transit.End(keeper);
  CHECK(!IsOpen(kept.fd));
  CHECK(IsOpen(posted.fd));
  CHECK(IsOpen(other.fd));
  CHECK(transit.Take(posted.ticket).valid());
  CHECK(transit.Take(other.ticket).valid());
}

TEST("what is for somebody ends with him, and with who knows of him") {
  Transit transit;
  const Transit::Key keeper = transit.NewKey();
  const Transit::Key recipient = transit.NewKey();
  const std::array<Sent, 3> sent = {Send(transit, keeper), Send(transit, keeper),
                                    Send(transit, keeper)};
  for (const Sent& one : sent) transit.SetPosted(one.ticket);
  CHECK_OK(transit.SetRecipient(sent[0].ticket, keeper, recipient));
  CHECK_OK(transit.SetRecipient(sent[1].ticket, keeper, transit.NewKey()));
  transit.End(recipient);
  CHECK(!IsOpen(sent[0].fd));
  CHECK(IsOpen(sent[1].fd));
  transit.End(keeper);
  CHECK(!IsOpen(sent[1].fd));
  CHECK(transit.Take(sent[2].ticket).valid());
  CHECK_ERROR(transit.SetRecipient(sent[2].ticket, keeper, recipient), EBADF);
}

TEST("only what was not posted is closed when its sender forgets it") {
  Transit transit;
  const Sent kept = Send(transit, transit.NewKey());
  const Sent posted = Send(transit, transit.NewKey());
  transit.SetPosted(posted.ticket);
  CHECK(transit.CloseUnposted(kept.ticket));
  CHECK(!transit.CloseUnposted(posted.ticket));
  CHECK(!IsOpen(kept.fd));
  CHECK(transit.Take(posted.ticket).valid());
}

TEST("what came back from where it could not be used stays there, whatever its sender forgets") {
  Transit transit;
  const Sent sent = Send(transit, transit.NewKey());
  transit.SetPosted(sent.ticket);
  const Transit::Key keeper = transit.NewKey();
  const int fd = transit.Take(sent.ticket).Release();
  REQUIRE_OK(transit.Add(sent.ticket, fd, keeper, Transit::Stage::kReturned));
  CHECK(!transit.CloseUnposted(sent.ticket));
  CHECK(IsOpen(fd));
  transit.End(keeper);
  CHECK(!IsOpen(fd));
}

TEST("a number that somebody has closed meanwhile, and somebody else has got, is left alone") {
  Transit transit;
  const Transit::Key keeper = transit.NewKey();
  const Sent sent = Send(transit, keeper);
  posix::Fd(sent.fd).Reset();
  CHECK(!transit.Take(sent.ticket).valid());

  const Sent again = Send(transit, keeper);
  posix::Fd(again.fd).Reset();
  const posix::Fd others(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE_EQ(others.get(), again.fd);
  transit.End(keeper);
  CHECK(IsOpen(others.get()));
}

TEST("of two threads that want the same, one has it") {
  Transit transit;
  for (int round = 0; round < 200; ++round) {
    const Sent sent = Send(transit, transit.NewKey());
    const Transit::Key recipient = transit.NewKey();
    REQUIRE_OK(transit.SetRecipient(sent.ticket, transit.NewKey(), recipient));
    posix::Fd taken;
    std::thread receives([&] { taken = transit.Take(sent.ticket); });
    transit.End(recipient);
    receives.join();
    REQUIRE_EQ(IsOpen(sent.fd), taken.valid());
  }
}

}  // namespace
}  // namespace afunix::binding
