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

// After a busy batch more is likely to come at once: looking for it so long is cheaper than
// sleeping and being woken.
constexpr int64_t kAnticipation = 20'000;

// The longest stretch of busy polling between two looks at timers.
constexpr int64_t kLongestStretch = 1'000'000;

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

void LoopDriver::Run() {
  engine_->SetAttended(true);
  const int64_t started = posix::MonotonicNow();
  // A stretch of busy polling that goes on counts from the event before it.
  if (!std::exchange(stretching_, false)) last_event_ = started;
  bool stretched = false;
  bool anticipating = false;
  int round = 0;
  size_t told = 0;
  while (handle_ != nullptr) {
    const size_t completions = engine_->Collect();
    if (completions > 0) {
      if (std::exchange(anticipating, false)) anticipation_.Hit();
      if (!Dispatch(completions)) break;
    }
    // What was dispatched may have closed the last socket that wished for polling.
    int64_t patience = WishedPatience();
    if (patience == 0) {
      told += completions;
      const bool more = engine_->HasWork() || completions >= kLooksBusy;
      if (completions > 0 || more) ++round;
      if (round >= kRounds || told >= kCompletionBudget) break;
      if (more) continue;
      if (!anticipating) {
        if (told < kLooksBusy || !engine_->LooksForFree() || !anticipation_.Pays()) break;
        anticipating = true;
        last_event_ = posix::MonotonicNow();
      }
      patience = kAnticipation;
    }
    const int64_t now = posix::MonotonicNow();
    if (completions > 0) last_event_ = now;
    if (now - last_event_ > patience || !engine_->KeepsAlive()) break;
    stretched = now - started > kLongestStretch;
    if (stretched) break;
    Relax();
  }
  if (anticipating) anticipation_.Miss();
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
      case Callback::Outcome::kThrew:
        if (handle_ == nullptr) return false;
        // JavaScript knows how far it came, and the rest of the batch follows. 0: no new batch. It
        // may have been a tick behind the finished batch that threw.
        completions = 0;
    }
  }
}

}  // namespace afunix::binding
