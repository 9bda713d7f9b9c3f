// Callback: a function of JavaScript's that libuv's callbacks call, in an asynchronous context of
// its own, so that ticks and promises run behind it.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <utility>

#include "binding/napi_util.h"

namespace afunix::binding {

class Callback {
 public:
  enum class Outcome {
    kReturned,
    // It returned true.
    kWantsMore,
    // It threw, or a tick behind it did: Node has been told, as of any uncaught exception.
    kThrew,
    // JavaScript can't be called any more.
    kGone,
  };

  // `name` is what async_hooks calls the context.
  [[nodiscard]] bool Set(napi_env env, napi_value function, const char* name) {
    env_ = env;
    napi_value resource = nullptr;
    napi_value type = nullptr;
    return function_.Set(env, function) && napi_create_object(env, &resource) == napi_ok &&
           resource_.Set(env, resource) &&
           napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &type) == napi_ok &&
           napi_async_init(env, resource, type, &context_) == napi_ok;
  }

  void Reset() {
    function_.Reset();
    if (context_ != nullptr) napi_async_destroy(env_, std::exchange(context_, nullptr));
    resource_.Reset();
  }

  [[nodiscard]] Outcome Call(size_t argument) {
    const HandleScope scope(env_);
    const napi_value function = function_.Get();
    const napi_value resource = resource_.Get();
    napi_value number = nullptr;
    napi_value returned = nullptr;
    if (function == nullptr || resource == nullptr ||
        napi_create_uint32(env_, static_cast<uint32_t>(argument), &number) != napi_ok) {
      return Outcome::kGone;
    }
    const napi_status status =
        napi_make_callback(env_, context_, resource, function, 1, &number, &returned);
    if (status == napi_ok) {
      bool more = false;
      // Nothing, or no boolean: it has no more.
      (void)napi_get_value_bool(env_, returned, &more);
      return more ? Outcome::kWantsMore : Outcome::kReturned;
    }
    if (status != napi_pending_exception) return Outcome::kGone;
    // libuv would lose the exception.
    napi_value exception = nullptr;
    if (napi_get_and_clear_last_exception(env_, &exception) != napi_ok ||
        napi_fatal_exception(env_, exception) != napi_ok) {
      return Outcome::kGone;
    }
    return Outcome::kThrew;
  }

 private:
  napi_env env_ = nullptr;
  Reference function_;
  Reference resource_;
  napi_async_context context_ = nullptr;
};

}  // namespace afunix::binding
