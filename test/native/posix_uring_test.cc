// An io_uring by itself: answers are made only when they are asked for, and whoever waits for its
// eventfd never misses one. Where the kernel gives none, each test says so.
#include "posix/uring.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "check.h"
#include "posix/event_fd.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::posix {
namespace {

using test::Bytes;

// None, and a note, where io_uring is denied or the kernel is older than 6.1.
std::optional<Uring> OpenRing(uint32_t requests = 8, uint32_t answers = 16) {
  auto ring = Uring::Open(requests, answers);
  if (ring.ok()) return std::move(ring).value();
  const int code = ring.error().code;
  CHECK(code == ENOSYS || code == EPERM || code == EINVAL);
  check::Note(std::string("no io_uring here: ") + std::strerror(code));
  return std::nullopt;
}

void AskForBytes(Uring& ring, int fd, uint64_t tag, uint16_t group = 0, uint32_t flags = 0) {
  uring::Request& request = ring.NextRequest();
  request.operation = uring::kReceive;
  request.fd = fd;
  request.priority = uring::kReceiveMultishot;
  request.flags = uring::kSelectBuffer;
  request.buffer_group = group;
  request.operation_flags = flags;
  request.tag = tag;
}

std::vector<uring::Answer> TakeAll(Uring& ring) {
  std::vector<uring::Answer> answers;
  for (uring::Answer answer{}; ring.Take(answer);) answers.push_back(answer);
  return answers;
}

TEST("a request that does nothing is answered with its tag") {
  auto ring = OpenRing();
  if (!ring) return;
  uring::Request& request = ring->NextRequest();
  request.operation = uring::kNop;
  request.tag = 0x1122334455667788;
  CHECK_EQ(ring->unsubmitted(), 1u);
  CHECK(ring->HasWork());
  REQUIRE_OK(ring->Enter(true));
  CHECK_EQ(ring->unsubmitted(), 0u);
  const auto answers = TakeAll(*ring);
  REQUIRE(answers.size() == 1);
  CHECK_EQ(answers[0].tag, 0x1122334455667788u);
  CHECK_EQ(answers[0].result, 0);
  CHECK(!ring->HasWork());
}

TEST("a ring has room for as many requests as it was opened for, again after each entry") {
  auto ring = OpenRing(4, 8);
  if (!ring) return;
  for (int round = 0; round < 5; ++round) {
    const uint32_t first = ring->place();
    for (uint32_t i = 0; i < 4; ++i) {
      CHECK(ring->HasRoom());
      ring->NextRequest().tag = i;
    }
    CHECK(!ring->HasRoom());
    CHECK_EQ(ring->Unsubmitted(first + 2).tag, 2u);
    CHECK(ring->IsUnsubmitted(first) && ring->IsUnsubmitted(first + 3));
    CHECK(!ring->IsUnsubmitted(first - 1) && !ring->IsUnsubmitted(first + 4));
    REQUIRE_OK(ring->Enter(true));
    CHECK(!ring->IsUnsubmitted(first + 3));
    CHECK_EQ(TakeAll(*ring).size(), 4u);
  }
}

TEST(
    "requests for which there is no room wait, in order, and can be changed until they are taken") {
  auto ring = OpenRing(4, 32);
  if (!ring) return;
  const uint32_t first = ring->place();
  for (uint32_t i = 0; i < 11; ++i) ring->NextRequest().tag = i;
  CHECK_EQ(ring->unsubmitted(), 11u);
  CHECK_EQ(ring->Unsubmitted(first + 9).tag, 9u);
  ring->Unsubmitted(first + 9).tag = 900;
  ring->Unsubmitted(first + 1).tag = 100;
  std::vector<uint64_t> tags;
  for (const uint32_t left : {7u, 3u, 0u}) {
    REQUIRE_OK(ring->Enter(true));
    CHECK_EQ(ring->unsubmitted(), left);
    CHECK_EQ(ring->IsUnsubmitted(first + 10), left > 0);
    for (const auto& answer : TakeAll(*ring)) tags.push_back(answer.tag);
  }
  CHECK((tags == std::vector<uint64_t>{0, 100, 2, 3, 4, 5, 6, 7, 8, 900, 10}));
  CHECK(!ring->HasWork());
}

TEST("more answers than there is room for are kept by the kernel, and none is lost") {
  auto ring = OpenRing(8, 8);
  if (!ring) return;
  size_t told = 0;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) ring->NextRequest().operation = uring::kNop;
    REQUIRE_OK(ring->Enter(false));
  }
  CHECK(ring->HasWork());
  for (int i = 0; i < 10 && ring->HasWork(); ++i) {
    told += TakeAll(*ring).size();
    REQUIRE_OK(ring->Enter(true));
  }
  told += TakeAll(*ring).size();
  CHECK_EQ(told, 32u);
}

TEST("a send that must not wait is answered before the entry returns") {
  auto ring = OpenRing();
  if (!ring) return;
  auto pair = SocketPair(SocketType::kStream).value();
  uring::Request& request = ring->NextRequest();
  request.operation = uring::kSend;
  request.fd = pair[0].get();
  request.address = reinterpret_cast<uint64_t>("hello");
  request.length = 5;
  request.operation_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  REQUIRE_OK(ring->Enter(false));
  const auto answers = TakeAll(*ring);
  REQUIRE(answers.size() == 1);
  CHECK_EQ(answers[0].result, 5);
}

TEST("a multishot receive fills one buffer after the other, until it is out of them") {
  auto ring = OpenRing();
  if (!ring) return;
  std::vector<std::byte> memory(4 * 16);
  auto buffers = ring->ProvideBuffers(0, memory, 4, 16);
  REQUIRE_OK(buffers);
  auto pair = SocketPair(SocketType::kStream).value();
  AskForBytes(*ring, pair[0].get(), 7);
  REQUIRE_OK(ring->Enter(true));
  CHECK(TakeAll(*ring).empty());

  std::vector<uint16_t> used;
  for (const std::string text : {"one", "two", "three", "four"}) {
    REQUIRE_OK(Send(pair[1].get(), Bytes(text)));
    CHECK(ring->HasWork());
    REQUIRE_OK(ring->Enter(true));
    const auto answers = TakeAll(*ring);
    REQUIRE(answers.size() == 1);
    CHECK_EQ(answers[0].tag, 7u);
    CHECK_EQ(answers[0].result, static_cast<int>(text.size()));
    REQUIRE((answers[0].flags & uring::kHasBuffer) != 0);
    const auto id = static_cast<uint16_t>(answers[0].flags >> uring::kBufferShift);
    used.push_back(id);
    CHECK_EQ(test::Text(buffers.value().Of(id, text.size())), text);
  }
  REQUIRE_OK(Send(pair[1].get(), Bytes("five")));
  REQUIRE_OK(ring->Enter(true));
  auto answers = TakeAll(*ring);
  REQUIRE(answers.size() == 1);
  CHECK_EQ(answers[0].result, -ENOBUFS);
  CHECK_EQ(answers[0].flags & uring::kHasMore, 0u);

  buffers.value().Recycle(used);
  AskForBytes(*ring, pair[0].get(), 8);
  REQUIRE_OK(ring->Enter(true));
  answers = TakeAll(*ring);
  REQUIRE(answers.size() == 1);
  CHECK_EQ(answers[0].tag, 8u);
  CHECK_EQ(answers[0].result, 4);
}

TEST("of a message that is longer than its buffer the answer tells the full length") {
  auto ring = OpenRing();
  if (!ring) return;
  std::vector<std::byte> bytes(4 * 16);
  std::vector<std::byte> memory(4 * 16);
  auto others = ring->ProvideBuffers(0, bytes, 4, 16);
  auto buffers = ring->ProvideBuffers(1, memory, 4, 16);
  REQUIRE_OK(others);
  REQUIRE_OK(buffers);
  auto pair = SocketPair(SocketType::kSeqpacket).value();
  AskForBytes(*ring, pair[0].get(), 7, 1, MSG_TRUNC);
  const std::string longer = "0123456789abcdef tail";
  REQUIRE_OK(Send(pair[1].get(), Bytes(longer)));
  REQUIRE_OK(Send(pair[1].get(), Bytes("next")));
  REQUIRE_OK(Send(pair[1].get(), Bytes("")));
  REQUIRE_OK(ring->Enter(true));
  const auto answers = TakeAll(*ring);
  REQUIRE(answers.size() == 3);
  CHECK_EQ(answers[0].result, static_cast<int>(longer.size()));
  CHECK_EQ(answers[1].result, 4);
  const auto first = static_cast<uint16_t>(answers[0].flags >> uring::kBufferShift);
  const auto second = static_cast<uint16_t>(answers[1].flags >> uring::kBufferShift);
  CHECK_EQ(test::Text(buffers.value().Of(first, 16)), longer.substr(0, 16));
  CHECK_EQ(test::Text(buffers.value().Of(second, 4)), "next");
  // A message without bytes looks like the end, and ends the request.
  CHECK_EQ(answers[2].result, 0);
  CHECK_EQ(answers[2].flags & uring::kHasMore, 0u);
}

TEST("the eventfd is signalled for what arrives while notification is on, and only then") {
  auto ring = OpenRing();
  if (!ring) return;
  auto wake = EventFd::Open().value();
  REQUIRE_OK(ring->RegisterEventFd(wake.descriptor()));
  std::vector<std::byte> memory(4 * 16);
  auto buffers = ring->ProvideBuffers(0, memory, 4, 16);
  REQUIRE_OK(buffers);
  auto pair = SocketPair(SocketType::kStream).value();
  AskForBytes(*ring, pair[0].get(), 1);
  REQUIRE_OK(ring->Enter(true));

  ring->Notify(false);
  REQUIRE_OK(Send(pair[1].get(), Bytes("x")));
  CHECK(!test::Polls(wake.descriptor(), POLLIN));
  // What came meanwhile is seen here instead.
  ring->Notify(true);
  CHECK(ring->HasWork());
  REQUIRE_OK(ring->Enter(true));
  CHECK_EQ(TakeAll(*ring).size(), 1u);
  wake.Drain();

  REQUIRE_OK(Send(pair[1].get(), Bytes("y")));
  CHECK(test::Polls(wake.descriptor(), POLLIN));
}

TEST("a request that is cancelled comes back, and lets go of its file") {
  auto ring = OpenRing();
  if (!ring) return;
  std::vector<std::byte> memory(4 * 16);
  auto buffers = ring->ProvideBuffers(0, memory, 4, 16);
  REQUIRE_OK(buffers);
  auto pair = SocketPair(SocketType::kStream).value();
  AskForBytes(*ring, pair[0].get(), 5);
  REQUIRE_OK(ring->Enter(true));
  pair[0].Reset();
  std::array<std::byte, 1> buffer;
  CHECK_ERROR(Receive(pair[1].get(), buffer, MSG_DONTWAIT), EAGAIN);

  uring::Request& cancel = ring->NextRequest();
  cancel.operation = uring::kAsyncCancel;
  cancel.fd = -1;
  cancel.address = 5;
  cancel.flags = uring::kNoAnswerOnSuccess;
  REQUIRE_OK(ring->Enter(true));
  const auto answers = TakeAll(*ring);
  REQUIRE(answers.size() == 1);
  CHECK_EQ(answers[0].tag, 5u);
  CHECK_EQ(answers[0].result, -ECANCELED);
  CHECK_EQ(Receive(pair[1].get(), buffer).value(), 0u);
}

TEST("buffers that the memory has no room for are refused") {
  auto ring = OpenRing();
  if (!ring) return;
  std::vector<std::byte> memory(63);
  CHECK_ERROR(ring->ProvideBuffers(0, memory, 4, 16), EINVAL);
}

TEST("a ring that was moved works on, and closes once") {
  auto ring = OpenRing();
  if (!ring) return;
  Uring moved = std::move(*ring);
  CHECK(!ring->open());
  CHECK(moved.open());
  moved.NextRequest().operation = uring::kNop;
  REQUIRE_OK(moved.Enter(true));
  CHECK_EQ(TakeAll(moved).size(), 1u);
}

}  // namespace
}  // namespace afunix::posix
