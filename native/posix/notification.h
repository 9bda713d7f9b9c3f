// One datagram to a service manager, as sd_notify(3) sends it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "posix/result.h"
#include "posix/unix_address.h"

namespace afunix::posix {

// Sends `text`, and copies of `descriptors` with it, to the SOCK_DGRAM socket at `address`. While
// its queue is full it waits, up to `patience` nanoseconds, then EAGAIN. EINVAL: more than 253
// descriptors, or text that is empty. EMSGSIZE, ENOENT, ECONNREFUSED, EPROTOTYPE, ETOOMANYREFS.
[[nodiscard]] Status SendNotification(const UnixAddress& address, std::span<const std::byte> text,
                                      std::span<const int> descriptors, int64_t patience);

}  // namespace afunix::posix
