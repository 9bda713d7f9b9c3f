// RawState: what raw sockets and descriptors of one Node environment have in common.
#pragma once

#include <node_api.h>

#include "binding/owned_descriptors.h"
#include "binding/raw_poller.h"

namespace afunix::binding {

struct RawState {
  OwnedDescriptors descriptors;
  RawPoller poller;
  napi_async_cleanup_hook_handle hook = nullptr;
};

}  // namespace afunix::binding
