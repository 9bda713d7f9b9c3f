// RawPoller: readiness for raw sockets. One epoll set behind one libuv handle for a whole Node
// environment; every registration tells once and is then disarmed.
#pragma once

#include <node_api.h>

#include <cstdint>

#include "binding/callback.h"
#include "binding/napi_util.h"
#include "binding/poll_handle.h"
#include "posix/epoll.h"

namespace afunix::binding {

class RawPoller {
 public:
  // Starts on the first use. `table` has rows of (tag, events); `dispatch` is called with how many
  // were filled. 0 or −errno.
  [[nodiscard]] int Start(napi_env env, napi_value table, napi_value dispatch);

  // Tells of `events` (and EPOLLERR, EPOLLHUP) on `fd` once. `known`: it was armed before.
  [[nodiscard]] int Arm(int fd, uint32_t events, uint32_t tag, bool known);
  // Has to come before `fd` is closed: a duplicate elsewhere would keep it in the set.
  [[nodiscard]] int Disarm(int fd);

  // Whether somebody's wait holds the process.
  void SetReferenced(bool referenced);

  // Lets go of the loop; `closed` is called with `data` once libuv has let go too (at once if there
  // was nothing to let go of).
  void Stop(void (*closed)(void*), void* data);

 private:
  static void OnPoll(uv_poll_t* poll, int status, int events);
  void Run();

  posix::EpollSet set_;
  PollHandle* handle_ = nullptr;
  Reference table_reference_;
  Callback dispatch_;
  // JavaScript keeps the table to itself, so its address holds.
  std::span<int32_t> table_;
};

}  // namespace afunix::binding
