// EngineCore: the bookkeeping that does not depend on how the kernel is asked. Handles, the
// completion table, what keeps the process running, counters, the order of closing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/descriptor_table.h"
#include "engine/endpoint.h"
#include "engine/engine.h"
#include "engine/handle_table.h"
#include "engine/host_memory.h"
#include "engine/listener.h"
#include "engine/message_area.h"
#include "engine/message_socket.h"
#include "engine/peer_table.h"
#include "engine/receive_area.h"
#include "engine/records.h"
#include "engine/stream_socket.h"

namespace afunix::engine {

// The memory an engine works in, all of it owned by its host and alive until Shutdown() returned.
struct EngineMemory {
  std::span<Completion> completions;
  std::span<const std::byte> send_area;
  std::span<std::byte> receive_area;
  std::span<int32_t> descriptors;
  std::span<int32_t> peers;
  HostMemory* host = nullptr;
};

class EngineCore : public Engine {
 public:
  explicit EngineCore(const EngineMemory& memory);

  void SetAttended(bool attended) override { attended_ = attended; }
  void SetReferenced(int32_t handle, bool referenced) override;
  [[nodiscard]] bool KeepsAlive() const override { return alive_ > 0 || !deferred_.empty(); }
  void SetBusyPoll(int32_t handle, int64_t nanoseconds) override;
  [[nodiscard]] int64_t BusyPoll() const override {
    return busy_polls_.empty() ? 0 : busy_polls_.rbegin()->first;
  }
  [[nodiscard]] posix::Status SetMessageMemory(const MessageMemory& memory) override;
  [[nodiscard]] posix::Result<size_t> SetMessageLimits(int32_t handle,
                                                       const MessageLimits& limits) override;
  [[nodiscard]] size_t PendingBytes(int32_t handle) const override;
  [[nodiscard]] int DescriptorOf(int32_t handle) const override;
  [[nodiscard]] posix::Fd ClaimDescriptor(size_t place) override {
    return descriptors_.Claim(place);
  }
  [[nodiscard]] posix::Fd ClaimPidFd(size_t place) override { return peers_.Claim(place); }
  [[nodiscard]] Counters& counters() override { return counters_; }

 protected:
  // The kernel has requests of it, which hold the open file.
  [[nodiscard]] virtual bool HasRequestsOut(const Endpoint& endpoint) const = 0;

  [[nodiscard]] Connection* FindConnection(int32_t handle) const;
  [[nodiscard]] StreamSocket* FindStream(int32_t handle) const;
  // Null, and why, if there can be no socket of this type now.
  [[nodiscard]] posix::Result<std::unique_ptr<Connection>> NewConnection(
      posix::SocketType type) const;

  // Completions of the collection under way.
  void Complete(int32_t handle, CompletionKind kind, int32_t result, int32_t offset = 0);
  // Room for the completions that looking at one more endpoint can make.
  [[nodiscard]] bool HasRoom() const { return completed_ + 6 <= memory_.completions.size(); }
  [[nodiscard]] size_t completed() const { return completed_; }

  // A completion for the next collection: what happened inside a submission is never told at once.
  void Defer(int32_t handle, CompletionKind kind, int32_t result);

  // Starts a collection: handles whose closing was told in the last one are free now.
  void BeginCollection();
  // Moves deferred completions into the table, as many as fit.
  void TellDeferred();
  [[nodiscard]] bool HasDeferred() const { return !deferred_.empty(); }

  // To be called after anything that changes what `endpoint` does or whether it is referenced.
  void UpdateLiveness(Endpoint& endpoint);

  // Forgets what is under way on `endpoint`, closes its descriptor, and tells kClosed, unless
  // requests are out: then whoever gets the last one back tells it.
  void CloseEndpoint(Endpoint& endpoint);

  void ForgetEverything();

  EngineMemory memory_;
  ReceiveArea receive_area_;
  DescriptorTable descriptors_;
  PeerTable peers_;
  MessageArea message_area_;
  HandleTable endpoints_;
  Counters counters_;
  bool attended_ = false;

 private:
  // Whether a connection that was made is still one: its listener may have closed before it
  // accepted.
  [[nodiscard]] int32_t ConnectOutcome(int32_t handle);

  size_t completed_ = 0;
  size_t alive_ = 0;
  // How many open sockets wish for how much busy polling.
  std::map<int64_t, size_t> busy_polls_;
  std::vector<Completion> deferred_;
  std::vector<int32_t> closed_;
};

}  // namespace afunix::engine
