// Who is at the other end, as the kernel recorded it. SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD,
// SO_PEERSEC in unix(7) and socket(7).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "posix/fd.h"
#include "posix/result.h"

namespace afunix::posix {

// As of connect(2) or socketpair(2); for a client, of the process that called listen(2).
struct Credentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// pid is 0 for a peer in a pid namespace we can't see; uid and gid are the overflow ids for one in
// an unmapped user namespace. The pid is a hint: it may have been reused.
[[nodiscard]] Result<Credentials> PeerCredentials(int fd);

// Supplementary groups, sorted, each once, the primary group included. Linux 4.13. ENOPROTOOPT
// before.
[[nodiscard]] Result<std::vector<gid_t>> PeerGroups(int fd);

// A pidfd for the peer, close-on-exec. Linux 6.5; ENOPROTOOPT before, ESRCH or EINVAL once it was
// reaped.
[[nodiscard]] Result<Fd> PeerPidFd(int fd);

// The security label as bytes, without its trailing NUL. ENOPROTOOPT where no security module keeps
// one.
[[nodiscard]] Result<std::string> PeerSecurityLabel(int fd);

// Asks for SCM_CREDENTIALS with every message; accepted sockets inherit it from their listener.
[[nodiscard]] Status SetPassCredentials(int fd, bool enable);

// The same for SCM_PIDFD. Linux 6.5; ENOPROTOOPT before.
[[nodiscard]] Status SetPassPidFd(int fd, bool enable);

// What only the pidfds of one process have in common while the machine runs: the number of an inode
// (pidfs, Linux 6.9). Before, all pidfds have the same.
[[nodiscard]] uint64_t ProcessOf(int pidfd);

}  // namespace afunix::posix
