// Descriptors that travel with data, and the one under a connection that is given up.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/budgets.h"
#include "engine/readiness_engine.h"
#include "posix/ancillary.h"
#include "posix/kernel_constants.h"
#include "posix/socket.h"

namespace afunix::engine {

posix::Status ReadinessEngine::SetMaxDescriptors(int32_t handle, size_t most, size_t at_once) {
  Connection* socket = FindConnection(handle);
  if (socket == nullptr) return posix::Error{EBADF};
  if (most > posix::kMaximumDescriptors) return posix::Error{EINVAL};
  if (most > 0 && std::exchange(socket->descriptors_refused, false)) {
    ++counters_.syscalls;
    const auto allowed = posix::SetIntOption(socket->fd.get(), SOL_SOCKET, posix::kPassRights, 1);
    if (!allowed.ok()) return allowed.error();
  }
  socket->max_descriptors = static_cast<uint16_t>(most);
  if (socket->kind == Endpoint::Kind::kMessages) {
    static_cast<MessageSocket*>(socket)->batch_descriptors =
        std::clamp(at_once, most, std::max(most, kBatchDescriptors));
  }
  // It may be reading in a way that drops them.
  AwaitNoMore(*socket);
  return {};
}

posix::Status ReadinessEngine::AttachDescriptors(int32_t handle,
                                                 std::vector<posix::Fd> descriptors) {
  Connection* socket = FindConnection(handle);
  if (socket == nullptr) return posix::Error{EBADF};
  if (descriptors.empty() || descriptors.size() > posix::kMaximumDescriptors) {
    return posix::Error{EINVAL};
  }
  // A stream has one payload at a time; messages wait in order, each with its own.
  if (socket->kind == Endpoint::Kind::kStream && socket->HasPending()) {
    return posix::Error{EALREADY};
  }
  socket->load = std::make_unique<DescriptorLoad>(std::move(descriptors));
  return {};
}

posix::Result<posix::Fd> ReadinessEngine::Detach(int32_t handle, std::vector<std::byte>& unread) {
  Connection* socket = FindConnection(handle);
  if (socket == nullptr) return posix::Error{EBADF};
  if (socket->HasRequests()) return posix::Error{EBUSY};
  if (socket->kind == Endpoint::Kind::kMessages && socket->read_error != 0) {
    // The kernel has told it in front of the messages, and will not tell whoever goes on.
    return posix::Error{socket->read_error};
  }
  socket->reading = false;
  TakeBack(*socket, unread);
  posix::Fd given = std::move(socket->fd);
  CloseEndpoint(*socket);
  return given;
}

}  // namespace afunix::engine
