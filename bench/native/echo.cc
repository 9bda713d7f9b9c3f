// The echo workload over any Io, as bench/workloads/echo.ts has it: one message outstanding on each
// connection; the server writes back what it reads.
#include <thread>
#include <vector>

#include "fail.h"
#include "pattern.h"
#include "role.h"
#include "sockets.h"

namespace {

// Messages checked before anything is timed, over all connections.
constexpr size_t kVerifiedMessages = 1000;
// A prime, so that over time every connection and every position in a batch is timed.
constexpr int kTimedEvery = 7;

class EchoServer : public Role, private Receiver {
 public:
  EchoServer(const Load& load, OpenIo open_io) : message_size_(load.message_size) {
    const int listener = ListenAt(load.path);
    std::thread([this, listener, open_io, size = load.message_size, count = load.connections] {
      io_ = open_io(size);
      for (size_t i = 0; i < count; ++i) io_->Add(AcceptFrom(listener));
      for (;;) io_->Turn(*this);
    }).detach();
  }

 private:
  void OnData(size_t connection, std::span<const std::byte> bytes) override {
    if (bytes.size() != message_size_) Fail("a message came in pieces");
    io_->Send(connection, bytes);
  }
  void OnEnd(size_t) override {}

  size_t message_size_;
  std::unique_ptr<Io> io_;
};

class EchoClient : public Role, private Receiver {
 public:
  EchoClient(const Load& load, OpenIo open_io)
      : message_size_(load.message_size),
        message_(pattern::At(0, load.message_size)),
        timed_every_(load.connections == 1 ? 1 : kTimedEvery),
        until_timed_(timed_every_),
        connections_(load.connections) {
    latency_ = std::make_unique<Latency>();
    std::vector<int> sockets;
    for (size_t i = 0; i < load.connections; ++i) sockets.push_back(ConnectTo(load.path));
    std::thread([this, open_io, size = load.message_size, sockets = std::move(sockets)] {
      io_ = open_io(size);
      for (const int fd : sockets) io_->Add(fd);
      Run();
    }).detach();
  }

  void Verify() override {
    phases_.verify.release();
    phases_.verified.acquire();
  }
  void Start() override { phases_.start.release(); }
  uint64_t Stop(uint64_t peer) override {
    phases_.running = false;
    phases_.finished.acquire();
    return peer;
  }

 private:
  struct Connection {
    size_t received = 0;
    uint64_t started_at = 0;
    // Of the messages that are checked.
    uint64_t offset = 0;
    uint64_t end = 0;
  };

  void Run() {
    phases_.verify.acquire();
    const size_t each = (kVerifiedMessages + connections_.size() - 1) / connections_.size();
    for (size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].offset = i * each * message_size_;
      connections_[i].end = (i + 1) * each * message_size_;
      SendPattern(i);
    }
    while (outstanding_ > 0) io_->Turn(*this);
    verifying_ = false;
    phases_.verified.release();
    phases_.start.acquire();
    for (size_t i = 0; i < connections_.size(); ++i) SendTimed(i);
    while (outstanding_ > 0) io_->Turn(*this);
    phases_.finished.release();
  }

  void SendPattern(size_t index) {
    ++outstanding_;
    io_->Send(index, pattern::At(connections_[index].offset, message_size_));
  }

  void SendTimed(size_t index) {
    if (--until_timed_ == 0) {
      until_timed_ = timed_every_;
      connections_[index].started_at = Now();
    }
    ++outstanding_;
    io_->Send(index, message_);
  }

  void OnData(size_t index, std::span<const std::byte> bytes) override {
    Connection& connection = connections_[index];
    if (verifying_ && !pattern::Matches(bytes, connection.offset + connection.received)) {
      Fail("wrong bytes came back");
    }
    connection.received += bytes.size();
    if (connection.received < message_size_) return;
    if (connection.received > message_size_) Fail("more came back than was sent");
    connection.received = 0;
    --outstanding_;
    if (verifying_) {
      connection.offset += message_size_;
      if (connection.offset < connection.end) SendPattern(index);
      return;
    }
    if (connection.started_at != 0) {
      latency_->Record(Now() - connection.started_at);
      connection.started_at = 0;
    }
    operations_.Add(1);
    bytes_.Add(message_size_);
    if (phases_.running.load(std::memory_order_relaxed)) SendTimed(index);
  }
  void OnEnd(size_t) override { Fail("a connection was closed"); }

  size_t message_size_;
  std::vector<std::byte> message_;
  int timed_every_;
  int until_timed_;
  std::vector<Connection> connections_;
  std::unique_ptr<Io> io_;
  size_t outstanding_ = 0;
  bool verifying_ = true;
  Phases phases_;
};

}  // namespace

std::unique_ptr<Role> OpenEcho(const Load& load, OpenIo open_io) {
  if (load.server) return std::make_unique<EchoServer>(load, open_io);
  return std::make_unique<EchoClient>(load, open_io);
}
