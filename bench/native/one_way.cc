// The one-way workload, as bench/workloads/one-way.ts has it: one send per message, recv into one
// reused buffer, and epoll where the other end is not ready.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "fail.h"
#include "pattern.h"
#include "role.h"
#include "sockets.h"

namespace {

constexpr size_t kVerifiedBytes = 1024 * 1024;
constexpr size_t kVerifiedMessages = 16;
constexpr size_t kSmallestBuffer = 64 * 1024;

// One end of the connection, and its readiness.
class Stream {
 public:
  Stream(int fd, uint32_t events) : fd_(fd) {
    epoll_ = static_cast<int>(Check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"));
    epoll_event event{};
    event.events = events;
    Check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  }

  void Write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const long sent = AsSoonAsReady(
          [&] { return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL); },
          "send");
      bytes = bytes.subspan(static_cast<size_t>(sent));
    }
  }

  // How much it was; 0 at the end.
  [[nodiscard]] size_t Read(std::span<std::byte> buffer) const {
    return static_cast<size_t>(AsSoonAsReady(
        [&] { return ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT); }, "recv"));
  }

  void End() const { Check(::shutdown(fd_, SHUT_WR), "shutdown"); }

 private:
  template <typename Call>
  long AsSoonAsReady(Call call, const char* what) const {
    for (;;) {
      const long outcome = call();
      if (outcome >= 0 || (errno != EAGAIN && errno != EINTR)) return Check(outcome, what);
      epoll_event event;
      if (::epoll_wait(epoll_, &event, 1, -1) < 0 && errno != EINTR) Check(-1, "epoll_wait");
    }
  }

  int fd_;
  int epoll_;
};

// Leads either end from verification to the end.
class OneWay : public Role {
 public:
  explicit OneWay(size_t message_size)
      : message_size_(message_size),
        verified_bytes_(
            RoundUp(std::max(kVerifiedBytes, kVerifiedMessages * message_size), message_size)) {}

  void Verify() override {
    phases_.verify.release();
    phases_.verified.acquire();
  }
  void Start() override { phases_.start.release(); }

 protected:
  static size_t RoundUp(size_t bytes, size_t step) { return (bytes + step - 1) / step * step; }

  size_t message_size_;
  size_t verified_bytes_;
  Phases phases_;
};

class Writer : public OneWay {
 public:
  explicit Writer(const Load& load) : OneWay(load.message_size) {
    std::thread([this, listener = ListenAt(load.path)] {
      Run(Stream(AcceptFrom(listener), EPOLLOUT));
    }).detach();
  }

  uint64_t Stop(uint64_t) override {
    phases_.running = false;
    phases_.finished.acquire();
    return written_.value();
  }

 private:
  void Run(const Stream& stream) {
    phases_.verify.acquire();
    for (size_t offset = 0; offset < verified_bytes_; offset += message_size_) {
      stream.Write(pattern::At(offset, message_size_));
    }
    phases_.verified.release();
    phases_.start.acquire();
    const std::vector<std::byte> message = pattern::At(0, message_size_);
    while (phases_.running.load(std::memory_order_relaxed)) {
      stream.Write(message);
      written_.Add(message.size());
    }
    stream.End();
    phases_.finished.release();
  }

  Counter written_;
};

class Reader : public OneWay {
 public:
  explicit Reader(const Load& load) : OneWay(load.message_size) {
    std::thread([this, fd = ConnectTo(load.path)] { Run(Stream(fd, EPOLLIN)); }).detach();
  }

  uint64_t Stop(uint64_t written) override {
    phases_.finished.acquire();
    if (written != bytes()) {
      Fail(std::to_string(written) + " bytes were written, " + std::to_string(bytes()) +
           " received");
    }
    return 0;
  }

 private:
  void Run(const Stream& stream) {
    std::vector<std::byte> buffer(std::max(message_size_, kSmallestBuffer));
    for (size_t offset = 0; offset < verified_bytes_;) {
      const size_t wanted = std::min(buffer.size(), verified_bytes_ - offset);
      const size_t size = stream.Read(std::span(buffer).first(wanted));
      if (size == 0) Fail("the connection was closed");
      if (!pattern::Matches(std::span(buffer).first(size), offset)) Fail("wrong bytes");
      offset += size;
    }
    phases_.verify.acquire();
    phases_.verified.release();
    uint64_t remainder = 0;
    while (const size_t size = stream.Read(buffer)) {
      bytes_.Add(size);
      remainder += size;
      operations_.Add(remainder / message_size_);
      remainder %= message_size_;
    }
    phases_.finished.release();
  }
};

}  // namespace

std::unique_ptr<Role> OpenOneWay(const Load& load) {
  if (load.server) return std::make_unique<Writer>(load);
  return std::make_unique<Reader>(load);
}
