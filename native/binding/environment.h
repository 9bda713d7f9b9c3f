// Environment: everything of one Node environment (the main thread's or a worker's). There is no
// other state.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "binding/loop_driver.h"
#include "binding/owned_descriptors.h"
#include "binding/shared_memory.h"
#include "engine/engine.h"

namespace afunix::binding {

class Environment {
 public:
  // Makes the environment's state and ties it to the environment's end.
  [[nodiscard]] static bool Install(napi_env env);
  // Null before Install and while the environment is being torn down.
  [[nodiscard]] static Environment* Of(napi_env env);

  explicit Environment(napi_env env) : env_(env) {}

  // Starts the engine on `layout` memory: io_uring's or epoll's. 0 or −errno; another kind can be
  // tried then.
  [[nodiscard]] int Attach(napi_value layout, napi_value dispatch, bool uring);

  [[nodiscard]] engine::Engine* engine() { return engine_.get(); }
  [[nodiscard]] LoopDriver& driver() { return driver_; }
  [[nodiscard]] SharedMemory& memory() { return memory_; }

  // Null where they could not be set up, and when they are gone.
  [[nodiscard]] OwnedDescriptors* owned() { return owned_; }
  void SetOwned(OwnedDescriptors* owned) { owned_ = owned; }
  // What was received on the connection that was detached last.
  [[nodiscard]] std::vector<std::byte>& unread() { return unread_; }

  // Closes every socket and lets go of the loop; `closed` is called with `data` when that is done.
  void Close(void (*closed)(void*) = nullptr, void* data = nullptr);

 private:
  template <typename Kind>
  [[nodiscard]] posix::Status Open();
  static void OnCleanup(napi_async_cleanup_hook_handle hook, void* data);

  napi_env env_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  SharedMemory memory_;
  std::unique_ptr<engine::Engine> engine_;
  LoopDriver driver_;
  OwnedDescriptors* owned_ = nullptr;
  std::vector<std::byte> unread_;
};

}  // namespace afunix::binding
