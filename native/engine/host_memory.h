// HostMemory: the memory that the engine borrows from whoever drives it (the binding, or a test).
// Nothing of it is cached over a call: JavaScript may detach or replace a buffer whenever it runs.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace afunix::engine {

class HostMemory {
 public:
  virtual ~HostMemory() = default;

  // Where the next read of `handle` shall go, if it reads into its user's memory. Empty: no longer
  // there.
  [[nodiscard]] virtual std::span<std::byte> ReceiveTarget(int32_t handle) = 0;

  // Slab `index` of a small fixed set, memory that nobody else can see until it is reported. Empty:
  // none.
  [[nodiscard]] virtual std::span<std::byte> Slab(int32_t index) = 0;

  // What of the payload of `handle` lies behind its first `skip` bytes, as at most `parts.size()`
  // parts; returns how many. 0 when bytes are owed: a buffer was detached.
  [[nodiscard]] virtual size_t Payload(int32_t handle, size_t skip, std::span<iovec> parts) = 0;
};

}  // namespace afunix::engine
