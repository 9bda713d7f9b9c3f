// Descriptors that travel with the data of the engine's sockets, and that of a socket that is given
// up, as src/binding.ts declares it.
#pragma once

#include <node_api.h>

namespace afunix::binding {

[[nodiscard]] bool ExportDescriptors(napi_env env, napi_value exports);

}  // namespace afunix::binding
