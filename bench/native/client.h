// Client: keeps one request outstanding on each of its connections, and times some of them.
#pragma once

#include <memory>
#include <vector>

#include "io.h"
#include "role.h"

class Client : public Role, private Receiver {
 public:
  void Verify() override;
  void Start() override;
  uint64_t Stop(uint64_t peer) override;

 protected:
  Client(const Load& load, OpenIo open_io, size_t message_size);

  // Sends the next request of this connection.
  virtual void Send(size_t connection) = 0;
  // The answer has come as a whole. `verified`: this connection has none left to verify.
  void Answered(size_t connection, bool verified);

  // Nothing is timed yet.
  [[nodiscard]] bool verifying() const { return verifying_; }
  [[nodiscard]] Io& io() { return *io_; }

 private:
  void Run();
  void Ask(size_t connection);
  void OnEnd(size_t connection) override;

  // Of one connection every request is timed.
  int timed_every_;
  int until_timed_;
  // When the outstanding request was sent; 0: it is not timed.
  std::vector<uint64_t> started_at_;
  std::unique_ptr<Io> io_;
  size_t outstanding_ = 0;
  bool verifying_ = true;
  Phases phases_;
};
