// What a service needs of the one that started it.
#pragma once

#include <node_api.h>

namespace afunix::binding {

[[nodiscard]] bool ExportActivation(napi_env env, napi_value exports);

}  // namespace afunix::binding
