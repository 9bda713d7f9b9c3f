// Numbers of the kernel's that the headers of older distributions do not have yet. They are part of
// its stable interface; a kernel that does not know one answers ENOPROTOOPT.
#pragma once

#include <linux/fs.h>
#include <sys/socket.h>

namespace afunix::posix {

#ifdef SO_PEERGROUPS
inline constexpr int kPeerGroups = SO_PEERGROUPS;
#else
inline constexpr int kPeerGroups = 59;  // Linux 4.13
#endif

#ifdef SO_PASSPIDFD
inline constexpr int kPassPidFd = SO_PASSPIDFD;
#else
inline constexpr int kPassPidFd = 76;   // Linux 6.5
#endif

#ifdef SO_PEERPIDFD
inline constexpr int kPeerPidFd = SO_PEERPIDFD;
#else
inline constexpr int kPeerPidFd = 77;   // Linux 6.5
#endif

#ifdef SO_PASSRIGHTS
inline constexpr int kPassRights = SO_PASSRIGHTS;
#else
inline constexpr int kPassRights = 83;  // Linux 6.16
#endif

#ifdef SCM_PIDFD
inline constexpr int kScmPidFd = SCM_PIDFD;
#else
inline constexpr int kScmPidFd = 0x04;  // Linux 6.5
#endif

// renameat2(2), Linux 3.15; EINVAL from a file system that has none of it.
#ifdef RENAME_NOREPLACE
inline constexpr unsigned kRenameNoReplace = RENAME_NOREPLACE;
#else
inline constexpr unsigned kRenameNoReplace = 1;
#endif

#ifdef RENAME_EXCHANGE
inline constexpr unsigned kRenameExchange = RENAME_EXCHANGE;
#else
inline constexpr unsigned kRenameExchange = 2;
#endif

}  // namespace afunix::posix
