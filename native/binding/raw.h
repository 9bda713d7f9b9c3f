// The system calls behind RawSocket and Descriptor, as src/raw/native.ts declares them.
#pragma once

#include <node_api.h>

namespace afunix::binding {

// Adds them to the addon's exports, with a state of their own that ends with the environment.
[[nodiscard]] bool ExportRaw(napi_env env, napi_value exports);

}  // namespace afunix::binding
