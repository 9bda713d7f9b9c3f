// The echo workload over any Io, as bench/workloads/echo.ts has it: one message outstanding on each
// connection; the server writes back what it reads.
#include <thread>
#include <vector>

#include "client.h"
#include "fail.h"
#include "pattern.h"
#include "role.h"
#include "sockets.h"

namespace {

// Messages checked before anything is timed, over all connections.
constexpr size_t kVerifiedMessages = 1000;

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

class EchoClient : public Client {
 public:
  EchoClient(const Load& load, OpenIo open_io)
      : Client(load, open_io, load.message_size),
        message_size_(load.message_size),
        message_(pattern::At(0, load.message_size)),
        connections_(load.connections) {
    const size_t each = (kVerifiedMessages + load.connections - 1) / load.connections;
    for (size_t i = 0; i < connections_.size(); ++i) {
      connections_[i].offset = i * each * message_size_;
      connections_[i].end = (i + 1) * each * message_size_;
    }
  }

 private:
  struct Connection {
    size_t received = 0;
    // Of the messages that are checked.
    uint64_t offset = 0;
    uint64_t end = 0;
  };

  void Send(size_t index) override {
    if (verifying()) {
      io().Send(index, pattern::At(connections_[index].offset, message_size_));
    } else {
      io().Send(index, message_);
    }
  }

  void OnData(size_t index, std::span<const std::byte> bytes) override {
    Connection& connection = connections_[index];
    if (verifying() && !pattern::Matches(bytes, connection.offset + connection.received)) {
      Fail("wrong bytes came back");
    }
    connection.received += bytes.size();
    if (connection.received < message_size_) return;
    if (connection.received > message_size_) Fail("more came back than was sent");
    connection.received = 0;
    if (verifying()) {
      connection.offset += message_size_;
    } else {
      bytes_.Add(message_size_);
    }
    Answered(index, connection.offset == connection.end);
  }

  size_t message_size_;
  std::vector<std::byte> message_;
  std::vector<Connection> connections_;
};

}  // namespace

std::unique_ptr<Role> OpenEcho(const Load& load, OpenIo open_io) {
  if (load.server) return std::make_unique<EchoServer>(load, open_io);
  return std::make_unique<EchoClient>(load, open_io);
}
