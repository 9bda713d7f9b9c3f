// RawState: what raw sockets and descriptors of one Node environment have in common.
#pragma once

#include <node_api.h>

#include <unordered_set>

#include "binding/raw_poller.h"
#include "posix/fd.h"

namespace afunix::binding {

// Descriptors that belong to objects in JavaScript. Those objects are gone without a word when a
// worker ends, and descriptors belong to the process: they would stay open.
class OwnedDescriptors {
 public:
  OwnedDescriptors() = default;
  ~OwnedDescriptors() {
    for (const int fd : descriptors_) posix::Fd(fd).Reset();
  }
  OwnedDescriptors(const OwnedDescriptors&) = delete;
  OwnedDescriptors& operator=(const OwnedDescriptors&) = delete;

  void Add(int fd) { descriptors_.insert(fd); }
  // Whether it was one of them.
  [[nodiscard]] bool Remove(int fd) { return descriptors_.erase(fd) == 1; }

 private:
  std::unordered_set<int> descriptors_;
};

struct RawState {
  OwnedDescriptors descriptors;
  RawPoller poller;
  napi_async_cleanup_hook_handle hook = nullptr;
};

}  // namespace afunix::binding
