#include "binding/environment.h"

#include <uv.h>

#include <utility>

#include "engine/epoll_engine.h"
#include "engine/uring_engine.h"

namespace afunix::binding {

namespace {

// From 1.52 on libuv reads on after a hang-up until the kernel says what it was, and so does `net`.
constexpr unsigned kReadsBehindHangUp = 1u << 16 | 52u << 8;

}  // namespace

bool Environment::Install(napi_env env) {
  auto environment = std::make_unique<Environment>(env);
  Environment* installed = environment.get();
  if (napi_set_instance_data(
          env, installed,
          [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); },
          nullptr) != napi_ok) {
    return false;
  }
  (void)environment.release();
  return napi_add_async_cleanup_hook(env, OnCleanup, installed, &installed->hook_) == napi_ok;
}

Environment* Environment::Of(napi_env env) {
  void* data = nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok) return nullptr;
  return static_cast<Environment*>(data);
}

template <typename Kind>
posix::Status Environment::Open() {
  auto opened = Kind::Open(memory_.memory());
  if (!opened.ok()) return opened.error();
  engine_ = std::move(opened).value();
  return {};
}

int Environment::Attach(napi_value layout, napi_value dispatch, bool uring) {
  if (engine_) return -EALREADY;
  if (!memory_.Attach(env_, layout)) return -EINVAL;
  const posix::Status opened = uring ? Open<engine::UringEngine>() : Open<engine::EpollEngine>();
  if (!opened.ok()) return opened.error().Negative();
  engine_->SetResetBehindDataEnds(uv_version() < kReadsBehindHangUp);
  const int started = LoopDriver::Start(env_, *engine_, dispatch, driver_);
  if (started != 0) {
    Close();
    engine_.reset();
  }
  return started;
}

void Environment::Close(void (*closed)(void*), void* data) {
  // libuv must stop polling a descriptor before it is closed.
  driver_.Stop(closed, data);
  if (engine_) engine_->Shutdown();
}

void Environment::OnCleanup(napi_async_cleanup_hook_handle hook, void* data) {
  // Removing the hook tells Node that it need not wait for us any longer: not before libuv let go.
  static_cast<Environment*>(data)->Close(
      [](void* removed) {
        napi_remove_async_cleanup_hook(static_cast<napi_async_cleanup_hook_handle>(removed));
      },
      hook);
}

}  // namespace afunix::binding
