#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "check.h"
#include "posix/fd.h"
#include "posix/result.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::posix {
namespace {

using test::IsOpen;

Fd OpenNull() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST("an Fd that was given nothing holds none") {
  const Fd none;
  CHECK(!none.valid());
  CHECK_EQ(none.get(), -1);
}

TEST("descriptor 0 is a descriptor like any other") {
  Fd zero(0);
  CHECK(zero.valid());
  CHECK_EQ(zero.Release(), 0);
}

TEST("an Fd closes its descriptor when it goes") {
  int number = -1;
  {
    const Fd fd = OpenNull();
    number = fd.get();
    CHECK(IsOpen(number));
  }
  CHECK(!IsOpen(number));
}

TEST("moving an Fd moves the ownership") {
  Fd first = OpenNull();
  const int number = first.get();
  Fd second(std::move(first));
  // That it is empty is the promise.
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
  CHECK(!first.valid());
  CHECK_EQ(second.get(), number);
  CHECK(IsOpen(number));
}

TEST("assigning to an Fd closes what it held") {
  Fd first = OpenNull();
  Fd second = OpenNull();
  const int replaced = first.get();
  const int kept = second.get();
  first = std::move(second);
  CHECK_EQ(first.get(), kept);
  CHECK(!IsOpen(replaced));
  CHECK(IsOpen(kept));
}

TEST("assigning an Fd to itself keeps it") {
  Fd fd = OpenNull();
  Fd& alias = fd;
  fd = std::move(alias);
  CHECK(fd.valid());
  CHECK(IsOpen(fd.get()));
}

TEST("a released descriptor stays open and is the caller's") {
  Fd fd = OpenNull();
  const int number = fd.Release();
  CHECK(!fd.valid());
  CHECK(IsOpen(number));
  ::close(number);
}

TEST("Reset closes, takes the new descriptor, and keeps errno as it was") {
  Fd fd = OpenNull();
  const int number = fd.get();
  // Behind its back, so that its close(2) fails and sets errno.
  ::close(number);
  errno = ENOENT;
  fd.Reset();
  CHECK_EQ(errno, ENOENT);
  CHECK(!fd.valid());
  fd.Reset();
  CHECK(!fd.valid());
}

TEST("a duplicate leads to the same open file and is close-on-exec") {
  int ends[2];
  REQUIRE_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  const Result<Fd> copy = Duplicate(write_end.get());
  REQUIRE_OK(copy);
  CHECK(copy.value().get() != write_end.get());
  CHECK(test::SameFile(copy.value().get(), write_end.get()));
  CHECK_EQ(::fcntl(copy.value().get(), F_GETFD), FD_CLOEXEC);
}

TEST("a copy is the same file, and another pipe is not") {
  int ends[2];
  REQUIRE_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  REQUIRE_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd other_read_end(ends[0]);
  const Fd other_write_end(ends[1]);
  const Result<Fd> copy = Duplicate(read_end.get());
  REQUIRE_OK(copy);
  CHECK(IdentityOf(copy.value().get()).value() == IdentityOf(read_end.get()).value());
  CHECK(!(IdentityOf(other_read_end.get()).value() == IdentityOf(read_end.get()).value()));
  CHECK_ERROR(IdentityOf(-1), EBADF);
}

TEST("duplicating what is not open is EBADF") { CHECK_ERROR(Duplicate(-1), EBADF); }

TEST("a Result holds a value or an error") {
  const Result<int> value = 7;
  CHECK(value.ok());
  CHECK_EQ(value.value(), 7);
  const Result<int> error = Error{ENOENT};
  CHECK(!error.ok());
  CHECK_EQ(error.error().code, ENOENT);
  CHECK_EQ(error.error().Negative(), -ENOENT);
  CHECK(Status().ok());
  CHECK_ERROR(Status(Error{EPERM}), EPERM);
}

TEST("RetryInterrupted repeats after EINTR and passes on anything else") {
  int calls = 0;
  const int outcome = RetryInterrupted([&] {
    errno = ++calls < 3 ? EINTR : EAGAIN;
    return -1;
  });
  CHECK_EQ(outcome, -1);
  CHECK_EQ(calls, 3);
  CHECK_EQ(LastError().code, EAGAIN);
}

TEST("an open descriptor is told from one that is not") {
  Fd fd = OpenSocket(SocketType::kStream).value();
  const int number = fd.get();
  CHECK_OK(CheckOpen(number));
  fd.Reset();
  CHECK_ERROR(CheckOpen(number), EBADF);
  CHECK_ERROR(CheckOpen(-1), EBADF);
}

}  // namespace
}  // namespace afunix::posix
