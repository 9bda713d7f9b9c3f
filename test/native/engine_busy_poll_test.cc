// Busy polling: sockets that are read from at every look, and the moment before the thread sleeps.
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "support.h"

namespace afunix::engine {
namespace {

using test::Bytes;
using test::EngineRig;
using test::SendTo;
using Kind = CompletionKind;

EngineRig::Connection MakePolled(EngineRig& rig) {
  auto made = rig.Make();
  rig.ReadStart(made.handle);
  rig.engine().SetBusyPoll(made.handle, 1'000'000);
  rig.Settle();
  return made;
}

TEST("the longest wish for busy polling counts, as long as its connection is open") {
  EngineRig rig;
  auto first = rig.Make();
  auto second = rig.Make();
  CHECK_EQ(rig.engine().BusyPoll(), 0);
  rig.engine().SetBusyPoll(first.handle, 50'000);
  rig.engine().SetBusyPoll(second.handle, 20'000);
  CHECK_EQ(rig.engine().BusyPoll(), 50'000);
  rig.engine().SetBusyPoll(second.handle, 50'000);
  rig.Close(first.handle);
  CHECK_EQ(rig.engine().BusyPoll(), 50'000);
  rig.engine().SetBusyPoll(second.handle, 10'000);
  CHECK_EQ(rig.engine().BusyPoll(), 10'000);
  rig.engine().SetBusyPoll(second.handle, 0);
  CHECK_EQ(rig.engine().BusyPoll(), 0);
  rig.engine().SetBusyPoll(-1, 5);
  CHECK_EQ(rig.engine().BusyPoll(), 0);
}

TEST("collecting again and again, as busy polling does, finds what comes without any waiting") {
  EngineRig rig;
  auto connection = rig.Make();
  rig.ReadStart(connection.handle);
  rig.engine().SetBusyPoll(connection.handle, 1'000'000);
  std::thread peer([&] {
    for (int i = 0; i < 100; ++i) {
      (void)posix::Send(connection.peer.get(), Bytes("x"));
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  CHECK(rig.RunUntil([&] {
    for (int i = 0; i < 100; ++i) rig.Round(0);
    return rig.ReceivedSize(connection.handle) == 100;
  }));
  peer.join();
}

TEST("what comes between two looks is told by the next one") {
  EngineRig rig;
  auto [handle, peer] = MakePolled(rig);
  std::string sent;
  // The first looks may be busy with taking back what had been asked for.
  rig.Look(4);
  std::vector<size_t> sizes;
  rig.Look(20, [&, &socket = peer, id = handle](int look) {
    sizes.push_back(rig.ReceivedSize(id));
    sent += static_cast<char>('a' + look);
    SendTo(socket, sent.substr(sent.size() - 1));
  });
  for (size_t i = 0; i < sizes.size(); ++i) CHECK_EQ(sizes[i], i);
  CHECK_EQ(rig.TakeReceived(handle), sent);
}

TEST("a look costs one call, and bytes cost no other") {
  EngineRig rig;
  auto [handle, peer] = MakePolled(rig);
  rig.Look(4);
  rig.Look(4 * kLooksUnasked, [&, &socket = peer](int look) {
    if (look == 0) rig.engine().counters().syscalls = 0;
    if (look % 2 == 0) SendTo(socket, "x");
  });
  // Where asking costs a call, the others are asked about now and then; and there is the end of it.
  CHECK(rig.engine().counters().syscalls <= 4 * kLooksUnasked + 4 + 2);
  CHECK_EQ(rig.ReceivedSize(handle), 2u * kLooksUnasked);
}

TEST("nothing is missed when the thread goes to sleep") {
  EngineRig rig;
  auto [handle, peer] = MakePolled(rig);
  for (int i = 0; i < 50; ++i) {
    // Before the kernel was asked to wake us, or afterwards.
    if (i % 2 == 0) {
      rig.engine().SetAttended(true);
      (void)rig.engine().Collect();
      SendTo(peer, "x");
      rig.engine().SetAttended(false);
      CHECK(rig.engine().HasWork() || rig.Awake());
      if (rig.engine().HasWork()) rig.engine().Wake();
    } else {
      rig.Look(3);
      rig.Settle();
      SendTo(peer, "x");
      CHECK(rig.Awake());
    }
    CHECK(rig.RunUntil([&, id = handle] { return rig.ReceivedSize(id) == 1; }));
    CHECK_EQ(rig.TakeReceived(handle), "x");
  }
}

TEST("the others are not forgotten, however many poll") {
  EngineRig rig;
  std::vector<EngineRig::Connection> sockets;
  for (size_t i = 0; i < kBusyPolledSockets + 3; ++i) sockets.push_back(MakePolled(rig));
  sockets.push_back(rig.Make());
  rig.ReadStart(sockets.back().handle);
  rig.Settle();
  for (int round = 0; round < 3; ++round) {
    rig.Look(3 * kLooksUnasked, [&](int look) {
      if (look > 0) return;
      for (const auto& [handle, peer] : sockets) SendTo(peer, std::to_string(handle));
    });
    for (const auto& [handle, peer] : sockets) {
      CHECK_EQ(rig.TakeReceived(handle), std::to_string(handle));
    }
  }
}

// Calls of so many looks that find nothing.
uint64_t CallsOfLooks(EngineRig& rig, int looks) {
  rig.Settle();
  rig.Look(4);
  uint64_t before = 0;
  rig.Look(looks, [&](int look) {
    if (look == 0) before = rig.engine().counters().syscalls;
  });
  return rig.engine().counters().syscalls - before;
}

TEST("who comes later takes the place of those that are gone") {
  EngineRig rig;
  std::vector<EngineRig::Connection> sockets;
  for (size_t i = 0; i < kBusyPolledSockets; ++i) sockets.push_back(MakePolled(rig));
  const uint64_t before = CallsOfLooks(rig, kLooksUnasked);
  auto late = rig.Make();
  rig.ReadStart(late.handle);
  // All closed in the same turn as the other wishes for it, with no look in between.
  for (const auto& socket : sockets) rig.Close(socket.handle);
  rig.engine().SetBusyPoll(late.handle, 1'000'000);
  const uint64_t after = CallsOfLooks(rig, kLooksUnasked);
  CHECK_EQ(before - after, (kBusyPolledSockets - 1) * uint64_t{kLooksUnasked});
}

TEST("the others are asked about however soon looking is interrupted") {
  EngineRig rig;
  auto polled = MakePolled(rig);
  auto other = rig.Make();
  rig.ReadStart(other.handle);
  rig.Settle();
  for (int i = 0; i < 3 * kLooksUnasked; ++i) {
    SendTo(other.peer, "x");
    rig.Look(1);
    CHECK_EQ(rig.TakeReceived(other.handle), "x");
  }
}

TEST(
    "a socket that is paused keeps its bytes in the kernel, in order with those before and after") {
  EngineRig rig;
  auto [handle, peer] = MakePolled(rig);
  rig.Look(4);
  rig.Look(6, [&, &socket = peer, id = handle](int look) {
    SendTo(socket, std::to_string(look));
    if (look == 2) rig.ReadStop(id);
  });
  const size_t told = rig.ReceivedSize(handle);
  CHECK(told <= 3);
  rig.Settle();
  CHECK_EQ(rig.ReceivedSize(handle), told);
  rig.ReadStart(handle);
  CHECK(rig.RunUntil([&, id = handle] { return rig.ReceivedSize(id) == 6; }));
  CHECK_EQ(rig.TakeReceived(handle), "012345");
}

TEST("polling begins and ends while bytes are on their way, and none is lost") {
  EngineRig rig;
  auto [handle, peer] = rig.Make();
  rig.ReadStart(handle);
  std::string sent;
  for (int i = 0; i < 200; ++i) {
    rig.engine().SetBusyPoll(handle, i % 7 < 3 ? 1'000'000 : 0);
    rig.Look(1 + i % 4, [&, &socket = peer](int) {
      sent += static_cast<char>('a' + sent.size() % 26);
      SendTo(socket, sent.substr(sent.size() - 1));
    });
    if (i % 5 == 0) rig.ReadStop(handle);
    if (i % 5 == 1) rig.ReadStart(handle);
  }
  rig.ReadStart(handle);
  CHECK(rig.RunUntil([&, id = handle] { return rig.ReceivedSize(id) == sent.size(); }));
  CHECK_EQ(rig.TakeReceived(handle), sent);
}

TEST("the end and a reset are found by looking, behind the bytes") {
  for (const bool resets : {false, true}) {
    EngineRig rig;
    auto [handle, peer] = MakePolled(rig);
    if (resets) CHECK_EQ(rig.Write(handle, "never read"), 0);
    rig.Look(4);
    rig.Look(8, [&, &socket = peer](int look) {
      if (look == 1) SendTo(socket, "last");
      if (look == 3) socket.Reset();
    });
    CHECK_EQ(rig.Await(handle, resets ? Kind::kReadError : Kind::kEnd).result,
             resets ? -ECONNRESET : 0);
    CHECK_EQ(rig.TakeReceived(handle), "last");
    rig.Settle();
    rig.Close(handle);
    CHECK_EQ(rig.Await(handle, Kind::kClosed).result, 0);
  }
}

}  // namespace
}  // namespace afunix::engine
