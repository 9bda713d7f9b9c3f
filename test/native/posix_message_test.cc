#include <poll.h>
#include <signal.h>

#include <string>
#include <vector>

#include "check.h"
#include "posix/credentials.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::posix {
namespace {

using namespace std::literals;
using test::Bytes;
using test::Part;
using test::Text;

std::array<Fd, 2> Pair(SocketType type) { return SocketPair(type).value(); }

// What one receive brings, as text.
std::string ReceiveText(const Fd& fd, size_t capacity = 64) {
  std::vector<std::byte> buffer(capacity);
  const Result<size_t> got = Receive(fd.get(), buffer);
  if (!got.ok()) return "errno " + std::to_string(got.error().code);
  return std::string(Text(std::span(buffer).first(got.value())));
}

// ReceiveMessage into one buffer of `capacity` bytes.
struct Message {
  Result<Received> received;
  std::string text;
};
Message ReceiveOne(const Fd& fd, size_t capacity = 64, int flags = 0,
                   std::span<std::byte> control = {}) {
  std::vector<std::byte> buffer(capacity);
  const iovec part = Part(buffer);
  Message message{ReceiveMessage(fd.get(), std::span(&part, 1), control, flags), {}};
  if (message.received.ok()) {
    const size_t stored = std::min(message.received.value().bytes, capacity);
    message.text = Text(std::span(buffer).first(stored));
  }
  return message;
}

TEST("bytes arrive as they were sent, in pieces of any size") {
  const auto [left, right] = Pair(SocketType::kStream);
  CHECK_EQ(Send(left.get(), Bytes("hello\0world"sv)).value(), 11u);
  CHECK_EQ(ReceiveText(right, 4), "hell");
  CHECK_EQ(ReceiveText(right, 4), "o\0wo"s);
  CHECK_EQ(ReceiveText(right, 64), "rld");
}

TEST("receiving when nothing is there is EAGAIN") {
  const auto [left, right] = Pair(SocketType::kStream);
  std::array<std::byte, 1> buffer;
  CHECK_ERROR(Receive(left.get(), buffer), EAGAIN);
  CHECK_ERROR(ReceiveOne(right).received, EAGAIN);
}

TEST("peeking leaves the bytes where they are") {
  const auto [left, right] = Pair(SocketType::kStream);
  REQUIRE_OK(Send(left.get(), Bytes("peek")));
  std::array<std::byte, 8> buffer;
  CHECK_EQ(Receive(right.get(), buffer, MSG_PEEK).value(), 4u);
  CHECK_EQ(ReceiveText(right), "peek");
}

TEST("a stream takes what fits, says how much, and then is EAGAIN") {
  const auto [left, right] = Pair(SocketType::kStream);
  const std::string big(16 << 20, 'b');
  const Result<size_t> taken = Send(left.get(), Bytes(big));
  REQUIRE_OK(taken);
  CHECK(taken.value() > 0);
  CHECK(taken.value() < big.size());
  CHECK_ERROR(Send(left.get(), Bytes(big)), EAGAIN);

  size_t arrived = 0;
  for (std::string piece; (piece = ReceiveText(right, 65'536)).starts_with('b');) {
    arrived += piece.size();
  }
  CHECK_EQ(arrived, taken.value());
}

TEST("sending where nobody reads any more is EPIPE and raises no SIGPIPE") {
  CHECK(test::InChild([] {
    ::signal(SIGPIPE, SIG_DFL);  // the default ends the process
    for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
      auto [left, right] = Pair(type);
      right.Reset();
      const iovec part = Part("x"sv);
      mmsghdr message{};
      message.msg_hdr.msg_iov = const_cast<iovec*>(&part);
      message.msg_hdr.msg_iovlen = 1;
      CHECK_ERROR(Send(left.get(), Bytes("x")), EPIPE);
      CHECK_ERROR(SendMessage(left.get(), std::span(&part, 1)), EPIPE);
      CHECK_ERROR(SendMessages(left.get(), std::span(&message, 1)), EPIPE);
    }
  }));
}

TEST("many parts leave in one message and arrive in many parts") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  const std::array<iovec, 3> parts = {Part("one,"sv), Part(""sv), Part("two"sv)};
  CHECK_EQ(SendMessage(left.get(), parts).value(), 7u);

  std::array<std::byte, 2> first;
  std::array<std::byte, 16> second;
  const std::array<iovec, 2> places = {Part(first), Part(second)};
  const Result<Received> received = ReceiveMessage(right.get(), places);
  REQUIRE_OK(received);
  CHECK_EQ(received.value().bytes, 7u);
  CHECK_EQ(Text(first), "on"sv);
  CHECK_EQ(Text(std::span(second).first(5)), "e,two"sv);
  CHECK(!received.value().truncated);
  CHECK(!received.value().control_truncated);
}

TEST("a stream glues messages together, SEQPACKET keeps them apart") {
  for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
    const auto [left, right] = Pair(type);
    REQUIRE_OK(Send(left.get(), Bytes("one")));
    REQUIRE_OK(Send(left.get(), Bytes("two")));
    CHECK_EQ(ReceiveText(right), type == SocketType::kStream ? "onetwo"s : "one"s);
  }
}

TEST("a message longer than the buffer is truncated, and the next one is whole") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  REQUIRE_OK(Send(left.get(), Bytes("0123456789")));
  REQUIRE_OK(Send(left.get(), Bytes("next")));
  const Message cut = ReceiveOne(right, 4);
  REQUIRE_OK(cut.received);
  CHECK(cut.received.value().truncated);
  CHECK_EQ(cut.received.value().bytes, 4u);
  CHECK_EQ(cut.text, "0123");
  const Message whole = ReceiveOne(right, 4);
  CHECK(!whole.received.value().truncated);
  CHECK_EQ(whole.text, "next");
}

TEST("with MSG_TRUNC the full length of a truncated message is told") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  REQUIRE_OK(Send(left.get(), Bytes("0123456789")));
  const Message peeked = ReceiveOne(right, 4, MSG_PEEK | MSG_TRUNC);
  CHECK_EQ(peeked.received.value().bytes, 10u);
  const Message cut = ReceiveOne(right, 4, MSG_TRUNC);
  CHECK_EQ(cut.received.value().bytes, 10u);
  CHECK(cut.received.value().truncated);
  CHECK_EQ(cut.text, "0123");
}

TEST("a stream that has more than the buffer is not called truncated") {
  const auto [left, right] = Pair(SocketType::kStream);
  REQUIRE_OK(Send(left.get(), Bytes("0123456789")));
  CHECK(!ReceiveOne(right, 4).received.value().truncated);
}

TEST("with credentials asked for, a zero-length message is told from the end") {
  auto [left, right] = Pair(SocketType::kSeqpacket);
  REQUIRE_OK(SetPassCredentials(right.get(), true));
  REQUIRE_OK(Send(left.get(), {}));
  left.Reset();
  std::array<std::byte, 64> control;
  const Message empty = ReceiveOne(right, 8, 0, control);
  REQUIRE_OK(empty.received);
  CHECK_EQ(empty.received.value().bytes, 0u);
  CHECK(empty.received.value().control_bytes > 0);
  const Message end = ReceiveOne(right, 8, 0, control);
  REQUIRE_OK(end.received);
  CHECK_EQ(end.received.value().bytes, 0u);
  CHECK_EQ(end.received.value().control_bytes, 0u);
}

TEST("a message larger than the send buffer is EMSGSIZE and none of it is sent") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  const auto size = static_cast<size_t>(GetIntOption(left.get(), SOL_SOCKET, SO_SNDBUF).value());
  CHECK_ERROR(Send(left.get(), Bytes(std::string(size, 'x'))), EMSGSIZE);
  CHECK_ERROR(ReceiveOne(right).received, EAGAIN);
  CHECK_EQ(Send(left.get(), Bytes(std::string(size - 32, 'x'))).value(), size - 32);
}

TEST("a stream peer that closes with unread bytes: data first, then ECONNRESET, then the end") {
  auto [left, right] = Pair(SocketType::kStream);
  REQUIRE_OK(Send(left.get(), Bytes("unread")));
  REQUIRE_OK(Send(right.get(), Bytes("data")));
  right.Reset();
  CHECK_EQ(ReceiveText(left), "data");
  CHECK_ERROR(ReceiveOne(left).received, ECONNRESET);
  CHECK_EQ(ReceiveOne(left).received.value().bytes, 0u);
}

TEST("a SEQPACKET peer that closes with unread bytes: ECONNRESET first, then the messages") {
  auto [left, right] = Pair(SocketType::kSeqpacket);
  REQUIRE_OK(Send(left.get(), Bytes("unread")));
  REQUIRE_OK(Send(right.get(), Bytes("one")));
  REQUIRE_OK(Send(right.get(), Bytes("two")));
  right.Reset();
  CHECK_ERROR(ReceiveOne(left).received, ECONNRESET);
  CHECK_EQ(ReceiveText(left), "one");
  CHECK_EQ(ReceiveText(left), "two");
  CHECK_EQ(ReceiveOne(left).received.value().bytes, 0u);
}

TEST("control messages without room for them are dropped, and it is told") {
  const auto [left, right] = Pair(SocketType::kStream);
  REQUIRE_OK(SetPassCredentials(right.get(), true));
  REQUIRE_OK(Send(left.get(), Bytes("x")));
  const Message message = ReceiveOne(right);
  REQUIRE_OK(message.received);
  CHECK_EQ(message.text, "x");
  CHECK(message.received.value().control_truncated);
  CHECK_EQ(message.received.value().control_bytes, 0u);
}

// A batch of messages with a buffer of 8 bytes each.
struct Batch {
  explicit Batch(size_t size) : buffers(size), parts(size), headers(size) {
    for (size_t i = 0; i < size; ++i) {
      parts[i] = Part(buffers[i]);
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void Fill(size_t i, std::string_view text) {
    std::copy_n(Bytes(text).begin(), text.size(), buffers[i].begin());
    parts[i].iov_len = text.size();
  }
  [[nodiscard]] std::string Got(size_t i) const {
    return std::string(Text(std::span(buffers[i]).first(headers[i].msg_len)));
  }

  std::vector<std::array<std::byte, 8>> buffers;
  std::vector<iovec> parts;
  std::vector<mmsghdr> headers;
};

TEST("many messages go and come in one call each") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  Batch out(3);
  out.Fill(0, "one");
  out.Fill(1, "");
  out.Fill(2, "three");
  CHECK_EQ(SendMessages(left.get(), out.headers).value(), 3u);
  CHECK_EQ(out.headers[2].msg_len, 5u);

  Batch in(8);
  CHECK_EQ(ReceiveMessages(right.get(), in.headers).value(), 3u);
  CHECK_EQ(in.Got(0), "one");
  CHECK_EQ(in.Got(1), "");
  CHECK_EQ(in.Got(2), "three");
  CHECK_ERROR(ReceiveMessages(right.get(), in.headers), EAGAIN);
}

TEST("a batch tells truncation message by message") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  REQUIRE_OK(Send(left.get(), Bytes("0123456789")));
  REQUIRE_OK(Send(left.get(), Bytes("short")));
  Batch in(2);
  CHECK_EQ(ReceiveMessages(right.get(), in.headers).value(), 2u);
  CHECK((in.headers[0].msg_hdr.msg_flags & MSG_TRUNC) != 0);
  CHECK_EQ(in.Got(0), "01234567");
  CHECK((in.headers[1].msg_hdr.msg_flags & MSG_TRUNC) == 0);
}

TEST("at the end of input a batch is filled with messages of length 0") {
  auto [left, right] = Pair(SocketType::kSeqpacket);
  REQUIRE_OK(Send(left.get(), Bytes("last")));
  left.Reset();
  Batch in(5);
  CHECK_EQ(ReceiveMessages(right.get(), in.headers).value(), 5u);
  CHECK_EQ(in.Got(0), "last");
  for (size_t i = 1; i < 5; ++i) CHECK_EQ(in.headers[i].msg_len, 0u);
}

TEST("a batch that does not fit is cut between messages, and the rest is EAGAIN") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  size_t sent = 0;
  for (;;) {
    Batch out(1000);
    for (size_t i = 0; i < 1000; ++i) out.Fill(i, "12345678");
    const Result<size_t> taken = SendMessages(left.get(), out.headers);
    if (!taken.ok()) {
      CHECK_ERROR(taken, EAGAIN);
      break;
    }
    sent += taken.value();
  }
  CHECK(sent > 0);
  Batch in(1000);
  size_t received = 0;
  for (Result<size_t> got = 0; (got = ReceiveMessages(right.get(), in.headers)).ok();) {
    received += got.value();
  }
  CHECK_EQ(received, sent);
}

TEST("an error after the first message of a batch waits for the next call") {
  auto [left, right] = Pair(SocketType::kSeqpacket);
  Batch out(2);
  out.Fill(0, "fits");
  const std::string huge(16 << 20, 'h');
  out.parts[1] = Part(huge);
  CHECK_EQ(SendMessages(left.get(), out.headers).value(), 1u);
  CHECK_ERROR(SendMessages(left.get(), std::span(out.headers).subspan(1)), EMSGSIZE);
  CHECK_EQ(ReceiveText(right), "fits");
}

TEST("every message call on a descriptor that is not open is EBADF") {
  Batch batch(1);
  CHECK_ERROR(Send(-1, Bytes("x")), EBADF);
  CHECK_ERROR(Receive(-1, batch.buffers[0]), EBADF);
  CHECK_ERROR(SendMessage(-1, batch.parts), EBADF);
  CHECK_ERROR(ReceiveMessage(-1, batch.parts), EBADF);
  CHECK_ERROR(SendMessages(-1, batch.headers), EBADF);
  CHECK_ERROR(ReceiveMessages(-1, batch.headers), EBADF);
}

TEST("flags of a plain send reach the kernel") {
  const auto [left, right] = Pair(SocketType::kSeqpacket);
  CHECK_EQ(Send(left.get(), Bytes("x"), MSG_EOR | MSG_DONTWAIT).value(), 1u);
  CHECK_ERROR(Send(left.get(), Bytes("x"), MSG_OOB), EOPNOTSUPP);
  CHECK_EQ(ReceiveText(right), "x");
}

}  // namespace
}  // namespace afunix::posix
