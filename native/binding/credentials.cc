#include "binding/credentials.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "binding/name_request.h"
#include "binding/napi_util.h"
#include "posix/credentials.h"
#include "posix/fd.h"

namespace afunix::binding {

namespace {

// How many bytes there are; copied if there is room for all of them.
int64_t CopyOut(std::span<const std::byte> bytes, std::span<std::byte> into) {
  if (!bytes.empty() && into.size() >= bytes.size()) {
    std::memcpy(into.data(), bytes.data(), bytes.size());
  }
  return static_cast<int64_t>(bytes.size());
}

template <int64_t (*function)(const Arguments&)>
napi_value Plain(napi_env env, napi_callback_info info) {
  return Number(env, function(Arguments(env, info)));
}

// peerCredentials(fd, into): pid, uid and gid.
int64_t Peer(const Arguments& arguments) {
  const auto peer = posix::PeerCredentials(arguments.Int(0));
  if (!peer.ok()) return peer.error().Negative();
  const auto [pid, uid, gid] = peer.value();
  const std::array<int32_t, 3> row = {pid, static_cast<int32_t>(uid), static_cast<int32_t>(gid)};
  const auto into = arguments.Memory(1);
  if (into.size() < sizeof(row)) return -EINVAL;
  std::memcpy(into.data(), row.data(), sizeof(row));
  return 0;
}

// peerGroups(fd, into): how many bytes they take.
int64_t PeerGroups(const Arguments& arguments) {
  const auto groups = posix::PeerGroups(arguments.Int(0));
  if (!groups.ok()) return groups.error().Negative();
  return CopyOut(std::as_bytes(std::span(groups.value())), arguments.Memory(1));
}

// peerLabel(fd, into): how many bytes it takes.
int64_t PeerLabel(const Arguments& arguments) {
  const auto label = posix::PeerSecurityLabel(arguments.Int(0));
  if (!label.ok()) return label.error().Negative();
  return CopyOut(std::as_bytes(std::span(label.value())), arguments.Memory(1));
}

// peerPidFd(fd): a descriptor, owned as claimed ones are.
napi_value PeerPidFd(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Environment* environment = Environment::Of(env);
  OwnedDescriptors* owned = environment == nullptr ? nullptr : environment->owned();
  if (owned == nullptr) return Number(env, -ENXIO);
  auto opened = posix::PeerPidFd(arguments.Int(0));
  if (!opened.ok()) return Number(env, opened.error().Negative());
  const int fd = opened.value().Release();
  owned->Add(fd);
  return Number(env, fd);
}

// hasExited(pidfd): 1 or 0.
int64_t HasExited(const Arguments& arguments) {
  pollfd polled{.fd = arguments.Int(0), .events = POLLIN, .revents = 0};
  if (::poll(&polled, 1, 0) < 0) return -errno;
  if ((polled.revents & POLLNVAL) != 0) return -EBADF;
  return polled.revents == 0 ? 0 : 1;
}

}  // namespace

bool ExportCredentials(napi_env env, napi_value exports) {
  return Export(env, exports, "peerCredentials", Plain<Peer>) &&
         Export(env, exports, "peerGroups", Plain<PeerGroups>) &&
         Export(env, exports, "peerLabel", Plain<PeerLabel>) &&
         Export(env, exports, "peerPidFd", PeerPidFd) &&
         Export(env, exports, "hasExited", Plain<HasExited>) &&
         Export(env, exports, "lookUp", LookUp);
}

}  // namespace afunix::binding
