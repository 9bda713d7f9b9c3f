// Two engines on two threads, as with a worker: they share nothing but the kernel.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "engine_rig.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::UnixAddress;
using test::EngineRig;
using Kind = CompletionKind;

// Sends back what it gets, until `connections` of them came and ended.
void EchoServer(const UnixAddress& address, int connections, std::atomic<bool>& listening) {
  EngineRig rig;
  const int32_t listener = rig.engine().Listen(address, {}).value();
  listening = true;
  int ended = 0;
  const bool done = rig.RunUntil([&] {
    const std::vector<test::Event> events = rig.log();
    rig.ForgetLog();
    for (const test::Event& event : events) {
      if (event.kind == Kind::kAccepted) {
        rig.ReadStart(event.result);
      } else if (!event.bytes.empty()) {
        CHECK_EQ(rig.Write(event.handle, event.bytes), 0);
      } else if (event.kind == Kind::kEnd) {
        CHECK_EQ(rig.Close(event.handle), 0);
        ++ended;
      }
    }
    return ended == connections;
  });
  CHECK(done);
  rig.Close(listener);
  rig.Settle();
}

TEST("two engines on two threads talk to each other") {
  constexpr int kConnections = 10;
  const UnixAddress address = UnixAddress::Abstract(test::UniqueName()).value();
  std::atomic<bool> listening = false;
  std::thread server([&] { EchoServer(address, kConnections, listening); });
  CHECK(test::Eventually([&] { return listening.load(); }));

  EngineRig rig;
  std::vector<int32_t> handles;
  for (int i = 0; i < kConnections; ++i) {
    handles.push_back(rig.engine().Connect(address, 5'000'000'000).value());
    CHECK_EQ(rig.Await(handles.back(), Kind::kConnected).result, 0);
    rig.ReadStart(handles.back());
  }
  for (int message = 0; message < 50; ++message) {
    const std::string text = test::Pattern(128) + std::to_string(message);
    for (const int32_t handle : handles) CHECK_EQ(rig.Write(handle, text), 0);
    for (const int32_t handle : handles) {
      CHECK(rig.RunUntil([&] { return rig.ReceivedSize(handle) == text.size(); }));
      CHECK(rig.TakeReceived(handle) == text);
    }
  }
  for (const int32_t handle : handles) CHECK_EQ(rig.Close(handle), 0);
  rig.Settle();
  server.join();
}

TEST("engines come and go on several threads at once") {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int round = 0; round < 20; ++round) {
        EngineRig rig;
        auto connection = rig.Make(test::kAllOrigins[round % 3]);
        rig.ReadStart(connection.handle);
        CHECK_EQ(rig.Write(connection.handle, "x"), 0);
        CHECK_EQ(test::Drain(connection.peer), "x");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace afunix::engine
