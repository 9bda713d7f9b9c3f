// LoopDriver: the one libuv handle of a Node environment. It watches the engine's descriptor, and
// per wake-up collects, calls JavaScript once, and looks again while there is more, within a
// budget.
#pragma once

#include <node_api.h>

#include <cstdint>

#include "binding/anticipation.h"
#include "binding/callback.h"
#include "binding/poll_handle.h"
#include "engine/engine.h"

namespace afunix::binding {

class LoopDriver {
 public:
  // `dispatch` is called with the number of rows in the completion table.
  [[nodiscard]] static int Start(napi_env env, engine::Engine& engine, napi_value dispatch,
                                 LoopDriver& driver);
  LoopDriver() = default;
  ~LoopDriver() { Stop(); }

  // The handle holds the process while the engine says that somebody waits.
  void UpdateReference();

  // Busy polling for every socket of this environment, in nanoseconds.
  void SetBusyPoll(int64_t nanoseconds) { busy_poll_ = nanoseconds; }

  // Lets go of the loop; `closed`, if given, is called with `data` once libuv has let go too (at
  // once if there was nothing to let go of). Idempotent.
  void Stop(void (*closed)(void*) = nullptr, void* data = nullptr);

 private:
  static void OnPoll(uv_poll_t* poll, int status, int events);
  // Nanoseconds that sockets wish to look for events before sleeping.
  [[nodiscard]] int64_t WishedPatience() const;
  // What can be hoped for after batches of up to so many completions; null: nothing.
  [[nodiscard]] Anticipation* Hope(size_t largest_batch);
  // The loop has nothing else to do now.
  [[nodiscard]] bool WouldSleep() const;
  void Run();
  [[nodiscard]] bool Dispatch(size_t completions);

  engine::Engine* engine_ = nullptr;
  PollHandle* handle_ = nullptr;
  Callback dispatch_;
  int64_t busy_poll_ = 0;
  // Looking for events was only interrupted, for the sake of timers and immediates.
  bool stretching_ = false;
  // Measured, see docs/decisions/0007. The peer may have to be woken before it answers; with many
  // sockets somebody is awake, and a wake-up would find more of them at once.
  Anticipation after_few_{50'000, 25'000};
  Anticipation after_many_{20'000, 50'000};
  // Whom to tell what becomes of looking for more, and how long it may take.
  Anticipation* hope_ = nullptr;
  int64_t hoped_ = 0;
  int64_t last_event_ = 0;
  bool referenced_ = false;
};

}  // namespace afunix::binding
