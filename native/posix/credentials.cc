#include "posix/credentials.h"

#include <sys/stat.h>

#include <algorithm>

#include "posix/kernel_constants.h"
#include "posix/socket.h"

namespace afunix::posix {
namespace {

// A list of whatever length the kernel keeps: it answers ERANGE and the length it needs. Repeated,
// because the length can't be trusted to be the same at the second call.
template <typename List>
Result<List> GetListOption(int fd, int name, size_t first_guess) {
  using Item = typename List::value_type;
  List list;
  list.resize(first_guess);
  for (;;) {
    auto bytes = static_cast<socklen_t>(list.size() * sizeof(Item));
    const int outcome = ::getsockopt(fd, SOL_SOCKET, name, list.data(), &bytes);
    if (outcome != 0 && errno != ERANGE) return LastError();
    const size_t needed = bytes / sizeof(Item);
    // ERANGE without a larger length would repeat for ever.
    if (outcome != 0 && needed <= list.size()) return Error{ERANGE};
    list.resize(needed);
    if (outcome == 0) return list;
  }
}

}  // namespace

Result<Credentials> PeerCredentials(int fd) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return LastError();
  return Credentials{.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
}

Result<std::vector<gid_t>> PeerGroups(int fd) {
  const Result<Credentials> primary = PeerCredentials(fd);
  if (!primary.ok()) return primary.error();
  Result<std::vector<gid_t>> result = GetListOption<std::vector<gid_t>>(fd, kPeerGroups, 32);
  if (!result.ok()) return result;

  std::vector<gid_t>& groups = result.value();
  groups.push_back(primary.value().gid);
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return result;
}

Result<Fd> PeerPidFd(int fd) {
  int pidfd = -1;
  socklen_t length = sizeof(pidfd);
  // The kernel makes every pidfd close-on-exec.
  if (::getsockopt(fd, SOL_SOCKET, kPeerPidFd, &pidfd, &length) != 0) return LastError();
  return Fd(pidfd);
}

Result<std::string> PeerSecurityLabel(int fd) {
  Result<std::string> label = GetListOption<std::string>(fd, SO_PEERSEC, 256);
  // Some security modules count a NUL at the end and some don't.
  if (label.ok() && label.value().ends_with('\0')) label.value().pop_back();
  return label;
}

Status SetPassCredentials(int fd, bool enable) {
  return SetIntOption(fd, SOL_SOCKET, SO_PASSCRED, enable ? 1 : 0);
}

Status SetPassPidFd(int fd, bool enable) {
  return SetIntOption(fd, SOL_SOCKET, kPassPidFd, enable ? 1 : 0);
}

uint64_t ProcessOf(int pidfd) {
  struct stat about {};
  return ::fstat(pidfd, &about) == 0 ? about.st_ino : 0;
}

}  // namespace afunix::posix
