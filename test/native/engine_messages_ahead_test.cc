// Message sockets whose messages are received ahead of being told, as an io_uring does: nothing is
// lost, merged or put in another order, whatever happens to the socket in between.
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::Fd;
using test::EngineRig;
using test::SendTo;
using Kind = CompletionKind;
using Texts = std::vector<std::string>;

// The next `count` messages that are told on `handle`.
Texts Next(EngineRig& rig, int32_t handle, size_t count) {
  CHECK(rig.RunUntil([&] { return rig.MessageCount(handle) >= count; }));
  return rig.TakeMessages(handle);
}

// A socket that waits for messages and is told of each as it comes.
EngineRig::Connection MakeReader(EngineRig& rig) {
  auto made = rig.MakeMessages();
  rig.ReadStart(made.handle);
  rig.Settle();
  SendTo(made.peer, "first");
  CHECK(Next(rig, made.handle, 1) == Texts{"first"});
  return made;
}

TEST("messages one by one, then many, then one by one, in order") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  int number = 0;
  const auto exchange = [&, id = handle, &socket = peer](size_t count) {
    Texts sent;
    for (size_t i = 0; i < count; ++i) {
      sent.push_back(std::to_string(number++));
      SendTo(socket, sent.back());
    }
    CHECK(Next(rig, id, count) == sent);
  };
  for (const size_t burst : {size_t{1}, size_t{3}, kFewMessages, kFewMessages + 1, size_t{100}}) {
    for (int i = 0; i < 3; ++i) exchange(burst);
    // Long enough for the engine to think that it goes on so.
    for (int i = 0; i < 2 * kDirectReads; ++i) exchange(1);
  }
}

TEST("one by one, a message costs no more calls than bytes do") {
  EngineRig bytes;
  auto [stream, writer] = bytes.Make();
  bytes.ReadStart(stream);
  bytes.Settle();
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  const auto calls = [](EngineRig& of, const Fd& from, const auto& came) {
    const uint64_t before = of.engine().counters().syscalls;
    for (int i = 0; i < 10; ++i) {
      SendTo(from, "x");
      CHECK(of.RunUntil(came));
    }
    return of.engine().counters().syscalls - before;
  };
  // Where the kernel can't refuse descriptors, somebody has to look whether some came.
  const Fd other = posix::OpenSocket(posix::SocketType::kSeqpacket).value();
  const bool received_by_ring =
      rig.engine().LooksForFree() && posix::RefuseDescriptors(other.get()).ok();
  const uint64_t of_bytes =
      calls(bytes, writer, [&, id = stream] { return bytes.TakeReceived(id).size() == 1; });
  const uint64_t of_messages =
      calls(rig, peer, [&, id = handle] { return rig.TakeMessages(id).size() == 1; });
  if (received_by_ring) {
    CHECK_EQ(of_messages, of_bytes);
  } else {
    // Who is told that there are some has to fetch them.
    CHECK(of_messages >= of_bytes);
  }
}

TEST("what was received when its user stopped reading is told when they go on") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  for (int i = 0; i < 3; ++i) SendTo(peer, std::to_string(i));
  rig.ReadStop(handle);
  rig.Settle();
  CHECK_EQ(rig.MessageCount(handle), 0u);
  for (int i = 3; i < 6; ++i) SendTo(peer, std::to_string(i));
  rig.ReadStart(handle);
  CHECK(Next(rig, handle, 6) == (Texts{"0", "1", "2", "3", "4", "5"}));
}

TEST("what was received before it was given memory of its own goes there") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  CHECK_OK(rig.engine().SetMessageLimits(handle, {.longest = 100}));
  rig.Settle();
  SendTo(peer, "one");
  SendTo(peer, "two");
  rig.ReadStop(handle);
  rig.Settle();
  CHECK_EQ(rig.ReadIntoTarget(handle, 0), 0);
  rig.ReadStart(handle);
  rig.Settle();
  CHECK_EQ(rig.MessageCount(handle), 0u);
  CHECK_EQ(rig.ReadIntoTarget(handle, 1000), 0);
  rig.ReadStart(handle);
  CHECK(Next(rig, handle, 2) == (Texts{"one", "two"}));
  SendTo(peer, "three");
  CHECK(Next(rig, handle, 1) == Texts{"three"});
}

TEST("a batch has no more of them than its socket allows") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  CHECK_OK(rig.engine().SetMessageLimits(handle, {.batch_size = 2}));
  rig.Settle();
  rig.ForgetLog();
  for (int i = 0; i < 5; ++i) SendTo(peer, std::to_string(i));
  CHECK(Next(rig, handle, 5) == (Texts{"0", "1", "2", "3", "4"}));
  for (const test::Event& event : rig.log()) {
    if (event.kind == Kind::kMessages) CHECK(event.result <= 2);
  }
}

TEST("more sockets than there are buffers, each with a message at once") {
  EngineRig rig;
  std::vector<EngineRig::Connection> sockets;
  for (size_t i = 0; i < kMessageBufferCount + 40u; ++i) sockets.push_back(MakeReader(rig));
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < sockets.size(); ++i) {
      SendTo(sockets[i].peer, std::to_string(i) + "/" + std::to_string(round));
    }
    for (size_t i = 0; i < sockets.size(); ++i) {
      CHECK(Next(rig, sockets[i].handle, 1) ==
            Texts{std::to_string(i) + "/" + std::to_string(round)});
    }
  }
}

TEST("a long message arrives whole, and so does the longest, and what follows them") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  for (const size_t length :
       {kPackedMessage, kPackedMessage + 1, size_t{100'000}, kLongestByDefault}) {
    for (const std::string& message : {test::Pattern(length), std::string("short")}) {
      SendTo(peer, message);
      CHECK(Next(rig, handle, 1) == Texts{message});
    }
    for (int i = 0; i < 2 * kDirectReads; ++i) {
      SendTo(peer, "x");
      CHECK(Next(rig, handle, 1) == Texts{"x"});
    }
  }
}

TEST("messages longer than the default, where they are allowed") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  constexpr size_t kLonger = 2 * kLongestByDefault;
  CHECK_OK(rig.engine().SetMessageLimits(handle, {.longest = kLonger}));
  rig.Settle();
  CHECK_OK(posix::AllowMessage(peer.get(), kLonger));
  const Texts sent{"short", test::Pattern(kLonger), "short"};
  for (const std::string& message : sent) {
    SendTo(peer, message);
    CHECK(Next(rig, handle, 1) == Texts{message});
  }
}

TEST("messages without bytes among the others") {
  EngineRig rig;
  auto [handle, peer] = MakeReader(rig);
  const Texts sent{"", "", "a", "", "b"};
  for (const std::string& message : sent) SendTo(peer, message);
  CHECK(Next(rig, handle, sent.size()) == sent);
  for (const std::string& message : sent) {
    SendTo(peer, message);
    CHECK(Next(rig, handle, 1) == Texts{message});
  }
}

TEST("the end, a reset and a failed send are told behind what had been received") {
  for (const bool fails : {false, true}) {
    for (const bool resets : {false, true}) {
      for (const int count : {0, 1, 3, 200}) {
        EngineRig rig;
        auto [handle, peer] = MakeReader(rig);
        if (resets) CHECK_EQ(rig.SendMessages(handle, {"never read"}), 0);
        for (int i = 0; i < count; ++i) SendTo(peer, std::to_string(i));
        rig.ReadStop(handle);
        peer.Reset();
        int32_t error = resets ? -ECONNRESET : 0;
        if (fails) {
          const int32_t outcome = rig.SendMessages(handle, {"late"});
          CHECK(outcome == (resets ? -ECONNRESET : -EPIPE));
          error = outcome;
        }
        rig.ReadStart(handle);
        const auto kind = error == 0 ? Kind::kEnd : Kind::kReadError;
        CHECK_EQ(rig.Await(handle, kind).result, error);
        const Texts told = rig.TakeMessages(handle);
        CHECK_EQ(told.size(), static_cast<size_t>(count));
        if (count > 0) CHECK_EQ(told.back(), std::to_string(count - 1));
      }
    }
  }
}

TEST("a socket that is closed with messages received gives everything back") {
  EngineRig rig;
  for (int i = 0; i < 3 * kMessageBufferCount; ++i) {
    auto [handle, peer] = MakeReader(rig);
    for (int k = 0; k < 3; ++k) SendTo(peer, "never told");
    if (i % 2 == 0) rig.ReadStop(handle);
    if (i % 3 == 0) rig.Settle();
    rig.Close(handle);
    CHECK_EQ(rig.Await(handle, Kind::kClosed).result, 0);
    (void)rig.TakeMessages(handle);
  }
}

}  // namespace
}  // namespace afunix::engine
