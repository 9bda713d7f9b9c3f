#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "check.h"
#include "posix/ancillary.h"
#include "posix/kernel_constants.h"
#include "posix/message.h"
#include "posix/socket.h"
#include "support.h"

namespace afunix::posix {
namespace {

using namespace std::literals;
using test::Bytes;
using test::IsOpen;
using test::OpenDescriptorCount;
using test::Part;
using test::SameFile;

std::vector<Fd> OpenFiles(const test::TemporaryDirectory& directory, size_t count) {
  std::vector<Fd> files;
  for (size_t i = 0; i < count; ++i) {
    const std::string path = directory / std::to_string(i);
    files.emplace_back(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  }
  return files;
}

std::vector<int> Numbers(const std::vector<Fd>& fds) {
  std::vector<int> numbers;
  numbers.reserve(fds.size());
  for (const Fd& fd : fds) numbers.push_back(fd.get());
  return numbers;
}

Result<size_t> SendWith(const Fd& fd, std::string_view text, const AncillaryWriter& control) {
  const iovec part = Part(text);
  return SendMessage(fd.get(), std::span(&part, 1), control.bytes());
}

Result<size_t> SendDescriptors(const Fd& fd, std::string_view text, const std::vector<Fd>& fds) {
  AncillaryWriter writer;
  const Status added = writer.AddDescriptors(Numbers(fds));
  if (!added.ok()) return added.error();
  return SendWith(fd, text, writer);
}

// One received message with its control messages read.
struct Message {
  Received received;
  std::string text;
  AncillaryReader ancillary{{}};
};
Message ReceiveWith(const Fd& fd, size_t control_size, size_t capacity = 64, int flags = 0) {
  std::vector<std::byte> buffer(capacity);
  std::vector<std::byte> control(control_size);
  const iovec part = Part(buffer);
  const Result<Received> received = ReceiveMessage(fd.get(), std::span(&part, 1), control, flags);
  if (!received.ok()) {
    check::Fail(__FILE__, __LINE__, "recvmsg: errno " + std::to_string(received.error().code));
    return {};
  }
  return Message{received.value(),
                 std::string(test::Text(std::span(buffer).first(received.value().bytes))),
                 AncillaryReader(std::span(control).first(received.value().control_bytes))};
}

TEST("descriptors arrive in order, as the same files, close-on-exec") {
  for (const size_t count : {1u, 2u, 3u}) {
    const test::TemporaryDirectory directory;
    const std::vector<Fd> files = OpenFiles(directory, count);
    const auto pair = SocketPair(SocketType::kStream).value();
    REQUIRE_EQ(SendDescriptors(pair[0], "take", files).value(), 4u);

    Message message = ReceiveWith(pair[1], ControlBufferSize(count, false));
    CHECK_EQ(message.text, "take");
    CHECK(!message.received.control_truncated);
    const std::vector<Fd> taken = message.ancillary.TakeDescriptors();
    REQUIRE_EQ(taken.size(), count);
    for (size_t i = 0; i < count; ++i) {
      CHECK(SameFile(taken[i].get(), files[i].get()));
      CHECK(taken[i].get() != files[i].get());
      CHECK_EQ(::fcntl(taken[i].get(), F_GETFD), FD_CLOEXEC);
    }
  }
}

TEST("a SEQPACKET message carries descriptors, also without a single byte") {
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 1);
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  REQUIRE_EQ(SendDescriptors(pair[0], "", files).value(), 0u);
  Message message = ReceiveWith(pair[1], ControlBufferSize(1, false));
  CHECK_EQ(message.received.bytes, 0u);
  const std::vector<Fd> taken = message.ancillary.TakeDescriptors();
  REQUIRE_EQ(taken.size(), 1u);
  CHECK(SameFile(taken[0].get(), files[0].get()));
}

TEST("253 descriptors go in one message, 254 are EINVAL") {
  const test::TemporaryDirectory directory;
  const std::vector<Fd> file = OpenFiles(directory, 1);
  const std::vector<int> most(kMaximumDescriptors, file[0].get());
  const auto pair = SocketPair(SocketType::kStream).value();
  AncillaryWriter writer;
  REQUIRE_OK(writer.AddDescriptors(most));
  REQUIRE_OK(SendWith(pair[0], "x", writer));
  Message message = ReceiveWith(pair[1], ControlBufferSize(kMaximumDescriptors, false));
  CHECK(!message.received.control_truncated);
  CHECK_EQ(message.ancillary.descriptors().size(), kMaximumDescriptors);

  AncillaryWriter one_more;
  CHECK_ERROR(one_more.AddDescriptors(std::vector<int>(254, file[0].get())), EINVAL);
  CHECK(one_more.bytes().empty());
}

TEST("253 is the kernel's own limit") {
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> half(127, file.get());
  const auto pair = SocketPair(SocketType::kStream).value();
  // 254 in two control messages of one message.
  AncillaryWriter writer;
  REQUIRE_OK(writer.AddDescriptors(half));
  REQUIRE_OK(writer.AddDescriptors(half));
  CHECK_ERROR(SendWith(pair[0], "x", writer), EINVAL);
}

TEST("descriptors in several control messages arrive together, in order") {
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 3);
  const std::vector<int> numbers = Numbers(files);
  const auto pair = SocketPair(SocketType::kStream).value();
  AncillaryWriter writer;
  REQUIRE_OK(writer.AddDescriptors(std::span(numbers).first(1)));
  REQUIRE_OK(writer.AddDescriptors(std::span(numbers).last(2)));
  REQUIRE_OK(SendWith(pair[0], "x", writer));
  const Message message = ReceiveWith(pair[1], ControlBufferSize(3, false));
  REQUIRE_EQ(message.ancillary.descriptors().size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(SameFile(message.ancillary.descriptors()[i].get(), files[i].get()));
  }
}

TEST("adding no descriptors adds nothing") {
  AncillaryWriter writer;
  CHECK_OK(writer.AddDescriptors({}));
  CHECK(writer.bytes().empty());
}

TEST("sending a descriptor that is not open is EBADF") {
  const auto pair = SocketPair(SocketType::kStream).value();
  AncillaryWriter writer;
  const int closed = -1;
  REQUIRE_OK(writer.AddDescriptors(std::span(&closed, 1)));
  CHECK_ERROR(SendWith(pair[0], "x", writer), EBADF);
}

TEST("a buffer for n descriptors admits exactly n, odd or even") {
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 8);
  for (const size_t room : {1u, 2u, 3u, 4u, 7u}) {
    const auto pair = SocketPair(SocketType::kStream).value();
    REQUIRE_OK(SendDescriptors(pair[0], "x", files));
    const size_t before = OpenDescriptorCount();
    {
      const Message message = ReceiveWith(pair[1], ControlBufferSize(room, false));
      CHECK(message.received.control_truncated);
      CHECK_EQ(message.ancillary.descriptors().size(), room);
      CHECK_EQ(OpenDescriptorCount(), before + room);
    }
    CHECK_EQ(OpenDescriptorCount(), before);
  }
}

TEST("no room at all drops the descriptors and tells") {
  const test::TemporaryDirectory directory;
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(SendDescriptors(pair[0], "x", OpenFiles(directory, 3)));
  const size_t before = OpenDescriptorCount();
  const Message message = ReceiveWith(pair[1], ControlBufferSize(0, false));
  CHECK_EQ(message.text, "x");
  CHECK(message.received.control_truncated);
  CHECK_EQ(OpenDescriptorCount(), before);
}

TEST("a plain receive drops descriptors without a trace, and none leaks") {
  const test::TemporaryDirectory directory;
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(SendDescriptors(pair[0], "x", OpenFiles(directory, 3)));
  const size_t before = OpenDescriptorCount();
  std::array<std::byte, 8> buffer;
  CHECK_EQ(Receive(pair[1].get(), buffer).value(), 1u);
  CHECK_EQ(OpenDescriptorCount(), before);
}

TEST("a descriptor table that is nearly full takes what it can, tells, and nothing leaks") {
  for (const size_t left : {0u, 1u, 3u}) {
    CHECK(test::InChild([left] {
      const test::TemporaryDirectory directory;
      const std::vector<Fd> files = OpenFiles(directory, 8);
      const auto pair = SocketPair(SocketType::kStream).value();
      REQUIRE_OK(SendDescriptors(pair[0], "data", files));
      const std::vector<Fd> fillers = test::FillDescriptorTable(64, left);
      {
        const Message message = ReceiveWith(pair[1], ControlBufferSize(8, false));
        CHECK_EQ(message.text, "data");
        CHECK(message.received.control_truncated);
        CHECK_EQ(message.ancillary.descriptors().size(), left);
        for (size_t i = 0; i < left; ++i) {
          CHECK(SameFile(message.ancillary.descriptors()[i].get(), files[i].get()));
        }
      }
      // All of them can be opened again.
      for (size_t i = 0; i < left; ++i) CHECK(::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
      CHECK_EQ(::open("/dev/null", O_RDONLY | O_CLOEXEC), -1);
    }));
  }
}

TEST("the reader closes the descriptors that nobody took, and keeps those that were") {
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 2);
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(SendDescriptors(pair[0], "x", files));
  REQUIRE_OK(SendDescriptors(pair[0], "y", files));
  int untaken = -1;
  std::vector<Fd> taken;
  {
    const Message message = ReceiveWith(pair[1], ControlBufferSize(2, false));
    REQUIRE_EQ(message.ancillary.descriptors().size(), 2u);
    untaken = message.ancillary.descriptors()[0].get();
    CHECK(IsOpen(untaken));
  }
  CHECK(!IsOpen(untaken));
  {
    Message message = ReceiveWith(pair[1], ControlBufferSize(2, false));
    taken = message.ancillary.TakeDescriptors();
    CHECK(message.ancillary.descriptors().empty());
  }
  REQUIRE_EQ(taken.size(), 2u);
  CHECK(IsOpen(taken[0].get()));
}

TEST("descriptors come with the bytes they were sent with, and a read stops behind them") {
  const test::TemporaryDirectory directory;
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(Send(pair[0].get(), Bytes("AAAA")));
  REQUIRE_OK(SendDescriptors(pair[0], "BBBB", OpenFiles(directory, 1)));
  REQUIRE_OK(Send(pair[0].get(), Bytes("CCCC")));
  const Message first = ReceiveWith(pair[1], ControlBufferSize(1, false));
  CHECK_EQ(first.text, "AAAABBBB");
  CHECK_EQ(first.ancillary.descriptors().size(), 1u);
  const Message second = ReceiveWith(pair[1], ControlBufferSize(1, false));
  CHECK_EQ(second.text, "CCCC");
  CHECK(second.ancillary.descriptors().empty());
}

TEST("a partial read brings the descriptors with its first part") {
  const test::TemporaryDirectory directory;
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(SendDescriptors(pair[0], "12345678", OpenFiles(directory, 1)));
  CHECK_EQ(ReceiveWith(pair[1], ControlBufferSize(1, false), 4).ancillary.descriptors().size(), 1u);
  CHECK(ReceiveWith(pair[1], ControlBufferSize(1, false), 4).ancillary.descriptors().empty());
}

TEST("a peeked message brings duplicates, which the reader closes too") {
  const test::TemporaryDirectory directory;
  const auto pair = SocketPair(SocketType::kStream).value();
  REQUIRE_OK(SendDescriptors(pair[0], "x", OpenFiles(directory, 1)));
  const size_t before = OpenDescriptorCount();
  CHECK_EQ(
      ReceiveWith(pair[1], ControlBufferSize(1, false), 8, MSG_PEEK).ancillary.descriptors().size(),
      1u);
  CHECK_EQ(OpenDescriptorCount(), before);
  CHECK_EQ(ReceiveWith(pair[1], ControlBufferSize(1, false)).ancillary.descriptors().size(), 1u);
}

TEST("a socket can be sent through a socket, and used at the other end") {
  const auto pair = SocketPair(SocketType::kStream).value();
  auto passed = SocketPair(SocketType::kStream).value();
  std::vector<Fd> sent;
  sent.push_back(std::move(passed[1]));
  REQUIRE_OK(SendDescriptors(pair[0], "x", sent));
  sent.clear();
  Message message = ReceiveWith(pair[1], ControlBufferSize(1, false));
  const std::vector<Fd> taken = message.ancillary.TakeDescriptors();
  REQUIRE_EQ(taken.size(), 1u);
  REQUIRE_OK(Send(taken[0].get(), Bytes("through")));
  std::array<std::byte, 16> buffer;
  CHECK_EQ(Receive(passed[0].get(), buffer).value(), 7u);
}

TEST("a socket that refuses descriptors is EPERM for their sender, and none arrives") {
  const auto pair = SocketPair(SocketType::kStream).value();
  const Status refused = RefuseDescriptors(pair[1].get());
  if (!refused.ok()) {
    CHECK_ERROR(refused, ENOPROTOOPT);
    check::Note("this kernel is older than SO_PASSRIGHTS");
    return;
  }
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 1);
  CHECK_ERROR(SendDescriptors(pair[0], "x", files), EPERM);
  // Bytes without descriptors pass, and so does the other direction.
  CHECK_OK(Send(pair[0].get(), Bytes("y")));
  CHECK_EQ(ReceiveWith(pair[1], ControlBufferSize(1, false)).text, "y");
  CHECK_OK(SendDescriptors(pair[1], "z", files));
  CHECK_EQ(ReceiveWith(pair[0], ControlBufferSize(1, false)).ancillary.descriptors().size(), 1u);
}

TEST("a connection refuses descriptors like its listener, also before it is accepted") {
  const test::Listening listening = test::MakeListener();
  if (!RefuseDescriptors(listening.fd.get()).ok()) return;
  const Fd client = OpenSocket(SocketType::kStream).value();
  REQUIRE_OK(Connect(client.get(), listening.address));
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 1);
  CHECK_ERROR(SendDescriptors(client, "x", files), EPERM);
  const Result<Fd> accepted = Accept(listening.fd.get());
  REQUIRE_OK(accepted);
  CHECK_ERROR(SendDescriptors(client, "x", files), EPERM);
  CHECK_EQ(GetIntOption(accepted.value().get(), SOL_SOCKET, kPassRights).value(), 0);
}

TEST("credentials that are asked for come with every message") {
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  REQUIRE_OK(SetPassCredentials(pair[1].get(), true));
  REQUIRE_OK(Send(pair[0].get(), Bytes("implicit")));
  const Message message = ReceiveWith(pair[1], ControlBufferSize(0, true));
  CHECK(!message.received.control_truncated);
  REQUIRE(message.ancillary.credentials().has_value());
  CHECK_EQ(message.ancillary.credentials()->pid, ::getpid());
  CHECK_EQ(message.ancillary.credentials()->uid, ::getuid());
  CHECK_EQ(message.ancillary.credentials()->gid, ::getgid());
}

TEST("descriptors and credentials fit into one buffer of the size asked for both") {
  const test::TemporaryDirectory directory;
  const std::vector<Fd> files = OpenFiles(directory, 3);
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  REQUIRE_OK(SetPassCredentials(pair[1].get(), true));
  REQUIRE_OK(SendDescriptors(pair[0], "x", files));
  const Message message = ReceiveWith(pair[1], ControlBufferSize(3, true));
  CHECK(!message.received.control_truncated);
  CHECK(message.ancillary.credentials().has_value());
  CHECK_EQ(message.ancillary.descriptors().size(), 3u);
}

TEST("one's own credentials can be sent, somebody else's are EPERM") {
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  REQUIRE_OK(SetPassCredentials(pair[1].get(), true));
  AncillaryWriter mine;
  mine.AddCredentials({.pid = ::getpid(), .uid = ::getuid(), .gid = ::getgid()});
  REQUIRE_OK(SendWith(pair[0], "mine", mine));
  CHECK_EQ(ReceiveWith(pair[1], ControlBufferSize(0, true)).ancillary.credentials()->pid,
           ::getpid());

  CHECK(test::InChild([&] {
    constexpr uid_t kNobody = 65'534;
    if (test::IsRoot()) {
      REQUIRE_EQ(::setresgid(kNobody, kNobody, kNobody), 0);
      REQUIRE_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
    }
    AncillaryWriter forged;
    forged.AddCredentials({.pid = ::getpid(), .uid = 0, .gid = 0});
    CHECK_ERROR(SendWith(pair[0], "forged", forged), EPERM);
  }));
}

TEST("a truncated credentials message is no credentials") {
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  REQUIRE_OK(SetPassCredentials(pair[1].get(), true));
  REQUIRE_OK(Send(pair[0].get(), Bytes("x")));
  const Message message = ReceiveWith(pair[1], ControlBufferSize(0, true) - 4);
  CHECK(message.received.control_truncated);
  CHECK(!message.ancillary.credentials().has_value());
}

TEST("a pidfd comes beside credentials and descriptors, and is none of them") {
  const test::TemporaryDirectory directory;
  for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, kMaximumDescriptors}) {
    const std::vector<Fd> files = OpenFiles(directory, count);
    const auto pair = SocketPair(SocketType::kSeqpacket).value();
    REQUIRE_OK(SetPassCredentials(pair[1].get(), true));
    if (!SetPassPidFd(pair[1].get(), true).ok()) {
      check::Note("this kernel is older than SO_PASSPIDFD");
      return;
    }
    REQUIRE_OK(SendDescriptors(pair[0], "x", files));
    const size_t before = OpenDescriptorCount();
    {
      Message message = ReceiveWith(pair[1], ControlBufferSize(count, true, true));
      CHECK(!message.received.control_truncated);
      CHECK_EQ(message.ancillary.descriptors().size(), count);
      CHECK(message.ancillary.credentials().has_value());
      const Result<Fd> pidfd = message.ancillary.TakePidFd();
      REQUIRE_OK(pidfd);
      CHECK(ProcessOf(pidfd.value().get()) != 0);
      CHECK_ERROR(message.ancillary.TakePidFd(), ENODATA);
    }
    CHECK_EQ(OpenDescriptorCount(), before);
  }
}

TEST("the pidfds of one process are of one process, those of two are of two") {
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  REQUIRE_OK(SetPassCredentials(pair[1].get(), true));
  if (!SetPassPidFd(pair[1].get(), true).ok()) {
    check::Note("this kernel is older than SO_PASSPIDFD");
    return;
  }
  REQUIRE_OK(Send(pair[0].get(), Bytes("mine")));
  REQUIRE_OK(Send(pair[0].get(), Bytes("mine")));
  std::vector<Fd> pidfds;
  for (int i = 0; i < 2; ++i) {
    Message message = ReceiveWith(pair[1], ControlBufferSize(0, true, true));
    auto pidfd = message.ancillary.TakePidFd();
    REQUIRE_OK(pidfd);
    pidfds.push_back(std::move(pidfd).value());
  }
  CHECK_EQ(ProcessOf(pidfds[0].get()), ProcessOf(pidfds[1].get()));
  CHECK(test::InChild([&] {
    CHECK_OK(Send(pair[0].get(), Bytes("a child's")));
    Message message = ReceiveWith(pair[1], ControlBufferSize(0, true, true));
    const auto pidfd = message.ancillary.TakePidFd();
    REQUIRE_OK(pidfd);
    CHECK(ProcessOf(pidfd.value().get()) != ProcessOf(pidfds[0].get()));
  }));
}

TEST("a pidfd that an inherited socket brings with its messages is closed") {
  const auto pair = SocketPair(SocketType::kSeqpacket).value();
  const Status asked = SetIntOption(pair[1].get(), SOL_SOCKET, kPassPidFd, 1);
  if (!asked.ok()) {
    CHECK_ERROR(asked, ENOPROTOOPT);
    check::Note("this kernel is older than SO_PASSPIDFD");
    return;
  }
  REQUIRE_OK(Send(pair[0].get(), Bytes("x")));
  const size_t before = OpenDescriptorCount();
  {
    const Message message = ReceiveWith(pair[1], 256);
    CHECK_EQ(message.text, "x");
    CHECK(message.received.control_bytes > 0);
    CHECK(message.ancillary.descriptors().empty());
  }
  CHECK_EQ(OpenDescriptorCount(), before);
}

TEST("the size of a control buffer is exact") {
  CHECK_EQ(ControlBufferSize(0, false), 0u);
  CHECK_EQ(ControlBufferSize(1, false), CMSG_LEN(4));
  CHECK_EQ(ControlBufferSize(3, false), CMSG_LEN(12));
  CHECK_EQ(ControlBufferSize(0, true), CMSG_LEN(12));
  CHECK_EQ(ControlBufferSize(0, true, true), CMSG_SPACE(12) + CMSG_LEN(4));
  CHECK_EQ(ControlBufferSize(3, true, true), CMSG_SPACE(12) + CMSG_SPACE(12) + CMSG_LEN(4));
  CHECK_EQ(ControlBufferSize(253, true), CMSG_SPACE(12) + CMSG_LEN(253 * 4));
}

// Control messages that no kernel writes: the reader must stay within its bytes.
class Forged {
 public:
  Forged& Part(size_t length, int level, int type, std::span<const std::byte> data) {
    cmsghdr header{};
    header.cmsg_len = static_cast<decltype(header.cmsg_len)>(length);
    header.cmsg_level = level;
    header.cmsg_type = type;
    const size_t start = bytes_.size();
    bytes_.resize(start + CMSG_ALIGN(CMSG_LEN(data.size())));
    std::memcpy(bytes_.data() + start, &header, sizeof(header));
    if (!data.empty()) std::memcpy(bytes_.data() + start + CMSG_LEN(0), data.data(), data.size());
    return *this;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

TEST("control bytes with impossible lengths are not followed") {
  const std::array<std::byte, 4> data{};
  for (const size_t length :
       {size_t{0}, size_t{1}, CMSG_LEN(0) - 1, CMSG_LEN(5), size_t{4096}, ~size_t{0}}) {
    const Forged forged = Forged().Part(length, SOL_SOCKET, SCM_RIGHTS, data);
    // At its exact size on the heap, so that a read behind it is seen.
    const std::vector<std::byte> exact(forged.bytes().begin(),
                                       forged.bytes().begin() + CMSG_LEN(4));
    const AncillaryReader reader(exact);
    CHECK(reader.descriptors().empty());
  }
  const std::vector<std::byte> stub(sizeof(cmsghdr) - 1);
  CHECK(AncillaryReader(stub).descriptors().empty());
  CHECK(AncillaryReader({}).descriptors().empty());
}

TEST("control messages of other levels and types are skipped, those behind them are read") {
  Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = file.Release();
  const std::array<std::byte, 5> other{};
  const Forged forged =
      Forged()
          .Part(CMSG_LEN(5), SOL_SOCKET + 1, SCM_RIGHTS, other)
          .Part(CMSG_LEN(5), SOL_SOCKET, 77, other)
          .Part(CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS, std::as_bytes(std::span(&number, 1)));
  {
    const AncillaryReader reader(forged.bytes());
    REQUIRE_EQ(reader.descriptors().size(), 1u);
    CHECK_EQ(reader.descriptors()[0].get(), number);
  }
  CHECK(!IsOpen(number));
}

TEST("control bytes need no alignment") {
  Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = file.Release();
  const Forged forged =
      Forged().Part(CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS, std::as_bytes(std::span(&number, 1)));
  std::vector<std::byte> shifted(1);
  shifted.insert(shifted.end(), forged.bytes().begin(), forged.bytes().end());
  const AncillaryReader reader{std::span(shifted).subspan(1)};
  CHECK_EQ(reader.descriptors().size(), 1u);
}

}  // namespace
}  // namespace afunix::posix
