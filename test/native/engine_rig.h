// An engine driven by hand, the way the binding drives it: wait for its descriptor, collect while
// attended, look at what came, wake it if it has more.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/budgets.h"
#include "engine/engine.h"
#include "engine/engine_core.h"
#include "engine/host_memory.h"
#include "engine/records.h"
#include "posix/fd.h"
#include "posix/socket.h"
#include "posix/unix_address.h"
#include "support.h"

namespace afunix::test {

// The engine under test is io_uring's (AFUNIX_ENGINE=io_uring), not epoll's.
[[nodiscard]] bool OnUring();

// A completion as it came, its bytes (if any) copied out.
struct Event {
  int32_t handle = -1;
  engine::CompletionKind kind{};
  int32_t result = 0;
  int32_t offset = 0;
  std::string bytes;
};

class EngineRig final : public engine::HostMemory {
 public:
  EngineRig();
  ~EngineRig() override;

  [[nodiscard]] engine::Engine& engine() { return *engine_; }

  // One look at the engine as the loop takes it, after waiting up to `timeout_ms` for its
  // descriptor. What came, also appended to log().
  std::vector<Event> Round(int timeout_ms = 0);
  // The same without waiting, and with `looks` looks before it sleeps; `before` each of them
  // something else may happen.
  std::vector<Event> Look(int looks, const std::function<void(int)>& before = {});
  // Rounds until `done`; false if that takes longer than ten seconds.
  [[nodiscard]] bool RunUntil(const std::function<bool()>& done);
  // Rounds until the engine's descriptor stays quiet.
  void Settle();
  // The engine's descriptor polls as readable.
  [[nodiscard]] bool Awake() const;

  [[nodiscard]] const std::vector<Event>& log() const { return log_; }
  // The table of peers.
  [[nodiscard]] const std::vector<int32_t>& peers() const { return peers_; }
  void ForgetLog() { log_.clear(); }
  // The first event of this kind on this handle, taken out of the log.
  [[nodiscard]] std::optional<Event> Take(int32_t handle, engine::CompletionKind kind);
  [[nodiscard]] size_t Count(int32_t handle, engine::CompletionKind kind) const;
  // Waits for it; an event with a handle of -1 and a failed check if it does not come.
  Event Await(int32_t handle, engine::CompletionKind kind);
  // Everything received on `handle` so far, taken out.
  [[nodiscard]] std::string TakeReceived(int32_t handle);
  [[nodiscard]] size_t ReceivedSize(int32_t handle) const;

  // Submissions, one by one; each returns its outcome.
  int32_t Write(int32_t handle, std::string_view text);
  int32_t WritePayload(int32_t handle, std::vector<std::string> parts);
  int32_t HalfClose(int32_t handle) { return Submit(handle, engine::SubmissionKind::kShutdown); }
  int32_t ReadStart(int32_t handle) { return Submit(handle, engine::SubmissionKind::kReadStart); }
  int32_t ReadStop(int32_t handle) { return Submit(handle, engine::SubmissionKind::kReadStop); }
  // Reads of `handle` go into memory of `size` bytes from now on; 0 for none, as if detached.
  int32_t ReadIntoTarget(int32_t handle, size_t size);
  int32_t Close(int32_t handle) { return Submit(handle, engine::SubmissionKind::kClose); }
  int32_t Submit(int32_t handle, engine::SubmissionKind kind, int32_t offset = 0,
                 int32_t length = 0);
  // The payload of `handle` is gone, as when its buffer was detached.
  void LosePayload(int32_t handle) { payloads_.erase(handle); }

  // A connection whose other end is `peer`: adopted, connected by the engine, or accepted by it.
  enum class Origin { kAdopted, kConnected, kAccepted };
  struct Connection {
    int32_t handle = -1;
    posix::Fd peer;
  };
  [[nodiscard]] Connection Make(Origin origin = Origin::kConnected);

  // The same for messages, with memory for them.
  [[nodiscard]] Connection MakeMessages(Origin origin = Origin::kConnected);
  // Once is enough.
  void ShareMessages();
  int32_t SendMessages(int32_t handle, const std::vector<std::string>& messages);
  int32_t SendMessagePayload(int32_t handle, std::vector<std::string> parts);
  // Messages received on `handle` and not taken.
  [[nodiscard]] size_t MessageCount(int32_t handle) { return messages_[handle].size(); }
  [[nodiscard]] std::vector<std::string> TakeMessages(int32_t handle);
  // Of the table of received messages, as it is now.
  [[nodiscard]] int32_t ReceivedColumn(size_t column, size_t row) const {
    return received_rows_[column * engine::kMessageRows + row];
  }

  // engine::HostMemory
  std::span<std::byte> ReceiveTarget(int32_t handle) override;
  std::span<std::byte> Slab(int32_t index) override;
  size_t Payload(int32_t handle, size_t skip, std::span<iovec> parts) override;

 private:
  Event Read(const engine::Completion& row);
  void ReadMessages(const Event& event);
  [[nodiscard]] Connection Make(Origin origin, posix::SocketType type);

  std::vector<engine::Completion> completions_;
  std::vector<std::byte> send_area_;
  std::vector<std::byte> receive_area_;
  std::vector<int32_t> descriptors_;
  std::vector<int32_t> peers_;
  std::vector<std::byte> message_area_;
  std::vector<int32_t> received_rows_;
  std::vector<int32_t> outgoing_rows_;
  std::map<int32_t, std::vector<std::string>> messages_;
  std::vector<std::vector<std::byte>> slabs_;
  std::map<int32_t, std::vector<std::byte>> targets_;
  std::map<int32_t, std::vector<std::string>> payloads_;
  std::map<int32_t, std::string> received_;
  std::vector<Event> log_;
  std::unique_ptr<engine::Engine> engine_;
};

constexpr EngineRig::Origin kAllOrigins[] = {
    EngineRig::Origin::kAdopted, EngineRig::Origin::kConnected, EngineRig::Origin::kAccepted};

// Bytes that differ from place to place, so that losing, repeating or swapping some is seen.
[[nodiscard]] std::string Pattern(size_t size);

// Reads `peer` until it would block or ended.
[[nodiscard]] std::string Drain(const posix::Fd& peer);

}  // namespace afunix::test
