// SharedMemory: what JavaScript laid out for the engine. Tables and areas belong to src/engine and
// are shown to no one else, so their addresses hold; everything a user could reach is looked up
// anew each time.
#pragma once

#include <node_api.h>

#include "binding/napi_util.h"
#include "engine/engine_core.h"
#include "engine/host_memory.h"
#include "engine/message_area.h"
#include "engine/records.h"

namespace afunix::binding {

class SharedMemory final : public engine::HostMemory {
 public:
  // Reads the fields of the object that src/binding.ts calls EngineMemory. False: a field is not
  // what it should be.
  [[nodiscard]] bool Attach(napi_env env, napi_value layout);

  // The same for what src/binding.ts calls MessageMemory; what is not as it should be is empty.
  [[nodiscard]] engine::MessageMemory AttachMessages(napi_value layout);

  [[nodiscard]] engine::EngineMemory memory();
  [[nodiscard]] std::span<engine::Submission> submissions() const { return submissions_; }

  [[nodiscard]] std::span<std::byte> ReceiveTarget(int32_t handle) override;
  [[nodiscard]] std::span<std::byte> Slab(int32_t index) override;
  [[nodiscard]] size_t Payload(int32_t handle, size_t skip, std::span<iovec> parts) override;

 private:
  [[nodiscard]] napi_value Element(const Reference& array, int32_t index) const;

  napi_env env_ = nullptr;
  Reference layout_;
  Reference message_layout_;
  Reference targets_;
  Reference slabs_;
  Reference payloads_;
  std::span<engine::Completion> completions_;
  std::span<engine::Submission> submissions_;
  std::span<std::byte> send_area_;
  std::span<std::byte> receive_area_;
  std::span<int32_t> descriptors_;
  std::span<int32_t> peers_;
};

}  // namespace afunix::binding
