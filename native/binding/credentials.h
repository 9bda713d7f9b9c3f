// Who is at the other end of a descriptor, and what users and groups are called; as
// src/credentials/native.ts declares it.
#pragma once

#include <node_api.h>

namespace afunix::binding {

// Adds the functions to the addon's exports.
[[nodiscard]] bool ExportCredentials(napi_env env, napi_value exports);

}  // namespace afunix::binding
