#include "binding/loop_driver.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "posix/timer_fd.h"

namespace afunix::binding {

namespace {

// Collections and completions per wake-up before libuv's other handles and timers get their turn.
constexpr int kRounds = 16;
constexpr size_t kCompletionBudget = 1024;

// The longest stretch of looking for events between two looks at libuv's other handles and timers:
// where it is wished for, or there is a crowd; and where we only hope for an answer.
constexpr int64_t kLongestStretch = 1'000'000;
constexpr int64_t kLongestHope = 200'000;

// So many events at once mean that more have arrived meanwhile: looking again is cheaper than
// going through libuv.
constexpr size_t kLooksBusy = 8;

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int LoopDriver::Start(napi_env env, engine::Engine& engine, napi_value dispatch,
                      LoopDriver& driver) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return UV_EINVAL;
  auto handle = std::make_unique<PollHandle>();
  if (const int failed = uv_poll_init(loop, &handle->poll, engine.descriptor()); failed != 0) {
    return failed;
  }
  driver.handle_ = handle.release();
  driver.engine_ = &engine;
  if (!driver.dispatch_.Set(env, dispatch, "AFUNIX")) return UV_EINVAL;
  driver.handle_->poll.data = &driver;
  if (const int failed = uv_poll_start(&driver.handle_->poll, UV_READABLE, OnPoll); failed != 0) {
    return failed;
  }
  uv_unref(reinterpret_cast<uv_handle_t*>(&driver.handle_->poll));
  return 0;
}

void LoopDriver::Stop(void (*closed)(void*), void* data) {
  if (handle_ == nullptr) {
    if (closed != nullptr) closed(data);
    return;
  }
  uv_poll_stop(&handle_->poll);
  PollHandle::Close(std::exchange(handle_, nullptr), closed, data);
  dispatch_.Reset();
}

void LoopDriver::UpdateReference() {
  if (handle_ == nullptr) return;
  const bool wanted = engine_->KeepsAlive();
  if (wanted == referenced_) return;
  referenced_ = wanted;
  auto* handle = reinterpret_cast<uv_handle_t*>(&handle_->poll);
  if (wanted) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

void LoopDriver::OnPoll(uv_poll_t* poll, int /*status*/, int /*events*/) {
  // A bad status would be about the engine's descriptor; collecting tells all there is to tell.
  static_cast<LoopDriver*>(poll->data)->Run();
}

int64_t LoopDriver::WishedPatience() const { return std::max(engine_->BusyPoll(), busy_poll_); }

Anticipation* LoopDriver::Hope(size_t largest_batch) {
  if (largest_batch < kLooksBusy) return &after_few_;
  // In a crowd, looks that cost a system call take more than sleeping.
  return engine_->LooksForFree() ? &after_many_ : nullptr;
}

// Looking stands for sleeping. 0: immediates are due, or a timer, a handle to close or to watch.
bool LoopDriver::WouldSleep() const { return uv_backend_timeout(handle_->poll.loop) != 0; }

void LoopDriver::Run() {
  engine_->SetAttended(true);
  const int64_t started = posix::MonotonicNow();
  // A stretch that goes on counts from the event before it, and for the same hope.
  if (!std::exchange(stretching_, false)) {
    last_event_ = started;
    hope_ = nullptr;
  }
  bool stretched = false;
  int round = 0;
  size_t told = 0;
  size_t largest_batch = 0;
  while (handle_ != nullptr) {
    const size_t completions = engine_->Collect();
    int64_t now = posix::MonotonicNow();
    if (completions > 0) {
      if (hope_ != nullptr) std::exchange(hope_, nullptr)->Hit(now - last_event_);
      if (!Dispatch(completions)) break;
      last_event_ = now = posix::MonotonicNow();
    }
    // What was dispatched may have closed the last socket that wished for polling.
    int64_t patience = WishedPatience();
    int64_t longest = kLongestStretch;
    if (patience == 0) {
      told += completions;
      largest_batch = std::max(largest_batch, completions);
      if (engine_->HasWork() || completions >= kLooksBusy) {
        // Immediates that a listener has set run before what its event has led to, as they do
        // between two of libuv's own looks at the kernel.
        if (!WouldSleep() || ++round >= kRounds || told >= kCompletionBudget) break;
        continue;
      }
      if (hope_ == nullptr) {
        hope_ = Hope(largest_batch);
        hoped_ = hope_ == nullptr ? 0 : hope_->Patience();
        if (hoped_ == 0) {
          hope_ = nullptr;
          break;
        }
      }
      patience = hoped_;
      if (hope_ == &after_few_) longest = kLongestHope;
    }
    if (now - last_event_ > patience || !engine_->KeepsAlive()) break;
    stretched = now - started > longest || !WouldSleep();
    if (stretched) break;
    Relax();
  }
  if (hope_ != nullptr && !stretched) hope_->Miss();
  if (handle_ == nullptr) return;
  engine_->SetAttended(false);
  stretching_ = stretched;
  if (stretched || engine_->HasWork()) engine_->Wake();
  UpdateReference();
}

bool LoopDriver::Dispatch(size_t completions) {
  for (;;) {
    switch (dispatch_.Call(completions)) {
      case Callback::Outcome::kReturned:
        return true;
      case Callback::Outcome::kGone:
        return false;
      case Callback::Outcome::kWantsMore:
      case Callback::Outcome::kThrew:
        if (handle_ == nullptr) return false;
        // JavaScript knows how far it came, and the rest of the batch follows. 0: no new batch. It
        // may have been a tick behind the finished batch that threw.
        completions = 0;
    }
  }
}

}  // namespace afunix::binding
