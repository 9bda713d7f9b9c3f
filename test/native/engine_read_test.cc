// Reading: order, ends, errors after the data, pausing, where the bytes are put, fairness.
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/ancillary.h"
#include "posix/kernel_constants.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::Fd;
using test::Bytes;
using test::EngineRig;
using test::Event;
using test::SendTo;
using Kind = CompletionKind;

TEST("bytes come as they were sent, and then the end") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    CHECK_EQ(rig.ReadStart(connection.handle), 0);
    SendTo(connection.peer, "hello");
    CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "hello"; }));
    SendTo(connection.peer, "again");
    CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "again"; }));
    connection.peer.Reset();
    CHECK_EQ(rig.Await(connection.handle, Kind::kEnd).result, 0);
    rig.Settle();
    CHECK_EQ(rig.Count(connection.handle, Kind::kEnd), 0u);
    CHECK_EQ(rig.Count(connection.handle, Kind::kReadError), 0u);
    CHECK_EQ(rig.engine().counters().bytes_read, 10u);
  }
}

TEST("nothing is read before it is asked for, and nothing is lost by that") {
  EngineRig rig;
  auto connection = rig.Make();
  SendTo(connection.peer, "waits");
  connection.peer.Reset();
  rig.Settle();
  CHECK(rig.log().empty());
  rig.ReadStart(connection.handle);
  (void)rig.Await(connection.handle, Kind::kEnd);
  CHECK_EQ(rig.TakeReceived(connection.handle), "waits");
}

TEST("connections that are paused with much in hand keep nobody else from being read") {
  EngineRig rig;
  const std::string text = test::Pattern(60'000);
  std::vector<EngineRig::Connection> paused;
  for (int i = 0; i < 40; ++i) {
    auto& connection = paused.emplace_back(rig.Make(EngineRig::Origin::kAdopted));
    rig.ReadStart(connection.handle);
    SendTo(connection.peer, text);
    rig.ReadStop(connection.handle);
  }
  rig.Settle();
  auto other = rig.Make();
  rig.ReadStart(other.handle);
  for (int message = 0; message < 5; ++message) {
    SendTo(other.peer, text);
    CHECK(rig.RunUntil([&] { return rig.ReceivedSize(other.handle) == text.size(); }));
    CHECK(rig.TakeReceived(other.handle) == text);
  }
  // Some are closed with what they have, the rest read on.
  for (int i = 0; i < 20; ++i) rig.Close(paused[static_cast<size_t>(i)].handle);
  for (size_t i = 20; i < paused.size(); ++i) {
    const int32_t handle = paused[i].handle;
    CHECK(rig.ReceivedSize(handle) <= kReadSize);
    rig.ReadStart(handle);
    paused[i].peer.Reset();
    (void)rig.Await(handle, Kind::kEnd);
    CHECK(rig.TakeReceived(handle) == text);
  }
}

TEST("no collection tells more of one connection than its share") {
  EngineRig rig;
  auto connection = rig.Make();
  const std::string text = test::Pattern(200'000);
  SendTo(connection.peer, text);
  rig.ReadStart(connection.handle);
  while (rig.ReceivedSize(connection.handle) < text.size()) {
    size_t told = 0;
    for (const test::Event& event : rig.Round(1000)) told += event.bytes.size();
    CHECK(told > 0);
    CHECK(told <= kReadSize);
  }
  CHECK(rig.TakeReceived(connection.handle) == text);
}

TEST("a paused connection is quiet whatever arrives, and resumes where it stopped") {
  EngineRig rig;
  auto connection = rig.Make();
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    const std::string before = test::Pattern(10 + static_cast<size_t>(i));
    const std::string during = test::Pattern(300);
    expected += before + during;
    // An edge while reading, an edge while paused, both orders of resume and data.
    rig.ReadStart(connection.handle);
    SendTo(connection.peer, before);
    if (i % 2 == 0) rig.Settle();
    rig.ReadStop(connection.handle);
    const size_t held = rig.ReceivedSize(connection.handle);
    SendTo(connection.peer, during);
    rig.Settle();
    CHECK_EQ(rig.ReceivedSize(connection.handle), held);
    CHECK(!rig.Awake());
  }
  rig.ReadStart(connection.handle);
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(connection.handle) == expected.size(); }));
  CHECK(rig.TakeReceived(connection.handle) == expected);
}

TEST("a connection that is paused and resumed in one flush goes on") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  SendTo(connection.peer, "x");
  rig.ReadStop(connection.handle);
  rig.ReadStart(connection.handle);
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(connection.handle) == 1; }));
}

TEST("a peer that closes while the connection is paused is told after resuming") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  rig.ReadStop(connection.handle);
  SendTo(connection.peer, test::Pattern(200'000).substr(0, 100'000));
  connection.peer.Reset();
  rig.Settle();
  CHECK_EQ(rig.Count(connection.handle, Kind::kEnd), 0u);
  rig.ReadStart(connection.handle);
  (void)rig.Await(connection.handle, Kind::kEnd);
  CHECK_EQ(rig.TakeReceived(connection.handle).size(), 100'000u);
}

TEST("a peer that wrote and closed with unread bytes: everything it sent comes, then the end") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    CHECK_EQ(rig.Write(connection.handle, "never read"), 0);
    const std::string last_words = test::Pattern(150'000);
    SendTo(connection.peer, last_words);
    connection.peer.Reset();
    rig.ReadStart(connection.handle);
    // As in libuv: whoever sent something last and closed has ended, not failed.
    (void)rig.Await(connection.handle, Kind::kEnd);
    CHECK(rig.TakeReceived(connection.handle) == last_words);
    rig.Settle();
    CHECK_EQ(rig.Count(connection.handle, Kind::kEnd), 0u);
    CHECK_EQ(rig.Count(connection.handle, Kind::kReadError), 0u);
  }
}

TEST("the same peer has failed, and everything it sent still comes, if that is wanted") {
  for (const size_t size : {size_t{10}, kReadSize, size_t{150'000}}) {
    EngineRig rig;
    rig.engine().SetResetBehindDataEnds(false);
    auto connection = rig.Make();
    CHECK_EQ(rig.Write(connection.handle, "never read"), 0);
    const std::string last_words = test::Pattern(size);
    SendTo(connection.peer, last_words);
    connection.peer.Reset();
    rig.ReadStart(connection.handle);
    CHECK_EQ(rig.Await(connection.handle, Kind::kReadError).result, -ECONNRESET);
    CHECK(rig.TakeReceived(connection.handle) == last_words);
    rig.Settle();
    CHECK_EQ(rig.Count(connection.handle, Kind::kEnd), 0u);
    CHECK_EQ(rig.Count(connection.handle, Kind::kReadError), 0u);
  }
}

TEST("a peer that closes with unread bytes and nothing sent is ECONNRESET, once") {
  for (const bool reading_before : {false, true}) {
    EngineRig rig;
    auto connection = rig.Make();
    CHECK_EQ(rig.Write(connection.handle, "never read"), 0);
    if (reading_before) rig.ReadStart(connection.handle);
    rig.Settle();
    connection.peer.Reset();
    rig.ReadStart(connection.handle);
    CHECK_EQ(rig.Await(connection.handle, Kind::kReadError).result, -ECONNRESET);
    rig.Settle();
    CHECK(rig.log().empty());
  }
}

TEST("a reset behind reads that were all full: the data comes before whatever ends it") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.Write(connection.handle, "never read"), 0);
  const std::string last_words = test::Pattern(2 * kReadSize);
  SendTo(connection.peer, last_words);
  connection.peer.Reset();
  rig.ReadStart(connection.handle);
  CHECK(rig.RunUntil([&] {
    return rig.Count(connection.handle, Kind::kEnd) +
               rig.Count(connection.handle, Kind::kReadError) >
           0;
  }));
  CHECK(rig.TakeReceived(connection.handle) == last_words);
}

TEST("the end is told once, and asking for more afterwards does nothing") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  REQUIRE_OK(posix::Shutdown(connection.peer.get(), SHUT_WR));
  (void)rig.Await(connection.handle, Kind::kEnd);
  CHECK_EQ(rig.ReadStart(connection.handle), 0);
  connection.peer.Reset();
  rig.Settle();
  CHECK(rig.log().empty());
}

TEST("bytes and a half-close that arrive together: the bytes, then the end") {
  for (const size_t size : {size_t{1}, kReadSize - 1, kReadSize, kReadSize + 1}) {
    EngineRig rig;
    auto connection = rig.Make();
    const std::string text = test::Pattern(size);
    SendTo(connection.peer, text);
    REQUIRE_OK(posix::Shutdown(connection.peer.get(), SHUT_WR));
    rig.ReadStart(connection.handle);
    (void)rig.Await(connection.handle, Kind::kEnd);
    CHECK(rig.TakeReceived(connection.handle) == text);
  }
}

TEST("a peer that half-closes can still be written to") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  REQUIRE_OK(posix::Shutdown(connection.peer.get(), SHUT_WR));
  (void)rig.Await(connection.handle, Kind::kEnd);
  CHECK_EQ(rig.Write(connection.handle, "answer"), 0);
  CHECK_EQ(test::Drain(connection.peer), "answer");
}

TEST("a long stream arrives whole, through slabs") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  const std::string all = test::Pattern(8 << 20);
  size_t sent = 0;
  CHECK(rig.RunUntil([&] {
    while (sent < all.size()) {
      const auto taken = posix::Send(connection.peer.get(), Bytes(all).subspan(sent));
      if (!taken.ok()) break;
      sent += taken.value();
    }
    return rig.ReceivedSize(connection.handle) == all.size();
  }));
  CHECK(rig.Count(connection.handle, Kind::kSlabData) > 0);
  CHECK(rig.TakeReceived(connection.handle) == all);
}

TEST("no slab is filled twice in one collection, and no more than there are") {
  EngineRig rig;
  std::vector<EngineRig::Connection> connections;
  connections.reserve(10);
  for (int i = 0; i < 10; ++i) connections.push_back(rig.Make());
  const std::string chunk = test::Pattern(60'000);
  for (int round = 0; round < 5; ++round) {
    for (const auto& connection : connections) {
      rig.ReadStart(connection.handle);
      SendTo(connection.peer, chunk);
    }
    while (rig.Awake()) {
      std::vector<int32_t> slabs;
      for (const Event& event : rig.Round()) {
        if (event.kind == Kind::kSlabData) slabs.push_back(event.offset);
      }
      CHECK(slabs.size() <= static_cast<size_t>(kSlabCount));
      for (size_t i = 0; i < slabs.size(); ++i) CHECK_EQ(slabs[i], static_cast<int32_t>(i));
    }
  }
  for (const auto& connection : connections) {
    std::string expected;
    for (int round = 0; round < 5; ++round) expected += chunk;
    CHECK(rig.TakeReceived(connection.handle) == expected);
  }
}

TEST("bytes go into the user's own memory when that is asked for, a memory-full at a time") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.ReadIntoTarget(connection.handle, 10), 0);
  rig.ReadStart(connection.handle);
  SendTo(connection.peer, "0123456789abcde");
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(connection.handle) == 15; }));
  CHECK_EQ(rig.TakeReceived(connection.handle), "0123456789abcde");
  CHECK_EQ(rig.Count(connection.handle, Kind::kTargetData), 2u);
  CHECK_EQ(rig.Count(connection.handle, Kind::kData), 0u);

  // And back.
  rig.Submit(connection.handle, SubmissionKind::kReadTargets, 0, 0);
  SendTo(connection.peer, "x");
  CHECK_EQ(rig.Await(connection.handle, Kind::kData).bytes, "x");
}

TEST("a receive target that is gone is an error and not a crash") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadIntoTarget(connection.handle, 0);
  rig.ReadStart(connection.handle);
  SendTo(connection.peer, "x");
  CHECK(rig.Await(connection.handle, Kind::kReadError).result < 0);
}

TEST("one connection that never stops sending does not keep the others waiting") {
  EngineRig rig;
  auto busy = rig.Make();
  auto quiet = rig.Make();
  rig.ReadStart(busy.handle);
  rig.ReadStart(quiet.handle);
  const std::string flood = test::Pattern(1 << 20);
  for (int i = 0; i < 50; ++i) {
    (void)posix::Send(busy.peer.get(), Bytes(flood));
    SendTo(quiet.peer, "q");
    const size_t before = rig.ReceivedSize(quiet.handle);
    for (int round = 0; round <= kCollectionsUnasked; ++round) rig.Round();
    CHECK_EQ(rig.ReceivedSize(quiet.handle), before + 1);
  }
}

TEST("more connections with data than a collection has room for all get their turn") {
  EngineRig rig;
  std::vector<EngineRig::Connection> connections;
  connections.reserve(300);
  for (int i = 0; i < 300; ++i) connections.push_back(rig.Make(EngineRig::Origin::kAdopted));
  const std::string text = test::Pattern(5'000);
  for (const auto& connection : connections) {
    rig.ReadStart(connection.handle);
    SendTo(connection.peer, text);
  }
  rig.Settle();
  for (const auto& connection : connections) {
    CHECK(rig.TakeReceived(connection.handle) == text);
  }
}

TEST("bytes behind a message with descriptors are read without waiting for the next message") {
  EngineRig rig;
  auto connection = rig.Make(EngineRig::Origin::kAdopted);
  posix::AncillaryWriter control;
  const int number = connection.peer.get();
  REQUIRE_OK(control.AddDescriptors(std::span(&number, 1)));
  SendTo(connection.peer, "A");
  const iovec part = test::Part(std::string_view("B"));
  REQUIRE_OK(posix::SendMessage(connection.peer.get(), {&part, 1}, control.bytes()));
  SendTo(connection.peer, "C");
  const size_t before = test::OpenDescriptorCount();
  rig.ReadStart(connection.handle);
  rig.Settle();
  CHECK_EQ(rig.TakeReceived(connection.handle), "ABC");
  CHECK_EQ(test::OpenDescriptorCount(), before);
}

TEST("where the kernel can, connections of our own refuse descriptors at their sender") {
  for (const auto origin : {EngineRig::Origin::kConnected, EngineRig::Origin::kAccepted}) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    const auto refuses = posix::GetIntOption(rig.engine().DescriptorOf(connection.handle),
                                             SOL_SOCKET, posix::kPassRights);
    if (!refuses.ok()) {
      CHECK_ERROR(refuses, ENOPROTOOPT);
      check::Note("this kernel is older than SO_PASSRIGHTS");
      return;
    }
    CHECK_EQ(refuses.value(), 0);
    posix::AncillaryWriter control;
    const int number = connection.peer.get();
    REQUIRE_OK(control.AddDescriptors(std::span(&number, 1)));
    const iovec part = test::Part(std::string_view("B"));
    CHECK_ERROR(posix::SendMessage(connection.peer.get(), {&part, 1}, control.bytes()), EPERM);
    // Plain bytes go on arriving.
    SendTo(connection.peer, "C");
    rig.ReadStart(connection.handle);
    CHECK(rig.RunUntil([&] { return rig.TakeReceived(connection.handle) == "C"; }));
  }
}

TEST("bytes behind an out-of-band byte are read without waiting for the next message") {
  EngineRig rig;
  auto connection = rig.Make();
  SendTo(connection.peer, "before");
  if (::send(connection.peer.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL) != 1) {
    check::Note("this kernel has no out-of-band bytes on Unix sockets");
    return;
  }
  SendTo(connection.peer, "behind");
  rig.ReadStart(connection.handle);
  rig.Settle();
  // Out of band means out of the stream.
  CHECK_EQ(rig.TakeReceived(connection.handle), "beforebehind");
}

TEST("bytes behind an out-of-band byte are not lost to a peer that closes") {
  EngineRig rig;
  auto connection = rig.Make();
  SendTo(connection.peer, "before");
  if (::send(connection.peer.get(), "!", 1, MSG_OOB | MSG_NOSIGNAL) != 1) return;
  SendTo(connection.peer, "behind");
  connection.peer.Reset();
  rig.ReadStart(connection.handle);
  CHECK(rig.RunUntil([&] {
    return rig.Count(connection.handle, Kind::kEnd) +
               rig.Count(connection.handle, Kind::kReadError) >
           0;
  }));
  CHECK_EQ(rig.TakeReceived(connection.handle), "beforebehind");
}

TEST("an adopted socket that asks for credentials is read whole, writer by writer") {
  EngineRig rig;
  auto pair = posix::SocketPair(posix::SocketType::kStream).value();
  REQUIRE_OK(posix::SetPassCredentials(pair[0].get(), true));
  const int32_t handle = rig.engine().Adopt(std::move(pair[0])).value();
  SendTo(pair[1], "mine");
  CHECK(test::InChild([&] { SendTo(pair[1], "child's"); }));
  SendTo(pair[1], "mine again");
  rig.ReadStart(handle);
  rig.Settle();
  CHECK_EQ(rig.TakeReceived(handle), "minechild'smine again");
}

TEST("adopting what is not open is EBADF, a regular file ENOTSOCK, and none stays open") {
  EngineRig rig;
  CHECK_ERROR(rig.engine().Adopt(Fd()), EBADF);
  const test::TemporaryDirectory directory;
  const std::string path = directory / "file";
  CHECK_ERROR(rig.engine().Adopt(Fd(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600))),
              ENOTSOCK);
}

}  // namespace
}  // namespace afunix::engine
