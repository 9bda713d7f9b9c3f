// MessageControl: room for the control messages that come with the messages of one call, and the
// lending of such room to headers that otherwise have none: without, the kernel does less.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <span>

#include "engine/budgets.h"
#include "posix/ancillary.h"

namespace afunix::engine {

// The kernel writes through `control` only when it receives.
inline void LendControl(mmsghdr& header, const std::byte* control, size_t size) {
  header.msg_hdr.msg_control = const_cast<std::byte*>(control);
  header.msg_hdr.msg_controllen = static_cast<decltype(header.msg_hdr.msg_controllen)>(size);
}

inline void ForgetControl(std::span<mmsghdr> headers) {
  for (mmsghdr& header : headers) LendControl(header, nullptr, 0);
}

class MessageControl {
 public:
  // Each of `headers` (at most kMessagesPerCall) has `size` bytes from now on, until ForgetControl.
  void Lend(std::span<mmsghdr> headers, size_t size) {
    if (!memory_) memory_ = std::make_unique_for_overwrite<Place[]>(kMessagesPerCall);
    for (size_t i = 0; i < headers.size(); ++i) LendControl(headers[i], memory_[i].bytes, size);
  }

  // What came with the message of `header`.
  [[nodiscard]] static std::span<const std::byte> Of(const mmsghdr& header) {
    return {static_cast<const std::byte*>(header.msg_hdr.msg_control),
            static_cast<size_t>(header.msg_hdr.msg_controllen)};
  }

 private:
  struct Place {
    alignas(cmsghdr) std::byte bytes[posix::kControlSize];
  };

  // Only who asks for control messages needs it.
  std::unique_ptr<Place[]> memory_;
};

}  // namespace afunix::engine
