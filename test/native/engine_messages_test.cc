// Message sockets: boundaries, the end among messages without bytes, resets, batches, limits.
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

using posix::Fd;
using test::EngineRig;
using test::Event;
using test::SendTo;
using Kind = CompletionKind;
using Texts = std::vector<std::string>;

// Everything that was told of messages on `handle` until `kind` came; taken out of the log.
Texts MessagesUntil(EngineRig& rig, int32_t handle, Kind kind, int32_t result = 0) {
  CHECK_EQ(rig.Await(handle, kind).result, result);
  return rig.TakeMessages(handle);
}

std::string DrainOne(const Fd& peer) {
  std::vector<std::byte> buffer(300'000);
  const auto got = posix::Receive(peer.get(), buffer);
  return got.ok() ? std::string(test::Text(std::span(buffer).first(got.value()))) : "(none)";
}

TEST("without memory for messages there is no message socket") {
  EngineRig rig;
  auto pair = posix::SocketPair(posix::SocketType::kSeqpacket).value();
  CHECK_ERROR(rig.engine().Adopt(std::move(pair[0])), ENXIO);
  CHECK_ERROR(rig.engine().SetMessageMemory({}), EINVAL);
  rig.ShareMessages();
  CHECK_ERROR(rig.engine().SetMessageMemory({}), EALREADY);
}

TEST("messages keep their boundaries, many in one completion") {
  for (const EngineRig::Origin origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    Texts sent;
    for (size_t i = 0; i < 60; ++i) {
      sent.push_back(test::Pattern(1 + i * 20));
      SendTo(peer, sent.back());
    }
    rig.ReadStart(handle);
    CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 60; }));
    CHECK(rig.TakeMessages(handle) == sent);
    CHECK(rig.Count(handle, Kind::kMessages) <= 10);
  }
}

TEST("a batch has no more messages than its socket allows") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  CHECK_OK(rig.engine().SetMessageLimits(handle, {.batch_size = 3}));
  for (int i = 0; i < 8; ++i) SendTo(peer, "x");
  rig.ReadStart(handle);
  CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 8; }));
  for (const Event& event : rig.log()) {
    if (event.kind == Kind::kMessages) CHECK(event.result <= 3);
  }
}

TEST("the end is told behind the messages, though the kernel fills every place with it") {
  for (const size_t count :
       {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{200}}) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages();
    for (size_t i = 0; i < count; ++i) SendTo(peer, "m");
    peer.Reset();
    rig.ReadStart(handle);
    CHECK_EQ(MessagesUntil(rig, handle, Kind::kEnd).size(), count);
  }
}

TEST("messages without bytes are told, unless nothing but the end is behind them") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  rig.ReadStart(handle);
  SendTo(peer, "");
  CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 1; }));
  for (int i = 0; i < 100; ++i) SendTo(peer, "");
  SendTo(peer, "a");
  SendTo(peer, "");
  SendTo(peer, "b");
  peer.Reset();
  const Texts told = MessagesUntil(rig, handle, Kind::kEnd);
  CHECK_EQ(told.size(), 104u);
  CHECK_EQ(told[101], "a");
  CHECK_EQ(told[102], "");
  CHECK_EQ(told.back(), "b");
}

TEST("a reset is told behind the messages that came before it") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  CHECK_EQ(rig.SendMessages(handle, {"never read"}), 0);
  for (int i = 0; i < 150; ++i) SendTo(peer, std::to_string(i));
  peer.Reset();
  rig.ReadStart(handle);
  const Texts told = MessagesUntil(rig, handle, Kind::kReadError, -ECONNRESET);
  CHECK_EQ(told.size(), 150u);
  CHECK_EQ(rig.Count(handle, Kind::kEnd), 0u);
}

TEST("sending to a peer that is gone fails, and its messages are told before") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  for (int i = 0; i < 20; ++i) SendTo(peer, "before");
  peer.Reset();
  CHECK_EQ(rig.SendMessages(handle, {"late"}), -EPIPE);
  rig.ReadStart(handle);
  CHECK_EQ(MessagesUntil(rig, handle, Kind::kReadError, -EPIPE).size(), 20u);
}

TEST("a message that is too long is cut, and its full length is told") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  CHECK_OK(rig.engine().SetMessageLimits(handle, {.longest = 10}));
  SendTo(peer, "1234567890");
  SendTo(peer, "12345678901");
  rig.ReadStart(handle);
  CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 2; }));
  CHECK(rig.TakeMessages(handle) == (Texts{"1234567890", "1234567890"}));
  CHECK_EQ(rig.ReceivedColumn(2, 1), 11);
  CHECK_EQ(rig.ReceivedColumn(3, 0), 0);
  CHECK_EQ(rig.ReceivedColumn(3, 1), kMessageTruncated);
}

TEST("what the kernel has no room for waits, in order, and the half-close behind it") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  Texts sent;
  int32_t outcome = 0;
  for (int batch = 0; batch < 40; ++batch) {
    Texts more;
    for (int i = 0; i < 30; ++i)
      more.push_back(std::to_string(batch * 30 + i) + test::Pattern(300));
    sent.insert(sent.end(), more.begin(), more.end());
    outcome = rig.SendMessages(handle, more);
  }
  CHECK_EQ(outcome, kPending);
  const std::string large = test::Pattern(100'000);
  sent.push_back(large);
  CHECK_EQ(rig.SendMessagePayload(handle, {large}), kPending);
  rig.HalfClose(handle);
  CHECK(rig.engine().PendingBytes(handle) > 100'000);
  size_t next = 0;
  while (next < sent.size()) {
    rig.Round(1);
    for (std::string got = DrainOne(peer); got != "(none)" && next < sent.size();
         got = DrainOne(peer)) {
      CHECK(got == sent[next]);
      ++next;
    }
  }
  CHECK_EQ(rig.Await(handle, Kind::kWritten).result, 0);
  CHECK_EQ(rig.Await(handle, Kind::kShutdown).result, 0);
  CHECK_EQ(DrainOne(peer), "");
}

TEST("messages that are sent before the connection is made go out once it is") {
  EngineRig rig;
  rig.ShareMessages();
  const test::Listening listening = test::MakeListener(posix::SocketType::kSeqpacket, 0);
  Fd first = posix::OpenSocket(posix::SocketType::kSeqpacket).value();
  CHECK_OK(posix::Connect(first.get(), listening.address));
  const int32_t handle =
      rig.engine()
          .Connect(listening.address, 10'000'000'000, posix::SocketType::kSeqpacket)
          .value();
  CHECK_EQ(rig.SendMessages(handle, {"early", "bird"}), kPending);
  CHECK_EQ(rig.SendMessagePayload(handle, {"late", "r"}), kPending);
  // Tried again and again in vain meanwhile.
  for (int i = 0; i < 5; ++i) rig.Round(5);
  CHECK(rig.log().empty());
  const Fd accepted = posix::Accept(listening.fd.get()).value();
  CHECK_EQ(rig.Await(handle, Kind::kConnected).result, 0);
  const Fd peer = posix::Accept(listening.fd.get()).value();
  CHECK_EQ(rig.Await(handle, Kind::kWritten).result, 0);
  CHECK_EQ(DrainOne(peer), "early");
  CHECK_EQ(DrainOne(peer), "bird");
  CHECK_EQ(DrainOne(peer), "later");
}

TEST("a message whose memory is gone is not sent") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  rig.LosePayload(handle);
  CHECK_EQ(rig.Submit(handle, SubmissionKind::kSendPayload, 0, 5), -EFAULT);
  CHECK_EQ(rig.Submit(handle, SubmissionKind::kSend, 0, 5000), -EINVAL);
  CHECK_EQ(rig.Write(handle, "a stream's"), -EINVAL);
  CHECK_EQ(DrainOne(peer), "(none)");
}

TEST("messages go into the user's memory, and reading stops where there is none") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  CHECK_OK(rig.engine().SetMessageLimits(handle, {.longest = 100}));
  CHECK_EQ(rig.ReadIntoTarget(handle, 0), 0);
  SendTo(peer, "in vain");
  rig.ReadStart(handle);
  rig.Settle();
  CHECK_EQ(rig.MessageCount(handle), 0u);
  CHECK_EQ(rig.ReadIntoTarget(handle, 250), 0);
  rig.ReadStart(handle);
  CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 1; }));
  CHECK(rig.TakeMessages(handle) == Texts{"in vain"});
}

TEST("options for buffers, and the longest message that follows from them") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  CHECK_EQ(rig.engine().SetMessageLimits(handle, {.send_buffer = 10'000}).value(), 20'000u - 32);
  CHECK_EQ(rig.SendMessages(handle, {std::string(20'000 - 32, 'x')}), 0);
  CHECK_EQ(rig.SendMessages(handle, {std::string(20'000 - 31, 'x')}), -EMSGSIZE);
  CHECK_ERROR(rig.engine().SetMessageLimits(99, {}), EBADF);
}

}  // namespace
}  // namespace afunix::engine
