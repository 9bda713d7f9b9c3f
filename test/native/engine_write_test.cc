// Writing: what the kernel takes at once, what it takes later, half-closing, a peer that is gone.
#include <sys/socket.h>

#include <string>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using test::Bytes;
using test::Drain;
using test::EngineRig;
using Kind = CompletionKind;

// Writes until the kernel takes no more; what was written, its last write still pending.
std::string FillUp(EngineRig& rig, int32_t handle) {
  std::string written;
  for (;;) {
    const std::string chunk = test::Pattern(50'000);
    written += chunk;
    const int32_t outcome = rig.Write(handle, chunk);
    if (outcome == kPending) return written;
    if (outcome != 0) {
      check::Fail(__FILE__, __LINE__, "write: " + std::to_string(outcome));
      return written;
    }
  }
}

TEST("what the kernel takes at once needs no completion") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    CHECK_EQ(rig.Write(connection.handle, "hello"), 0);
    CHECK_EQ(Drain(connection.peer), "hello");
    CHECK_EQ(rig.engine().counters().bytes_written, 5u);
    rig.Settle();
    CHECK(rig.log().empty());
    CHECK(!rig.engine().KeepsAlive());
  }
}

TEST("what the kernel does not take waits, and all of it arrives in order") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    const std::string written = FillUp(rig, connection.handle);
    CHECK(rig.engine().PendingBytes(connection.handle) > 0);
    CHECK(rig.engine().KeepsAlive());
    rig.Settle();
    CHECK_EQ(rig.Count(connection.handle, Kind::kWritten), 0u);

    std::string arrived;
    CHECK(rig.RunUntil([&] {
      arrived += Drain(connection.peer);
      return arrived.size() == written.size();
    }));
    CHECK(arrived == written);
    CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, 0);
    CHECK_EQ(rig.engine().PendingBytes(connection.handle), 0u);
    CHECK(!rig.engine().KeepsAlive());
    rig.Settle();
    CHECK(rig.log().empty());
  }
}

TEST("small writes behind a waiting one join it, and one completion speaks for all") {
  EngineRig rig;
  auto connection = rig.Make();
  std::string written = FillUp(rig, connection.handle);
  for (int i = 0; i < 100; ++i) {
    const std::string more = std::to_string(i) + ";";
    CHECK_EQ(rig.Write(connection.handle, more), kPending);
    written += more;
  }
  std::string arrived;
  CHECK(rig.RunUntil([&] {
    arrived += Drain(connection.peer);
    return rig.Count(connection.handle, Kind::kWritten) > 0;
  }));
  CHECK(arrived + Drain(connection.peer) == written);
  CHECK_EQ(rig.Count(connection.handle, Kind::kWritten), 1u);
}

TEST("filling up, draining and filling up again never loses the news of room") {
  EngineRig rig;
  auto connection = rig.Make();
  for (int i = 0; i < 100; ++i) {
    const size_t size = FillUp(rig, connection.handle).size();
    size_t arrived = 0;
    CHECK(rig.RunUntil([&] {
      arrived += Drain(connection.peer).size();
      return arrived == size && rig.Count(connection.handle, Kind::kWritten) > 0;
    }));
    rig.ForgetLog();
    // With and without an unrelated look in between.
    if (i % 2 == 0) rig.Settle();
  }
}

TEST("a connection that is not pending is not woken by what its peer reads") {
  EngineRig rig;
  auto connection = rig.Make();
  (void)FillUp(rig, connection.handle);
  CHECK(rig.RunUntil([&] {
    (void)Drain(connection.peer);
    return rig.Count(connection.handle, Kind::kWritten) > 0;
  }));
  // It may be asked once more that it need not watch any longer.
  rig.Settle();
  rig.Write(connection.handle, "x");
  (void)Drain(connection.peer);
  rig.Settle();
  for (int i = 0; i < 10; ++i) {
    CHECK_EQ(rig.Write(connection.handle, "x"), 0);
    (void)Drain(connection.peer);
    CHECK(!rig.Awake());
  }
}

TEST("a payload of many parts and megabytes arrives whole, with the user's own memory") {
  EngineRig rig;
  auto connection = rig.Make();
  std::vector<std::string> parts;
  std::string expected;
  for (size_t i = 0; i < 3 * kPartsPerSend; ++i) {
    parts.push_back(test::Pattern(i * 397));
    expected += parts.back();
  }
  CHECK_EQ(rig.WritePayload(connection.handle, parts), kPending);
  std::string arrived;
  CHECK(rig.RunUntil([&] {
    arrived += Drain(connection.peer);
    return arrived.size() >= expected.size();
  }));
  CHECK(arrived == expected);
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, 0);
  CHECK_EQ(rig.engine().counters().bytes_written, expected.size());
}

TEST("a payload that fits is taken at once") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.WritePayload(connection.handle, {"one", "", "two"}), 0);
  CHECK_EQ(Drain(connection.peer), "onetwo");
  CHECK_EQ(rig.WritePayload(connection.handle, {}), 0);
}

TEST("more small parts than one send takes still go in one submission") {
  EngineRig rig;
  auto connection = rig.Make();
  const std::vector<std::string> parts(5 * kPartsPerSend, "ab");
  const int32_t outcome = rig.WritePayload(connection.handle, parts);
  CHECK(outcome == 0 || outcome == kPending);
  std::string arrived;
  CHECK(rig.RunUntil([&] {
    arrived += Drain(connection.peer);
    return arrived.size() == 10 * kPartsPerSend;
  }));
}

TEST("a payload longer than the send budget goes on in the next collections") {
  EngineRig rig;
  auto connection = rig.Make();
  const size_t count = static_cast<size_t>(kSendBudget + 3) * kPartsPerSend;
  const std::vector<std::string> parts(count, "a");
  const int32_t outcome = rig.WritePayload(connection.handle, parts);
  CHECK(outcome == kPending);
  CHECK(rig.Awake());
  std::string arrived;
  CHECK(rig.RunUntil([&] {
    arrived += Drain(connection.peer);
    return arrived.size() == count;
  }));
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, 0);
}

TEST("a send buffer that its user made large is not made smaller by bulk writing") {
  if (!test::IsRoot()) {
    check::Note("needs root to exceed net.core.wmem_max");
    return;
  }
  EngineRig rig;
  auto pair = posix::SocketPair(posix::SocketType::kStream).value();
  REQUIRE_OK(posix::SetIntOption(pair[0].get(), SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20));
  const int size = posix::GetIntOption(pair[0].get(), SOL_SOCKET, SO_SNDBUF).value();
  const int32_t handle = rig.engine().Adopt(std::move(pair[0])).value();
  CHECK_EQ(rig.WritePayload(handle, {test::Pattern(64 << 20)}), kPending);
  const int descriptor = rig.engine().DescriptorOf(handle);
  CHECK(posix::GetIntOption(descriptor, SOL_SOCKET, SO_SNDBUF).value() >= size);
}

TEST("a payload whose buffer is gone fails, and the connection lives") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.WritePayload(connection.handle, {test::Pattern(16 << 20)}), kPending);
  rig.LosePayload(connection.handle);
  CHECK(rig.RunUntil([&] {
    (void)Drain(connection.peer);
    return rig.Count(connection.handle, Kind::kWritten) > 0;
  }));
  CHECK(rig.Await(connection.handle, Kind::kWritten).result < 0);
  CHECK(!rig.engine().KeepsAlive());
}

TEST("a second payload, or bytes behind a payload, are refused while it is under way") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.WritePayload(connection.handle, {test::Pattern(16 << 20)}), kPending);
  CHECK_EQ(rig.Submit(connection.handle, SubmissionKind::kWritePayload, 0, 5), -EALREADY);
  CHECK_EQ(rig.Write(connection.handle, "x"), -EALREADY);
}

TEST("half-closing at rest is done at once and told by the next collection; the peer can answer") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.Write(connection.handle, "last"), 0);
  CHECK_EQ(rig.HalfClose(connection.handle), kPending);
  CHECK(rig.engine().KeepsAlive());
  CHECK_EQ(rig.Await(connection.handle, Kind::kShutdown).result, 0);
  CHECK(!rig.engine().KeepsAlive());
  rig.ReadStart(connection.handle);
  CHECK_EQ(Drain(connection.peer), "last");
  std::array<std::byte, 1> buffer;
  CHECK_EQ(posix::Receive(connection.peer.get(), buffer).value(), 0u);
  CHECK_EQ(rig.Write(connection.handle, "more"), -EPIPE);
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("answer")));
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "answer"; }));
}

TEST("half-closing behind a waiting write happens after it") {
  EngineRig rig;
  auto connection = rig.Make();
  const std::string written = FillUp(rig, connection.handle);
  CHECK_EQ(rig.HalfClose(connection.handle), kPending);
  CHECK_EQ(rig.Write(connection.handle, "too late"), -EPIPE);
  std::string arrived;
  CHECK(rig.RunUntil([&] {
    arrived += Drain(connection.peer);
    return rig.Count(connection.handle, Kind::kShutdown) > 0;
  }));
  CHECK(arrived + Drain(connection.peer) == written);
  std::array<std::byte, 1> buffer;
  CHECK_EQ(posix::Receive(connection.peer.get(), buffer).value(), 0u);
  // Their order tells a stream's 'finish' from its last write.
  REQUIRE_EQ(rig.log().size(), 2u);
  CHECK(rig.log()[0].kind == Kind::kWritten);
  CHECK(rig.log()[1].kind == Kind::kShutdown);
  CHECK_EQ(rig.log()[1].result, 0);
  CHECK(!rig.engine().KeepsAlive());
}

TEST("both ends half-closed, both see the end") {
  EngineRig rig;
  auto pair = posix::SocketPair(posix::SocketType::kStream).value();
  const int32_t left = rig.engine().Adopt(std::move(pair[0])).value();
  const int32_t right = rig.engine().Adopt(std::move(pair[1])).value();
  rig.ReadStart(left);
  rig.ReadStart(right);
  CHECK_EQ(rig.HalfClose(left), kPending);
  (void)rig.Await(right, Kind::kEnd);
  CHECK_EQ(rig.Write(right, "answer"), 0);
  CHECK_EQ(rig.HalfClose(right), kPending);
  (void)rig.Await(left, Kind::kEnd);
  CHECK_EQ(rig.Await(left, Kind::kShutdown).result, 0);
  CHECK_EQ(rig.Await(right, Kind::kShutdown).result, 0);
  CHECK_EQ(rig.TakeReceived(left), "answer");
  CHECK(!rig.engine().KeepsAlive());
}

TEST("writing to a peer that is gone is EPIPE, at once or when it is noticed") {
  EngineRig rig;
  auto connection = rig.Make();
  connection.peer.Reset();
  CHECK_EQ(rig.Write(connection.handle, "x"), -EPIPE);

  auto waiting = rig.Make();
  (void)FillUp(rig, waiting.handle);
  CHECK_EQ(rig.HalfClose(waiting.handle), kPending);
  waiting.peer.Reset();
  const int32_t result = rig.Await(waiting.handle, Kind::kWritten).result;
  CHECK(result == -EPIPE || result == -ECONNRESET);
  // Nothing is left to wait for: the half-close happens, whatever it is worth now.
  (void)rig.Await(waiting.handle, Kind::kShutdown);
  CHECK(!rig.engine().KeepsAlive());
}

TEST("a peer that reads no more is EPIPE for the next write") {
  EngineRig rig;
  auto connection = rig.Make();
  REQUIRE_OK(posix::Shutdown(connection.peer.get(), SHUT_RD));
  CHECK_EQ(rig.Write(connection.handle, "x"), -EPIPE);
  // The other direction is none of its business.
  rig.ReadStart(connection.handle);
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("hello")));
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "hello"; }));
}

TEST("what a peer sent before it went can be read after a write to it failed") {
  EngineRig rig;
  auto connection = rig.Make();
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("goodbye")));
  connection.peer.Reset();
  CHECK_EQ(rig.Write(connection.handle, "x"), -EPIPE);
  rig.ReadStart(connection.handle);
  (void)rig.Await(connection.handle, Kind::kEnd);
  CHECK_EQ(rig.TakeReceived(connection.handle), "goodbye");
}

namespace {

// `connection` has a write pending that will fail: its peer has sent `reply`, and left.
void FailPending(EngineRig& rig, EngineRig::Connection& connection, const std::string& reply) {
  CHECK_EQ(rig.WritePayload(connection.handle, {test::Pattern(3'000'000)}), kPending);
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes(reply)));
  connection.peer.Reset();
}

std::vector<Kind> KindsOf(const EngineRig& rig, int32_t handle) {
  std::vector<Kind> kinds;
  for (const auto& event : rig.log()) {
    if (event.handle == handle) kinds.push_back(event.kind);
  }
  return kinds;
}

}  // namespace

TEST("a pending write that fails is told behind what was received, and the end") {
  for (const auto origin :
       {EngineRig::Origin::kAdopted, EngineRig::Origin::kConnected, EngineRig::Origin::kAccepted}) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    rig.ReadStart(connection.handle);
    rig.Settle();
    rig.ForgetLog();
    FailPending(rig, connection, "reply");
    CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, -EPIPE);
    CHECK(KindsOf(rig, connection.handle) == (std::vector{Kind::kData, Kind::kEnd}));
    CHECK_EQ(rig.TakeReceived(connection.handle), "reply");
    CHECK(!rig.engine().KeepsAlive());
  }
}

TEST("a pending write that fails is told behind more than one read") {
  EngineRig rig;
  auto connection = rig.Make();
  // A long read before them: they are read directly.
  for (const size_t before : {0, 20'000}) {
    connection = rig.Make();
    rig.ReadStart(connection.handle);
    rig.Settle();
    const std::string first = test::Pattern(before);
    if (before > 0) REQUIRE_OK(posix::Send(connection.peer.get(), Bytes(first)));
    rig.Settle();
    CHECK_EQ(rig.TakeReceived(connection.handle).size(), before);
    const std::string reply = test::Pattern(150'000);
    FailPending(rig, connection, reply);
    CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, -EPIPE);
    CHECK(rig.TakeReceived(connection.handle) == reply);
  }
}

TEST("a pending write that fails is told behind what went into the user's memory") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadIntoTarget(connection.handle, 100);
  rig.ReadStart(connection.handle);
  rig.Settle();
  const std::string reply = test::Pattern(950);
  FailPending(rig, connection, reply);
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, -EPIPE);
  CHECK_EQ(rig.TakeReceived(connection.handle), reply);
}

TEST("a pending write that fails is told at once when nobody reads, or reads no more") {
  EngineRig rig;
  auto unread = rig.Make();
  FailPending(rig, unread, "reply");
  CHECK_EQ(rig.Await(unread.handle, Kind::kWritten).result, -EPIPE);

  auto stopped = rig.Make();
  rig.ReadIntoTarget(stopped.handle, 10);
  rig.ReadStart(stopped.handle);
  rig.Settle();
  FailPending(rig, stopped, test::Pattern(950));
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(stopped.handle) > 0; }));
  CHECK_EQ(rig.Count(stopped.handle, Kind::kWritten), size_t{0});
  rig.ReadStop(stopped.handle);
  const size_t received = rig.ReceivedSize(stopped.handle);
  CHECK_EQ(rig.Await(stopped.handle, Kind::kWritten).result, -EPIPE);
  CHECK_EQ(rig.ReceivedSize(stopped.handle), received);
  // What is left is there for who reads on.
  rig.ReadStart(stopped.handle);
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(stopped.handle) == 950; }));
}

TEST("a pending write fails when its peer only reads no more, and reading goes on") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  rig.Settle();
  CHECK(!FillUp(rig, connection.handle).empty());
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("reply")));
  REQUIRE_OK(posix::Shutdown(connection.peer.get(), SHUT_RD));
  // The kernel says nothing of it before there is room.
  (void)Drain(connection.peer);
  CHECK_EQ(rig.Await(connection.handle, Kind::kWritten).result, -EPIPE);
  CHECK_EQ(rig.TakeReceived(connection.handle), "reply");
  REQUIRE_OK(posix::Send(connection.peer.get(), Bytes("more")));
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "more"; }));
}

TEST("an echo of everything, both ways at once, loses nothing") {
  EngineRig rig;
  auto pair = posix::SocketPair(posix::SocketType::kStream).value();
  const int32_t client = rig.engine().Adopt(std::move(pair[0])).value();
  const int32_t server = rig.engine().Adopt(std::move(pair[1])).value();
  rig.ReadStart(client);
  rig.ReadStart(server);
  const std::string all = test::Pattern(16 << 20);
  size_t sent = 0;
  bool client_busy = false;
  bool server_busy = false;
  std::string owed;
  std::string echoed;
  CHECK(rig.RunUntil([&] {
    if (rig.Take(client, Kind::kWritten)) client_busy = false;
    if (rig.Take(server, Kind::kWritten)) server_busy = false;
    rig.ForgetLog();
    owed += rig.TakeReceived(server);
    echoed += rig.TakeReceived(client);
    if (!client_busy && sent < all.size()) {
      const std::string_view next = std::string_view(all).substr(sent, 100'000);
      client_busy = rig.Write(client, next) == kPending;
      sent += next.size();
    }
    if (!server_busy && !owed.empty()) {
      const std::string next = owed.substr(0, 200'000);
      owed.erase(0, next.size());
      server_busy = rig.Write(server, next) == kPending;
    }
    return echoed.size() == all.size();
  }));
  CHECK(echoed == all);
}

TEST("submissions before others are carried out at once, and what came meanwhile is told later") {
  EngineRig rig;
  auto one = rig.Make();
  auto other = rig.Make();
  rig.ReadStart(one.handle);
  rig.ReadStart(other.handle);
  rig.Settle();
  REQUIRE_OK(posix::Send(one.peer.get(), Bytes("meanwhile")));
  rig.engine().SetAttended(true);
  std::vector<Submission> submissions = {
      {one.handle, static_cast<int32_t>(SubmissionKind::kWrite), 0, 4},
      {other.handle, static_cast<int32_t>(SubmissionKind::kWrite), 4, 4},
  };
  rig.engine().Submit(submissions, true);
  for (const Submission& submission : submissions) CHECK_EQ(submission.offset, 0);
  CHECK_EQ(test::Drain(one.peer).size(), 4U);
  CHECK_EQ(test::Drain(other.peer).size(), 4U);
  CHECK_EQ(rig.ReceivedSize(one.handle), 0U);
  rig.engine().SetAttended(false);
  CHECK(rig.RunUntil([&] { return rig.TakeReceived(one.handle) == "meanwhile"; }));
}

TEST("submissions are carried out in order, each with its own outcome") {
  EngineRig rig;
  auto connection = rig.Make();
  std::vector<Submission> submissions = {
      {connection.handle, static_cast<int32_t>(SubmissionKind::kReadStart), 0, 0},
      {connection.handle, static_cast<int32_t>(SubmissionKind::kWrite), 0, 4},
      {12'345, static_cast<int32_t>(SubmissionKind::kWrite), 0, 4},
      {-1, static_cast<int32_t>(SubmissionKind::kClose), 0, 0},
      {connection.handle, 99, 0, 0},
      {connection.handle, static_cast<int32_t>(SubmissionKind::kShutdown), 0, 0},
      {connection.handle, static_cast<int32_t>(SubmissionKind::kWrite), 0, 4},
      {connection.handle, static_cast<int32_t>(SubmissionKind::kClose), 0, 0},
      {connection.handle, static_cast<int32_t>(SubmissionKind::kWrite), 0, 4},
  };
  rig.engine().Submit(submissions, false);
  const std::vector<int32_t> expected = {0,        0,      -EBADF, -EBADF, -EINVAL,
                                         kPending, -EPIPE, 0,      -EBADF};
  for (size_t i = 0; i < expected.size(); ++i) CHECK_EQ(submissions[i].offset, expected[i]);
}

}  // namespace
}  // namespace afunix::engine
