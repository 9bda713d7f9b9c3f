// IncomingHeaders: the arguments of one recvmmsg(2), and room for the control messages that come
// with its messages. Made anew for every call, and shared with nothing that sends.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "engine/budgets.h"
#include "posix/ancillary.h"
#include "posix/assert.h"

namespace afunix::engine {

class IncomingHeaders {
 public:
  // The call receives up to `count` messages (at most kMessagesPerCall) of up to `longest` bytes,
  // `stride` bytes apart from the start of `memory` on, each with `control_size` bytes of control
  // messages; without any the kernel does less.
  void Prepare(std::span<std::byte> memory, size_t count, size_t longest, size_t stride,
               size_t control_size) {
    AFUNIX_ASSERT(count > 0 && count <= kMessagesPerCall && control_size <= posix::kControlSize &&
                      (count - 1) * stride + longest <= memory.size(),
                  "a call receives more than it has room for");
    if (control_size > 0 && !control_) control_ = std::make_unique<Place[]>(kMessagesPerCall);
    for (size_t i = 0; i < count; ++i) {
      parts_[i] = {memory.data() + i * stride, longest};
      msghdr& header = headers_[i].msg_hdr;
      header = {};
      header.msg_iov = &parts_[i];
      header.msg_iovlen = 1;
      if (control_size == 0) continue;
      header.msg_control = control_[i].bytes;
      header.msg_controllen = static_cast<decltype(header.msg_controllen)>(control_size);
    }
    count_ = count;
  }

  [[nodiscard]] std::span<mmsghdr> headers() { return std::span(headers_).first(count_); }
  [[nodiscard]] const mmsghdr& operator[](size_t index) const { return headers_[index]; }
  // Where message `index` was placed.
  [[nodiscard]] const std::byte* PlaceOf(size_t index) const {
    return static_cast<const std::byte*>(parts_[index].iov_base);
  }
  // The control messages that came with message `index`.
  [[nodiscard]] std::span<const std::byte> ControlOf(size_t index) const {
    const msghdr& header = headers_[index].msg_hdr;
    return {static_cast<const std::byte*>(header.msg_control),
            static_cast<size_t>(header.msg_controllen)};
  }

 private:
  struct Place {
    alignas(cmsghdr) std::byte bytes[posix::kControlSize];
  };

  size_t count_ = 0;
  std::array<iovec, kMessagesPerCall> parts_{};
  std::array<mmsghdr, kMessagesPerCall> headers_{};
  // Only who asks for control messages needs it.
  std::unique_ptr<Place[]> control_;
};

}  // namespace afunix::engine
