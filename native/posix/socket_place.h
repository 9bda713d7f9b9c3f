// SocketPlace: the pathname that a socket gets, taken so that nobody can come between: the file is
// born with its mode and has its owner before the socket listens, what somebody else has there is
// left alone, and a server that is still running is replaced in one step.
#pragma once

#include <sys/types.h>

#include <string>

#include "posix/fd.h"
#include "posix/file_lock.h"
#include "posix/result.h"
#include "posix/socket_file.h"

namespace afunix::posix {

// What to do about a socket file of this user's that is there already.
enum class Stale : int {
  kError = 0,    // EADDRINUSE
  kProbe = 1,    // takes its place if no socket is bound to it any more
  kReplace = 2,  // takes its place in any case
};

struct PlaceOptions {
  mode_t mode = 0600;
  // −1: as bind(2) makes it.
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  Stale stale = Stale::kError;
};

// What was found at the path.
enum class Occupant : int {
  kNone = 0,
  kNotSocket = 1,  // a file of another kind, a symbolic link among them
  kForeign = 2,    // a socket of a user who is neither this one nor PlaceOptions::uid
  kAlive = 3,      // some socket is bound to it
  kUnknown = 4,    // the kernel would not say
  kDead = 5,       // no socket is bound to it
};

// What the errno was about.
enum class PlaceStep : int {
  kNone = 0,
  kLock = 1,
  kExamine = 2,
  kBind = 3,
  kMode = 4,
  kOwner = 5,
  kListen = 6,
  kPublish = 7,
};

struct PlaceTrouble {
  PlaceStep step = PlaceStep::kNone;
  Occupant occupant = Occupant::kNone;
  // Of what is there, if it is foreign.
  uid_t owner = 0;
};

class SocketPlace {
 public:
  SocketPlace() = default;
  SocketPlace(SocketPlace&&) = default;
  SocketPlace& operator=(SocketPlace&&) = delete;
  SocketPlace(const SocketPlace&) = delete;
  SocketPlace& operator=(const SocketPlace&) = delete;
  // What was made is removed, unless it was published.
  ~SocketPlace();

  // Binds `fd` to `path`, or to `path` with ".new" behind it where a running server is to be
  // replaced. While a place is held that may remove something (kProbe, kReplace), "`path`.lock"
  // keeps other starters waiting; with kProbe, a server that is running is waited for a moment,
  // since it may be about to be gone. EADDRINUSE: `trouble` says what is there. ENAMETOOLONG.
  // EPERM: the owner cannot be given away. What bind(2) says.
  [[nodiscard]] static Result<SocketPlace> Take(int fd, const std::string& path,
                                                const PlaceOptions& options, PlaceTrouble& trouble);

  // The socket listens: puts it at its path in the place of what Take() found there, and lets the
  // next starter in. The file, for whoever has to remove it.
  [[nodiscard]] Result<SocketFile> Publish(PlaceTrouble& trouble);

 private:
  [[nodiscard]] static Result<SocketPlace> TryToTake(int fd, const std::string& path,
                                                     const PlaceOptions& options,
                                                     PlaceTrouble& trouble);
  [[nodiscard]] Status Bind(int fd, const PlaceOptions& options, PlaceTrouble& trouble);
  [[nodiscard]] Status BindBeside(int fd, PlaceTrouble& trouble);

  std::string path_;
  // Where it is bound: `path_`, or beside it.
  std::string bound_;
  SocketFile file_;
  // What is to be replaced, pinned: its inode number cannot become another file's.
  Fd displaced_;
  FileLock lock_;
};

// Who is at `path`; `pinned` holds on to it. No connection is made: the kernel is asked to connect
// a datagram socket, which it refuses with EPROTOTYPE if any other socket, listening or about to,
// is bound to the file and with ECONNREFUSED if none is (unix_find_bsd() in net/unix/af_unix.c).
// Errors: those of open(2) and socket(2), EMFILE among them.
[[nodiscard]] Result<Occupant> Examine(const std::string& path, uid_t also_ours, Fd& pinned,
                                       PlaceTrouble& trouble);

}  // namespace afunix::posix
