// PollHandle: a libuv poll handle on the heap, whose memory is freed only when libuv has let go of
// it.
#pragma once

#include <uv.h>

#include <utility>

namespace afunix::binding {

struct PollHandle {
  uv_poll_t poll{};
  // Called when libuv has let go, whatever else is gone by then.
  void (*closed)(void*) = nullptr;
  void* closed_data = nullptr;

  // `handle` was initialised by uv_poll_init and is libuv's from here on.
  static void Close(PollHandle* handle, void (*closed)(void*), void* data) {
    handle->closed = closed;
    handle->closed_data = data;
    handle->poll.data = handle;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), [](uv_handle_t* base) {
      auto* gone = static_cast<PollHandle*>(base->data);
      const auto notify = std::exchange(gone->closed, nullptr);
      void* const notify_data = gone->closed_data;
      delete gone;
      if (notify != nullptr) notify(notify_data);
    });
  }
};

}  // namespace afunix::binding
