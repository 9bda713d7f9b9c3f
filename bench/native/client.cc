#include "client.h"

#include <thread>
#include <utility>

#include "fail.h"
#include "sockets.h"

namespace {

// A prime, so that over time every connection and every position in a batch is timed.
constexpr int kTimedEvery = 7;

}  // namespace

Client::Client(const Load& load, OpenIo open_io, size_t message_size)
    : timed_every_(load.connections == 1 ? 1 : kTimedEvery),
      until_timed_(timed_every_),
      started_at_(load.connections) {
  latency_ = std::make_unique<Latency>();
  std::vector<int> sockets;
  for (size_t i = 0; i < load.connections; ++i) sockets.push_back(ConnectTo(load.path));
  // It calls nothing of a derived class before Verify() lets it.
  std::thread([this, open_io, message_size, sockets = std::move(sockets)] {
    io_ = open_io(message_size);
    for (const int fd : sockets) io_->Add(fd);
    Run();
  }).detach();
}

void Client::Verify() {
  phases_.verify.release();
  phases_.verified.acquire();
}

void Client::Start() { phases_.start.release(); }

uint64_t Client::Stop(uint64_t peer) {
  phases_.running = false;
  phases_.finished.acquire();
  return peer;
}

void Client::Run() {
  phases_.verify.acquire();
  for (size_t i = 0; i < started_at_.size(); ++i) Ask(i);
  while (outstanding_ > 0) io_->Turn(*this);
  verifying_ = false;
  phases_.verified.release();
  phases_.start.acquire();
  for (size_t i = 0; i < started_at_.size(); ++i) Ask(i);
  while (outstanding_ > 0) io_->Turn(*this);
  phases_.finished.release();
}

void Client::Ask(size_t connection) {
  if (!verifying_ && --until_timed_ == 0) {
    until_timed_ = timed_every_;
    started_at_[connection] = Now();
  }
  ++outstanding_;
  Send(connection);
}

void Client::Answered(size_t connection, bool verified) {
  --outstanding_;
  if (verifying_) {
    if (!verified) Ask(connection);
    return;
  }
  if (uint64_t& started_at = started_at_[connection]; started_at != 0) {
    latency_->Record(Now() - started_at);
    started_at = 0;
  }
  operations_.Add(1);
  if (phases_.running.load(std::memory_order_relaxed)) Ask(connection);
}

void Client::OnEnd(size_t) { Fail("the server closed a connection"); }
