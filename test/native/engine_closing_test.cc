// A descriptor's number is somebody else's the moment it is closed. This program's close(2) gives
// it away at once, as another thread may that opens a socket just then: nothing that the engine
// asked for may strike the next owner.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace {

// The number that is watched for, and who shall have it next.
int awaited = -1;
int heir = -1;
bool given = false;

}  // namespace

// The C library's own names for the parameters are reserved ones.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" int close(int fd) {
  const auto outcome = static_cast<int>(::syscall(SYS_close, fd));
  if (fd >= 0 && fd == awaited) {
    given = ::syscall(SYS_dup3, heir, fd, O_CLOEXEC) == fd;
    awaited = -1;
  }
  return outcome;
}

namespace afunix::engine {
namespace {

using posix::Fd;
using posix::SocketType;
using posix::UnixAddress;
using test::Bytes;
using test::EngineRig;
using Kind = CompletionKind;

// Whose number it becomes: `reader` has bytes, and `listener` somebody who waits to be accepted.
struct Stranger {
  static Stranger OfBytes(SocketType type) {
    auto pair = posix::SocketPair(type).value();
    CHECK_EQ(posix::Send(pair[1].get(), Bytes("not yours")).value(), 9u);
    return {std::move(pair[0]), std::move(pair[1])};
  }
  static Stranger OfClient() {
    test::Listening listening = test::MakeListener(SocketType::kStream);
    Fd client = posix::OpenSocket(SocketType::kStream).value();
    CHECK_OK(posix::Connect(client.get(), listening.address));
    return {std::move(listening.fd), std::move(client)};
  }

  // From here on, once.
  void Inherits(int fd) const {
    awaited = fd;
    heir = own.get();
    given = false;
  }

  Fd own;
  Fd other;
};

// Carried out in one flush, as when a callback asks for all of it.
void InOneFlush(EngineRig& rig, int32_t handle, std::vector<SubmissionKind> kinds) {
  std::vector<Submission> submissions;
  submissions.reserve(kinds.size());
  for (const SubmissionKind kind : kinds) {
    submissions.push_back({handle, static_cast<int32_t>(kind), 0, 0});
  }
  rig.engine().Submit(submissions, false);
}

std::string Rest(const Fd& fd) {
  std::array<std::byte, 100> buffer;
  const auto received = posix::Receive(fd.get(), buffer);
  return received.ok() ? std::string(test::Text(std::span(buffer).first(received.value()))) : "";
}

TEST("who reads on and closes in one flush takes nothing from whoever gets the number") {
  for (const bool attended : {false, true}) {
    for (const bool directly : {false, true}) {
      for (const auto type : {SocketType::kStream, SocketType::kSeqpacket}) {
        EngineRig rig;
        auto [handle, peer] = type == SocketType::kStream ? rig.Make() : rig.MakeMessages();
        rig.Settle();
        if (directly) rig.ReadIntoTarget(handle, kReadSize);
        const auto stranger = Stranger::OfBytes(type);
        const int fd = rig.engine().DescriptorOf(handle);
        stranger.Inherits(fd);
        const auto close = [&, id = handle] {
          InOneFlush(rig, id, {SubmissionKind::kReadStart, SubmissionKind::kClose});
        };
        if (attended) {
          (void)rig.Look(3, [&](int look) {
            if (look == 1) close();
          });
        } else {
          close();
        }
        CHECK(given);
        CHECK(rig.RunUntil([&, id = handle] { return rig.Count(id, Kind::kClosed) == 1; }));
        rig.Settle();
        CHECK_EQ(Rest(stranger.own), "not yours");
        ::close(fd);
      }
    }
  }
}

TEST("what is closed as soon as it was accepted takes nothing from whoever gets the number") {
  EngineRig rig;
  const UnixAddress address = UnixAddress::Abstract(test::UniqueName()).value();
  const int32_t listener = rig.engine().Listen(address, {}).value();
  for (int i = 0; i < 20; ++i) {
    const Fd client = posix::OpenSocket(SocketType::kStream).value();
    CHECK_OK(posix::Connect(client.get(), address));
    const int32_t handle = rig.Await(listener, Kind::kAccepted).result;
    const auto stranger = Stranger::OfBytes(SocketType::kStream);
    const int fd = rig.engine().DescriptorOf(handle);
    stranger.Inherits(fd);
    (void)rig.Look(3, [&](int look) {
      if (look == 1) {
        InOneFlush(rig, handle, {SubmissionKind::kReadStart, SubmissionKind::kClose});
      }
    });
    CHECK(given);
    CHECK(rig.RunUntil([&] { return rig.Take(handle, Kind::kClosed).has_value(); }));
    CHECK_EQ(Rest(stranger.own), "not yours");
    ::close(fd);
  }
}

TEST(
    "a listener that is closed while it is to accept on takes nobody from the next at its number") {
  for (const bool shared : {false, true}) {
    EngineRig rig;
    const UnixAddress address = UnixAddress::Abstract(test::UniqueName()).value();
    const auto stranger = Stranger::OfClient();
    int fd = -1;
    (void)rig.Look(3, [&](int look) {
      if (look != 1) return;
      // While somebody looks, what is asked for is handed over with the next look.
      int32_t listener = -1;
      if (shared) {
        test::Listening listening = test::MakeListener();
        listener = rig.engine().AdoptListener(std::move(listening.fd), 1).value();
      } else {
        listener = rig.engine().Listen(address, {}).value();
      }
      fd = rig.engine().DescriptorOf(listener);
      stranger.Inherits(fd);
      CHECK_EQ(rig.Close(listener), 0);
    });
    CHECK(given);
    rig.Settle();
    CHECK_OK(posix::Accept(stranger.own.get()));
    ::close(fd);
  }
}

TEST(
    "a socket that is given away while it waits for room or bytes is read by nobody but its "
    "owner") {
  EngineRig rig;
  std::vector<std::byte> unread;
  (void)rig.Look(3, [&](int look) {
    if (look != 1) return;
    auto pair = posix::SocketPair(SocketType::kStream).value();
    const int32_t handle = rig.engine().Adopt(std::move(pair[0])).value();
    rig.ReadStart(handle);
    auto detached = rig.engine().Detach(handle, unread);
    REQUIRE_OK(detached);
    CHECK_EQ(posix::Send(pair[1].get(), Bytes("for its owner")).value(), 13u);
    // The engine asks the kernel on.
    InOneFlush(rig, handle, {});
    auto other = rig.Make(EngineRig::Origin::kAdopted);
    rig.ReadStart(other.handle);
    CHECK_EQ(Rest(detached.value()), "for its owner");
  });
  rig.Settle();
  CHECK(unread.empty());
}

TEST("a writer that waits for room and is closed asks nothing about the next at its number") {
  EngineRig rig;
  auto [handle, peer] = rig.Make();
  const auto stranger = Stranger::OfBytes(SocketType::kStream);
  const int fd = rig.engine().DescriptorOf(handle);
  stranger.Inherits(fd);
  (void)rig.Look(3, [&, id = handle](int look) {
    if (look != 1) return;
    CHECK_EQ(rig.WritePayload(id, {test::Pattern(4 << 20)}), kPending);
    CHECK_EQ(rig.Close(id), 0);
  });
  CHECK(given);
  CHECK(rig.RunUntil([&, id = handle] { return rig.Count(id, Kind::kClosed) == 1; }));
  CHECK_EQ(Rest(stranger.own), "not yours");
  ::close(fd);
}

}  // namespace
}  // namespace afunix::engine
