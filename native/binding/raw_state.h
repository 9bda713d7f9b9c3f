// RawState: what raw sockets and descriptors of one Node environment have in common.
#pragma once

#include <node_api.h>

#include "binding/arguments.h"
#include "binding/napi_util.h"
#include "binding/owned_descriptors.h"
#include "binding/raw_poller.h"
#include "binding/transit.h"

namespace afunix::binding {

struct RawState {
  RawState() = default;
  ~RawState() { Transit::OfProcess().End(key); }
  RawState(const RawState&) = delete;
  RawState& operator=(const RawState&) = delete;

  OwnedDescriptors descriptors;
  RawPoller poller;
  // This environment's in Transit.
  Transit::Key key = Transit::OfProcess().NewEnvironment();
  napi_async_cleanup_hook_handle hook = nullptr;
};

// A function of the addon that was exported with the state.
template <int64_t (*function)(RawState&, const Arguments&)>
napi_value WithState(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  return Number(env, function(*static_cast<RawState*>(arguments.data()), arguments));
}

}  // namespace afunix::binding
