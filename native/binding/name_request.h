// NameRequest: one look-up in the user database, made on a thread of libuv's pool.
#pragma once

#include <node_api.h>

namespace afunix::binding {

// lookUp(kind, what, callback): 0, and `callback(status, answer)` follows. Kinds: 0 the name of a
// uid, 1 of a gid, 2 the uid of a name, 3 the gid. status 0 without an answer: there is none.
napi_value LookUp(napi_env env, napi_callback_info info);

}  // namespace afunix::binding
