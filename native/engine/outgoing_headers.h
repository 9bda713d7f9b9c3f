// OutgoingHeaders: the arguments of one sendmmsg(2). Made anew for every call, and shared with
// nothing that receives: what leaves with a message is what was said of it here.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <span>

#include "engine/budgets.h"
#include "posix/assert.h"

namespace afunix::engine {

class OutgoingHeaders {
 public:
  void Clear() { count_ = 0; }

  // The next message of the call, and its control messages, if any. Both have to stay until the
  // call has returned.
  void Add(std::span<const std::byte> message, std::span<const std::byte> control = {}) {
    AFUNIX_ASSERT(count_ < kMessagesPerCall, "a call sends more messages than it has headers");
    // The kernel reads what is sent through these; neither struct has a const form.
    parts_[count_] = {const_cast<std::byte*>(message.data()), message.size()};
    mmsghdr& header = headers_[count_];
    header = {};
    header.msg_hdr.msg_iov = &parts_[count_];
    header.msg_hdr.msg_iovlen = 1;
    if (!control.empty()) {
      header.msg_hdr.msg_control = const_cast<std::byte*>(control.data());
      header.msg_hdr.msg_controllen =
          static_cast<decltype(header.msg_hdr.msg_controllen)>(control.size());
    }
    ++count_;
  }

  [[nodiscard]] size_t size() const { return count_; }
  [[nodiscard]] std::span<mmsghdr> headers() { return std::span(headers_).first(count_); }
  [[nodiscard]] bool HasControl(size_t index) const {
    return headers_[index].msg_hdr.msg_controllen != 0;
  }
  [[nodiscard]] std::span<const std::byte> Message(size_t index) const {
    return {static_cast<const std::byte*>(parts_[index].iov_base), parts_[index].iov_len};
  }

 private:
  size_t count_ = 0;
  std::array<iovec, kMessagesPerCall> parts_{};
  std::array<mmsghdr, kMessagesPerCall> headers_{};
};

}  // namespace afunix::engine
