// The messages workload, as bench/workloads/messages.ts has it, over SOCK_SEQPACKET: one system
// call per message at both ends, which wait in the kernel.
#include <sys/socket.h>

#include <span>
#include <thread>
#include <vector>

#include "fail.h"
#include "pattern.h"
#include "role.h"
#include "sockets.h"

namespace {

constexpr size_t kVerifiedMessages = 4096;

// Leads either end from verification to the end.
class Messages : public Role {
 public:
  explicit Messages(size_t size) : size_(size) {}

  void Verify() override {
    phases_.verify.release();
    phases_.verified.acquire();
  }
  void Start() override { phases_.start.release(); }

 protected:
  size_t size_;
  Phases phases_;
};

class MessageSender : public Messages {
 public:
  explicit MessageSender(const Load& load) : Messages(load.message_size) {
    std::thread([this, listener = ListenAt(load.path, SOCK_SEQPACKET)] {
      Run(AcceptFrom(listener));
    }).detach();
  }

  uint64_t Stop(uint64_t) override {
    phases_.running = false;
    phases_.finished.acquire();
    return sent_.value();
  }

 private:
  static void Send(int fd, std::span<const std::byte> message) {
    const long sent = Check(::send(fd, message.data(), message.size(), MSG_NOSIGNAL), "send");
    if (static_cast<size_t>(sent) != message.size()) Fail("a message was not sent as a whole");
  }

  void Run(int fd) {
    phases_.verify.acquire();
    for (size_t i = 0; i < kVerifiedMessages; ++i) Send(fd, pattern::At(i * size_, size_));
    phases_.verified.release();
    phases_.start.acquire();
    const std::vector<std::byte> message = pattern::At(0, size_);
    while (phases_.running.load(std::memory_order_relaxed)) {
      Send(fd, message);
      sent_.Add(1);
    }
    Check(::shutdown(fd, SHUT_WR), "shutdown");
    phases_.finished.release();
  }

  Counter sent_;
};

class MessageReceiver : public Messages {
 public:
  explicit MessageReceiver(const Load& load) : Messages(load.message_size) {
    std::thread([this, fd = ConnectTo(load.path, SOCK_SEQPACKET)] { Run(fd); }).detach();
  }

  uint64_t Stop(uint64_t sent) override {
    phases_.finished.acquire();
    if (sent != operations()) Fail("not every message that was sent was received");
    return 0;
  }

 private:
  size_t Receive(int fd) {
    const auto length =
        static_cast<size_t>(Check(::recv(fd, buffer_.data(), buffer_.size(), 0), "recv"));
    if (length != 0 && length != size_) Fail("a message of another length");
    return length;
  }

  void Run(int fd) {
    buffer_.resize(size_ + 1);
    for (size_t i = 0; i < kVerifiedMessages; ++i) {
      const size_t length = Receive(fd);
      if (!pattern::Matches(std::span(buffer_).first(length), i * size_)) Fail("wrong bytes");
    }
    phases_.verify.acquire();
    phases_.verified.release();
    while (const size_t length = Receive(fd)) {
      bytes_.Add(length);
      operations_.Add(1);
    }
    phases_.finished.release();
  }

  std::vector<std::byte> buffer_;
};

}  // namespace

std::unique_ptr<Role> OpenMessages(const Load& load) {
  if (load.server) return std::make_unique<MessageSender>(load);
  return std::make_unique<MessageReceiver>(load);
}
