// Descriptors that travel with data, and the descriptor of a connection that is given up.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine_rig.h"
#include "posix/ancillary.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using posix::Fd;
using test::Bytes;
using test::EngineRig;
using Kind = CompletionKind;

// Sends `count` copies of a descriptor along with `text`.
void SendWith(const Fd& peer, std::string_view text, size_t count) {
  const std::vector<int> descriptors(count, STDIN_FILENO);
  posix::AncillaryWriter control;
  CHECK_OK(control.AddDescriptors(descriptors));
  const iovec part = test::Part(text);
  const auto sent = posix::SendMessage(peer.get(), {&part, 1}, control.bytes());
  CHECK_OK(sent);
}

// Copies of a descriptor, to be given away.
std::vector<Fd> Copies(std::vector<int> of) {
  std::vector<Fd> copies;
  for (const int fd : of) copies.push_back(posix::Duplicate(fd).value());
  return copies;
}

EngineRig::Connection Taking(EngineRig& rig, size_t most) {
  auto connection = rig.Make(EngineRig::Origin::kAdopted);
  CHECK_OK(rig.engine().SetMaxDescriptors(connection.handle, most, 1000));
  rig.ReadStart(connection.handle);
  return connection;
}

TEST("descriptors are told before the data that they came with, and claimed once") {
  EngineRig rig;
  auto connection = Taking(rig, 4);
  SendWith(connection.peer, "hello", 3);
  const std::vector<test::Event> events = rig.Round(1000);
  REQUIRE(events.size() == 2);
  CHECK(events[0].kind == Kind::kDescriptors);
  CHECK_EQ(events[0].result, 3);
  CHECK_EQ(events[1].bytes, "hello");
  for (size_t i = 0; i < 3; ++i) {
    const Fd claimed = rig.engine().ClaimDescriptor(static_cast<size_t>(events[0].offset) + i);
    CHECK(test::SameFile(claimed.get(), STDIN_FILENO));
    CHECK((::fcntl(claimed.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(!rig.engine().ClaimDescriptor(static_cast<size_t>(events[0].offset) + i).valid());
  }
}

TEST("what nobody claims is closed by the next collection, and by the engine's end") {
  const size_t before = test::OpenDescriptorCount();
  {
    EngineRig rig;
    auto connection = Taking(rig, 4);
    rig.Settle();
    const size_t idle = test::OpenDescriptorCount();
    SendWith(connection.peer, "x", 4);
    (void)rig.Await(connection.handle, Kind::kDescriptors);
    rig.Settle();
    (void)rig.Round();
    CHECK_EQ(test::OpenDescriptorCount(), idle);
    CHECK(!rig.engine().ClaimDescriptor(0).valid());
    SendWith(connection.peer, "x", 4);
    (void)rig.Await(connection.handle, Kind::kDescriptors);
  }
  CHECK_EQ(test::OpenDescriptorCount(), before);
}

TEST("a message with more of them than are taken: all closed, the data told, then the error") {
  EngineRig rig;
  auto connection = Taking(rig, 2);
  rig.Settle();
  const size_t idle = test::OpenDescriptorCount();
  SendWith(connection.peer, "too many", 3);
  CHECK_EQ(rig.Await(connection.handle, Kind::kDescriptors).result, -E2BIG);
  CHECK_EQ(rig.TakeReceived(connection.handle), "too many");
  CHECK_EQ(test::OpenDescriptorCount(), idle);
}

TEST("bytes before and behind descriptors are read without waiting for more") {
  EngineRig rig;
  auto connection = Taking(rig, 2);
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string text = "message " + std::to_string(i) + ' ';
    CHECK_OK(posix::Send(connection.peer.get(), Bytes(text)));
    SendWith(connection.peer, text, 1);
    expected += text + text;
  }
  CHECK(rig.RunUntil([&] { return rig.ReceivedSize(connection.handle) == expected.size(); }));
  CHECK_EQ(rig.TakeReceived(connection.handle), expected);
  CHECK_EQ(rig.Count(connection.handle, Kind::kDescriptors), 20u);
}

TEST("a collection tells no more descriptors than the table holds, and none is lost") {
  EngineRig rig;
  std::vector<EngineRig::Connection> connections;
  constexpr size_t kEach = 60;
  for (int i = 0; i < 20; ++i) {
    connections.push_back(Taking(rig, kEach));
    SendWith(connections.back().peer, "x", kEach);
  }
  size_t told = 0;
  for (int round = 0; round < 100 && told < connections.size() * kEach; ++round) {
    size_t now = 0;
    for (const test::Event& event : rig.Round(1000)) {
      CHECK(event.result > 0);
      if (event.kind == Kind::kDescriptors) now += static_cast<size_t>(event.result);
    }
    CHECK(now <= kDescriptorCapacity);
    told += now;
  }
  CHECK_EQ(told, connections.size() * kEach);
}

TEST("descriptors leave with the first byte of the payload that they were attached to") {
  EngineRig rig;
  auto connection = rig.Make(EngineRig::Origin::kAdopted);
  const size_t before = test::OpenDescriptorCount();
  CHECK_OK(rig.engine().AttachDescriptors(connection.handle, Copies({0, 2})));
  CHECK_EQ(test::OpenDescriptorCount(), before + 2);
  CHECK_EQ(rig.WritePayload(connection.handle, {"pay", "load"}), 0);
  CHECK_EQ(test::OpenDescriptorCount(), before);
  CHECK_EQ(rig.WritePayload(connection.handle, {"next"}), 0);

  std::array<std::byte, 64> bytes;
  alignas(cmsghdr) std::array<std::byte, 256> control;
  const iovec part{bytes.data(), bytes.size()};
  const auto received = posix::ReceiveMessage(connection.peer.get(), {&part, 1}, control);
  REQUIRE_OK(received);
  const std::span<const std::byte> brought(control);
  const posix::AncillaryReader ancillary(brought.first(received.value().control_bytes));
  CHECK_EQ(ancillary.descriptors().size(), 2u);
  CHECK_EQ(test::Text(std::span(bytes).first(received.value().bytes)), "payload");
  CHECK_EQ(test::Drain(connection.peer), "next");
}

TEST("wrong handles and numbers of descriptors are refused") {
  EngineRig rig;
  auto connection = rig.Make();
  const size_t before = test::OpenDescriptorCount();
  const std::vector<int> many(posix::kMaximumDescriptors + 1, STDIN_FILENO);
  CHECK_ERROR(rig.engine().AttachDescriptors(connection.handle, {}), EINVAL);
  CHECK_ERROR(rig.engine().AttachDescriptors(connection.handle, Copies(many)), EINVAL);
  CHECK_ERROR(rig.engine().AttachDescriptors(1000, Copies({0})), EBADF);
  CHECK_EQ(test::OpenDescriptorCount(), before);
  CHECK_ERROR(rig.engine().SetMaxDescriptors(connection.handle, many.size(), 1000), EINVAL);
  CHECK_ERROR(rig.engine().SetMaxDescriptors(1000, 1, 1000), EBADF);
  CHECK(!rig.engine().ClaimDescriptor(0).valid());
  CHECK_EQ(rig.WritePayload(connection.handle, {test::Pattern(16 << 20)}), kPending);
  CHECK_ERROR(rig.engine().AttachDescriptors(connection.handle, Copies({0})), EALREADY);
}

TEST("each message tells how many descriptors came with it, and where they are") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto [handle, peer] = rig.MakeMessages(origin);
    CHECK_OK(rig.engine().SetMaxDescriptors(handle, 3, 1000));
    CHECK_OK(posix::Send(peer.get(), Bytes("none")));
    SendWith(peer, "two", 2);
    SendWith(peer, "", 1);
    SendWith(peer, "three", 3);
    rig.ReadStart(handle);
    CHECK(rig.RunUntil([&, handle = handle] { return rig.MessageCount(handle) == 4; }));
    CHECK(rig.TakeMessages(handle) == (std::vector<std::string>{"none", "two", "", "three"}));
    CHECK_EQ(rig.ReceivedColumn(3, 0), 0);
    int32_t place = 0;
    for (const size_t row : {1, 2, 3}) {
      CHECK_EQ(rig.ReceivedColumn(3, row), kDescriptorsCame);
      CHECK_EQ(rig.ReceivedColumn(4, row), row == 1 ? 2 : row == 2 ? 1 : 3);
      CHECK_EQ(rig.ReceivedColumn(5, row), place);
      place += rig.ReceivedColumn(4, row);
    }
    for (size_t i = 0; i < 6; ++i) {
      const Fd claimed = rig.engine().ClaimDescriptor(i);
      CHECK(test::SameFile(claimed.get(), STDIN_FILENO));
      CHECK((::fcntl(claimed.get(), F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK_EQ(rig.Count(handle, Kind::kDescriptors), 0u);
  }
}

TEST("a message with more descriptors than are taken: all closed, told, then the error") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  CHECK_OK(rig.engine().SetMaxDescriptors(handle, 2, 1000));
  const size_t idle = test::OpenDescriptorCount();
  SendWith(peer, "enough", 2);
  SendWith(peer, "too many", 3);
  rig.ReadStart(handle);
  CHECK_EQ(rig.Await(handle, Kind::kDescriptors).result, -E2BIG);
  CHECK(rig.TakeMessages(handle) == (std::vector<std::string>{"enough", "too many"}));
  CHECK_EQ(rig.ReceivedColumn(3, 1), kDescriptorsDropped);
  CHECK_EQ(test::OpenDescriptorCount(), idle + 2);
  (void)rig.Round();
  CHECK_EQ(test::OpenDescriptorCount(), idle);
}

TEST("messages tell no more descriptors in a collection than the table holds, and none is lost") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages(EngineRig::Origin::kAdopted);
  CHECK_OK(rig.engine().SetMaxDescriptors(handle, 253, 1000));
  size_t told = 0;
  size_t sent = 0;
  for (int i = 0; i < 40; ++i) {
    const size_t count = i % 2 == 0 ? 200 : 1;
    SendWith(peer, "x", count);
    sent += count;
  }
  rig.ReadStart(handle);
  for (int round = 0; round < 100 && told < sent; ++round) {
    size_t now = 0;
    for (const test::Event& event : rig.Round(1000)) {
      CHECK(event.kind == Kind::kMessages);
      for (int32_t i = 0; i < event.result; ++i) {
        now += static_cast<size_t>(rig.ReceivedColumn(4, static_cast<size_t>(event.offset + i)));
      }
    }
    CHECK(now <= kDescriptorCapacity);
    told += now;
  }
  CHECK_EQ(told, sent);
}

TEST("messages that wait take their own descriptors along, which are closed when they left") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  const size_t before = test::OpenDescriptorCount();
  size_t sent = 0;
  for (int waiting = 0; waiting < 40; ++sent) {
    if (sent % 3 == 0) {
      CHECK_OK(rig.engine().AttachDescriptors(handle, Copies(std::vector<int>(1 + sent % 7, 0))));
    }
    const auto outcome =
        rig.SendMessagePayload(handle, {std::to_string(sent), test::Pattern(3000)});
    if (outcome == kPending) ++waiting;
  }
  CHECK(test::OpenDescriptorCount() > before);
  std::vector<std::byte> bytes(4000);
  alignas(cmsghdr) std::array<std::byte, posix::kControlSize> control;
  size_t got = 0;
  CHECK(rig.RunUntil([&, handle = handle, &peer = peer] {
    for (;;) {
      const iovec part{bytes.data(), bytes.size()};
      const auto received = posix::ReceiveMessage(peer.get(), {&part, 1}, control);
      if (!received.ok()) return got == sent;
      const std::span<const std::byte> brought(control);
      const posix::AncillaryReader ancillary(brought.first(received.value().control_bytes));
      CHECK_EQ(ancillary.descriptors().size(), got % 3 == 0 ? 1 + got % 7 : 0);
      const std::string number = std::to_string(got++);
      CHECK_EQ(test::Text(std::span(bytes).first(number.size())), number);
    }
  }));
  CHECK_EQ(rig.Await(handle, Kind::kWritten).result, 0);
  CHECK_EQ(test::OpenDescriptorCount(), before);
}

TEST("a message socket that closes closes what waits to leave") {
  EngineRig rig;
  auto [handle, peer] = rig.MakeMessages();
  const size_t before = test::OpenDescriptorCount();
  int32_t outcome = 0;
  while (outcome == 0) {
    CHECK_OK(rig.engine().AttachDescriptors(handle, Copies({0, 1, 2})));
    outcome = rig.SendMessagePayload(handle, {test::Pattern(3000)});
  }
  CHECK_OK(rig.engine().AttachDescriptors(handle, Copies({0})));
  CHECK_EQ(test::OpenDescriptorCount(), before + 4);
  rig.Close(handle);
  CHECK_EQ(rig.Await(handle, Kind::kClosed).result, 0);
  CHECK_EQ(test::OpenDescriptorCount(), before - 1);
}

TEST("a detached connection is given up with what was received and not told") {
  for (const auto origin : test::kAllOrigins) {
    EngineRig rig;
    auto connection = rig.Make(origin);
    rig.ReadStart(connection.handle);
    const std::string text = test::Pattern(50'000);
    CHECK_OK(posix::Send(connection.peer.get(), Bytes(text)));
    rig.ReadStop(connection.handle);
    const int number = rig.engine().DescriptorOf(connection.handle);
    std::vector<std::byte> unread;
    auto given = rig.engine().Detach(connection.handle, unread);
    REQUIRE_OK(given);
    CHECK_EQ(given.value().get(), number);
    CHECK(std::string(test::Text(unread)) + test::Drain(given.value()) == text);
    CHECK_EQ(rig.Await(connection.handle, Kind::kClosed).result, 0);
    // It is nobody's but the caller's: the engine neither reads nor closes it.
    CHECK_OK(posix::Send(connection.peer.get(), Bytes("more")));
    rig.Settle();
    CHECK_EQ(test::Drain(given.value()), "more");
    CHECK_OK(posix::Send(given.value().get(), Bytes("answer")));
    CHECK_EQ(test::Drain(connection.peer), "answer");
  }
}

TEST("a connection with a write under way can't be detached, nor what is no connection") {
  EngineRig rig;
  auto connection = rig.Make();
  CHECK_EQ(rig.WritePayload(connection.handle, {test::Pattern(16 << 20)}), kPending);
  std::vector<std::byte> unread;
  CHECK_ERROR(rig.engine().Detach(connection.handle, unread), EBUSY);
  CHECK_ERROR(rig.engine().Detach(1000, unread), EBADF);
}

}  // namespace
}  // namespace afunix::engine
