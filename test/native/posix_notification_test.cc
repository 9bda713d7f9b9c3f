// Datagrams to a service manager.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "check.h"
#include "posix/ancillary.h"
#include "posix/fd.h"
#include "posix/message.h"
#include "posix/notification.h"
#include "posix/socket.h"
#include "posix/unix_address.h"
#include "support.h"

namespace afunix::posix {
namespace {

constexpr int64_t kMoment = 20'000'000;

Fd ManagerAt(const UnixAddress& address) {
  Fd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  CHECK_OK(Bind(manager.get(), address));
  return manager;
}

UnixAddress FreshName() { return UnixAddress::Abstract(test::UniqueName()).value(); }

TEST("a notification arrives whole, with its descriptors") {
  const test::TemporaryDirectory directory;
  for (const UnixAddress& address :
       {FreshName(), UnixAddress::Pathname(directory / "notify").value()}) {
    const Fd manager = ManagerAt(address);
    const std::array<int, 2> given = {manager.get(), 0};
    REQUIRE_OK(SendNotification(address, test::Bytes("FDSTORE=1"), given, kMoment));
    std::array<std::byte, 100> text;
    std::array<std::byte, 200> control;
    iovec part = test::Part(std::span<std::byte>(text));
    const auto got = ReceiveMessage(manager.get(), std::span(&part, 1), control, 0);
    REQUIRE_OK(got);
    CHECK_EQ(test::Text(std::span(text).first(got.value().bytes)), "FDSTORE=1");
    const std::span<const std::byte> came(control);
    AncillaryReader reader(came.first(got.value().control_bytes));
    REQUIRE_EQ(reader.descriptors().size(), 2u);
    CHECK(test::SameFile(reader.descriptors()[0].get(), manager.get()));
  }
}

TEST("a queue that stays full is EAGAIN, at once or after a while, and nothing arrives twice") {
  const UnixAddress address = FreshName();
  const Fd manager = ManagerAt(address);
  int sent = 0;
  while (SendNotification(address, test::Bytes("X=1"), {}, 0).ok()) ++sent;
  CHECK(sent > 0);
  CHECK_ERROR(SendNotification(address, test::Bytes("X=1"), {}, 0), EAGAIN);
  CHECK_ERROR(SendNotification(address, test::Bytes("X=1"), {}, kMoment), EAGAIN);
  int received = 0;
  std::array<std::byte, 10> text;
  while (Receive(manager.get(), text).ok()) ++received;
  CHECK_EQ(received, sent);
}

TEST("what cannot be sent is an error") {
  const UnixAddress nobody = FreshName();
  CHECK_ERROR(SendNotification(nobody, test::Bytes("X=1"), {}, 0), ECONNREFUSED);
  const UnixAddress address = FreshName();
  const Fd manager = ManagerAt(address);
  CHECK_ERROR(SendNotification(address, {}, {}, 0), EINVAL);
  // The next descriptor that is opened would get this number.
  const std::array<int, 1> closed = {Fd(::dup(0)).get()};
  CHECK_ERROR(SendNotification(address, test::Bytes("X=1"), closed, 0), EBADF);
  const std::vector<int> many(254, 0);
  CHECK_ERROR(SendNotification(address, test::Bytes("X=1"), many, 0), EINVAL);
  const std::string huge(4 << 20, 'x');
  CHECK_ERROR(SendNotification(address, test::Bytes(huge), {}, 0), EMSGSIZE);
  const Fd stream = OpenSocket(SocketType::kStream).value();
  const test::TemporaryDirectory directory;
  const UnixAddress path = UnixAddress::Pathname(directory / "s").value();
  REQUIRE_OK(Bind(stream.get(), path));
  CHECK_ERROR(SendNotification(path, test::Bytes("X=1"), {}, 0), EPROTOTYPE);
}

TEST("a descriptor is made close-on-exec and stays blocking") {
  const Fd fd(::open("/dev/null", O_RDONLY));
  REQUIRE_OK(SetCloseOnExec(fd.get()));
  CHECK_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
  CHECK_EQ(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  CHECK_ERROR(SetCloseOnExec(-1), EBADF);
}

}  // namespace
}  // namespace afunix::posix
