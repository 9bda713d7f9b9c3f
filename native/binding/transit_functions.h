// The addon's functions for descriptors that go to another thread.
#pragma once

#include <node_api.h>

#include "binding/raw_state.h"

namespace afunix::binding {

[[nodiscard]] bool ExportTransit(napi_env env, napi_value exports, RawState* state);

}  // namespace afunix::binding
