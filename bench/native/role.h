// Role: one end of a workload. Commands come from the main thread; the load has its own thread,
// which goes through the phases below.
#pragma once

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>

#include "io.h"
#include "latency.h"

struct Load {
  bool server = false;
  size_t message_size = 0;
  size_t connections = 0;
  // A socket's path, or HOST:PORT for TCP.
  std::string path;
};

class Role {
 public:
  virtual ~Role() = default;

  virtual void Verify() {}
  virtual void Start() {}
  // Ends the load. `peer` is what the server's Stop() returned.
  virtual uint64_t Stop(uint64_t peer) { return peer; }

  [[nodiscard]] uint64_t operations() const { return operations_.value(); }
  [[nodiscard]] uint64_t bytes() const { return bytes_.value(); }
  // Null where nothing is timed.
  [[nodiscard]] Latency* latency() { return latency_.get(); }

 protected:
  Counter operations_;
  Counter bytes_;
  std::unique_ptr<Latency> latency_;
};

// How the main thread leads the thread under load.
struct Phases {
  std::binary_semaphore verify{0};
  std::binary_semaphore verified{0};
  std::binary_semaphore start{0};
  std::binary_semaphore finished{0};
  std::atomic<bool> running{true};
};

std::unique_ptr<Role> OpenEcho(const Load& load, OpenIo open_io);
std::unique_ptr<Role> OpenOneWay(const Load& load);
std::unique_ptr<Role> OpenMessages(const Load& load);
std::unique_ptr<Role> OpenHttp(const Load& load);
