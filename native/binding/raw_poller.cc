#include "binding/raw_poller.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace afunix::binding {
namespace {

// Events per wake-up, before libuv's other handles and timers get their turn.
constexpr size_t kEventBudget = 64;
constexpr size_t kColumns = 2;

}  // namespace

int RawPoller::Start(napi_env env, napi_value table, napi_value dispatch) {
  if (handle_ != nullptr) return -EALREADY;
  const auto bytes = BytesOf(env, table);
  if (bytes.size() < kColumns * kEventBudget * sizeof(int32_t)) return -EINVAL;

  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return -EINVAL;
  auto set = posix::EpollSet::Open();
  if (!set.ok()) return set.error().Negative();
  auto handle = std::make_unique<PollHandle>();
  if (const int failed = uv_poll_init(loop, &handle->poll, set.value().descriptor()); failed != 0) {
    return failed;
  }
  handle_ = handle.release();
  set_ = std::move(set).value();
  table_ = {reinterpret_cast<int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};

  const bool ready = table_reference_.Set(env, table) && dispatch_.Set(env, dispatch, "AFUNIX_RAW");
  handle_->poll.data = this;
  const int started = ready ? uv_poll_start(&handle_->poll, UV_READABLE, OnPoll) : UV_EINVAL;
  if (started != 0) {
    Stop(nullptr, nullptr);
    return started;
  }
  uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->poll));
  return 0;
}

int RawPoller::Arm(int fd, uint32_t events, uint32_t tag, bool known) {
  if (handle_ == nullptr) return -ENXIO;
  const uint32_t once = events | EPOLLONESHOT;
  const posix::Status armed = known ? set_.Modify(fd, once, tag) : set_.Add(fd, once, tag);
  return armed.error().Negative();
}

int RawPoller::Disarm(int fd) {
  if (handle_ == nullptr) return -ENXIO;
  return set_.Remove(fd).error().Negative();
}

void RawPoller::SetReferenced(bool referenced) {
  if (handle_ == nullptr) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(&handle_->poll);
  if (referenced) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

void RawPoller::Stop(void (*closed)(void*), void* data) {
  if (handle_ == nullptr) {
    if (closed != nullptr) closed(data);
    return;
  }
  uv_poll_stop(&handle_->poll);
  PollHandle::Close(std::exchange(handle_, nullptr), closed, data);
  table_ = {};
  table_reference_.Reset();
  dispatch_.Reset();
}

void RawPoller::OnPoll(uv_poll_t* poll, int /*status*/, int /*events*/) {
  static_cast<RawPoller*>(poll->data)->Run();
}

void RawPoller::Run() {
  std::array<epoll_event, kEventBudget> events;
  // What is left beyond the budget keeps the set readable, and libuv comes back.
  const size_t ready = set_.Poll(events);
  for (size_t row = 0; row < ready; ++row) {
    table_[kColumns * row] = static_cast<int32_t>(events[row].data.u64);
    table_[kColumns * row + 1] = static_cast<int32_t>(events[row].events);
  }
  // What somebody behind a promise throws is told there; the others have been told already.
  if (ready > 0) (void)dispatch_.Call(ready);
}

}  // namespace afunix::binding
