// EngineFunction: how a function of the addon that works on the engine is called.
#pragma once

#include <node_api.h>

#include <cerrno>
#include <cstdint>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "binding/napi_util.h"

namespace afunix::binding {

// −ENXIO while there is no engine.
template <int64_t (*function)(Environment&, const Arguments&)>
napi_value WithEngine(napi_env env, napi_callback_info info) {
  Environment* environment = Environment::Of(env);
  if (environment == nullptr || environment->engine() == nullptr) return Number(env, -ENXIO);
  const Arguments arguments(env, info);
  const int64_t result = function(*environment, arguments);
  environment->driver().UpdateReference();
  return Number(env, result);
}

}  // namespace afunix::binding
