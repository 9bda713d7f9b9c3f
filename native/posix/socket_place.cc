#include "posix/socket_place.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "posix/kernel_constants.h"
#include "posix/socket.h"
#include "posix/timer_fd.h"
#include "posix/unix_address.h"

namespace afunix::posix {
namespace {

// How long other starters may take, in nanoseconds. Each of them makes some twenty system calls.
constexpr int64_t kPatience = 5'000'000'000;
// A process that was killed may be gone before its sockets are: an io_uring lets go of them some
// milliseconds later. So long, in nanoseconds, a server that seems to be running is looked at
// again. One look counts as so much at most: time also passes while this process does not run.
constexpr int64_t kSettling = 200'000'000;
constexpr int64_t kLongestLook = 50'000'000;
constexpr int64_t kPause = 2'000'000;
// How often somebody who does not take part in the locking may come between.
constexpr int kAttempts = 8;

std::string Through(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

// By the system call: glibc before 2.28 and some musl have no function for it.
Status Rename(const std::string& from, const std::string& to, unsigned flags) {
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) {
    return LastError();
  }
  return {};
}

// A file system, or a container's filter, that knows no flags.
bool HasNoFlags(const Status& renamed) {
  const int code = renamed.error().code;
  return code == EINVAL || code == ENOSYS || code == EPERM;
}

bool LeadsTo(const std::string& path, int pinned) {
  struct stat found {};
  struct stat wanted {};
  return ::lstat(path.c_str(), &found) == 0 && ::fstat(pinned, &wanted) == 0 &&
         found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino;
}

Result<Occupant> Probe(int pinned) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return LastError();
  const Fd probe(fd);
  // Through the descriptor, so that it is this file that is asked about.
  const auto address = UnixAddress::Pathname(Through(pinned));
  if (!address.ok()) return address.error();
  const auto connected = Connect(fd, address.value());
  if (connected.ok() || connected.error().code == EPROTOTYPE) return Occupant::kAlive;
  if (connected.error().code == ECONNREFUSED) return Occupant::kDead;
  return Occupant::kUnknown;
}

// Removes the socket file of a server that is gone, and nothing else: whatever came in its place
// meanwhile is put back.
Status RemoveDead(const std::string& path, int pinned) {
  const std::string aside = path + ".old";
  const auto moved = Rename(path, aside, kRenameNoReplace);
  if (moved.ok()) {
    if (LeadsTo(aside, pinned)) {
      ::unlink(aside.c_str());
      return {};
    }
    return Rename(aside, path, kRenameNoReplace);
  }
  if (moved.error().code == ENOENT) return {};
  if (!HasNoFlags(moved)) return moved;
  if (LeadsTo(path, pinned) && ::unlink(path.c_str()) != 0) return LastError();
  return {};
}

// What an interrupted start left behind. We hold the lock, so nobody is using it.
void ClearLeftover(const std::string& path, uid_t also_ours) {
  Fd pinned;
  PlaceTrouble ignored;
  const auto occupant = Examine(path, also_ours, pinned, ignored);
  if (occupant.ok() && occupant.value() == Occupant::kDead && LeadsTo(path, pinned.get())) {
    ::unlink(path.c_str());
  }
}

// The directory with its slash, nothing if there is none, and the name in it.
std::pair<std::string, std::string> Split(const std::string& path) {
  const size_t length = path.rfind('/') + 1;
  return {path.substr(0, length), path.substr(length)};
}

// Where a socket waits to take the place of the one at `path`: always the same name, so that what
// an interrupted start left is found by the next one.
std::string Beside(const std::string& path) {
  std::string beside = path + ".new";
  if (beside.size() <= UnixAddress::kMaximumName) return beside;
  const auto [directory, name] = Split(path);
  // FNV-1a: short, and another name for other sockets of the same directory.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : name) hash = (hash ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
  return directory + "." + std::to_string(hash) + ".new";
}

// Binds to a file whose name, but not its directory's, is short enough for an address.
Status BindThroughDirectory(int fd, const std::string& path) {
  const auto [directory, name] = Split(path);
  const Fd opened(
      ::open(directory.empty() ? "." : directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) return LastError();
  const auto address = UnixAddress::Pathname(Through(opened.get()) + "/" + name);
  if (!address.ok()) return address.error();
  return posix::Bind(fd, address.value());
}

}  // namespace

Result<Occupant> Examine(const std::string& path, uid_t also_ours, Fd& pinned,
                         PlaceTrouble& trouble) {
  pinned = Fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!pinned.valid()) {
    if (errno == ENOENT) return trouble.occupant = Occupant::kNone;
    return LastError();
  }
  struct stat status {};
  if (::fstat(pinned.get(), &status) != 0) return LastError();
  if (!S_ISSOCK(status.st_mode)) return trouble.occupant = Occupant::kNotSocket;
  if (status.st_uid != ::geteuid() && status.st_uid != also_ours) {
    trouble.owner = status.st_uid;
    return trouble.occupant = Occupant::kForeign;
  }
  auto probed = Probe(pinned.get());
  if (probed.ok()) trouble.occupant = probed.value();
  return probed;
}

SocketPlace::~SocketPlace() {
  // Still under the lock.
  file_.Remove();
}

Result<SocketPlace> SocketPlace::Take(int fd, const std::string& path, const PlaceOptions& options,
                                      PlaceTrouble& trouble) {
  int64_t settled = 0;
  for (int64_t before = MonotonicNow();;) {
    // Each time with a lock of its own, so that starters wait together and not one after the other.
    auto place = TryToTake(fd, path, options, trouble);
    const bool may_be_ending = options.stale == Stale::kProbe && !place.ok() &&
                               trouble.step == PlaceStep::kExamine &&
                               trouble.occupant == Occupant::kAlive;
    const int64_t now = MonotonicNow();
    settled += std::min(now - std::exchange(before, now), kLongestLook);
    if (!may_be_ending || settled >= kSettling) return place;
    Pause(kPause);
  }
}

Result<SocketPlace> SocketPlace::TryToTake(int fd, const std::string& path,
                                           const PlaceOptions& options, PlaceTrouble& trouble) {
  SocketPlace place;
  place.path_ = path;
  place.bound_ = path;
  if (options.stale != Stale::kError) {
    trouble.step = PlaceStep::kLock;
    auto lock = FileLock::Acquire(path + ".lock", kPatience);
    if (!lock.ok()) return lock.error();
    place.lock_ = std::move(lock).value();
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    trouble.occupant = Occupant::kNone;
    const auto bound = place.Bind(fd, options, trouble);
    if (bound.ok()) return place;
    if (trouble.step != PlaceStep::kBind || bound.error().code != EADDRINUSE) return bound.error();
    // Somebody is there.
    Fd pinned;
    trouble.step = PlaceStep::kExamine;
    const auto occupant = Examine(path, options.uid, pinned, trouble);
    if (!occupant.ok()) return occupant.error();
    const bool was_dead = occupant.value() == Occupant::kDead;
    const bool may_live =
        occupant.value() == Occupant::kAlive || occupant.value() == Occupant::kUnknown;
    if (options.stale == Stale::kReplace && may_live) {
      place.displaced_ = std::move(pinned);
      place.bound_ = Beside(path);
      ClearLeftover(place.bound_, options.uid);
      const auto beside = place.Bind(fd, options, trouble);
      if (!beside.ok()) return beside.error();
      return place;
    }
    if (options.stale != Stale::kError && was_dead) {
      ClearLeftover(path + ".old", options.uid);
      const auto removed = RemoveDead(path, pinned.get());
      if (!removed.ok()) return removed.error();
    } else if (occupant.value() != Occupant::kNone) {
      return Error{EADDRINUSE};
    }
  }
  return Error{EADDRINUSE};
}

Status SocketPlace::BindBeside(int fd, PlaceTrouble& trouble) {
  const auto address = UnixAddress::Pathname(bound_);
  if (address.ok()) return posix::Bind(fd, address.value());
  // Only our own suffix can have made it too long.
  if (bound_ == path_) return address.error();
  trouble.step = PlaceStep::kBind;
  return BindThroughDirectory(fd, bound_);
}

Status SocketPlace::Bind(int fd, const PlaceOptions& options, PlaceTrouble& trouble) {
  trouble.step = PlaceStep::kMode;
  // The file gets the socket's mode without what the umask takes away (unix_bind_bsd() in
  // net/unix/af_unix.c): never more than was asked for, not even for a moment.
  if (::fchmod(fd, options.mode) != 0) return LastError();
  trouble.step = PlaceStep::kBind;
  auto origin = SocketFile::Origin(bound_);
  if (!origin.ok()) return origin.error();
  if (auto done = BindBeside(fd, trouble); !done.ok()) return done;
  auto file = SocketFile::Remember(bound_, std::move(origin).value());
  if (!file.ok()) return file.error();
  // Somebody who may rename in this directory was quicker: not ours to change or to remove.
  if (!file.value().IsSocketOf(::geteuid())) return Error{EPERM};
  file_ = std::move(file).value();
  // Nobody can connect before the socket listens.
  trouble.step = PlaceStep::kMode;
  if (auto done = file_.SetMode(options.mode); !done.ok()) return done;
  trouble.step = PlaceStep::kOwner;
  if (auto done = file_.SetOwner(options.uid, options.gid); !done.ok()) return done;
  trouble.step = PlaceStep::kListen;
  return {};
}

Result<SocketFile> SocketPlace::Publish(PlaceTrouble& trouble) {
  trouble.step = PlaceStep::kPublish;
  Status published;
  for (int attempt = 0; displaced_.valid() && attempt < kAttempts; ++attempt) {
    // In one step, so that there is a listening socket at the path at every moment.
    published = Rename(bound_, path_, kRenameExchange);
    if (published.ok()) {
      if (LeadsTo(bound_, displaced_.get())) {
        ::unlink(bound_.c_str());
        break;
      }
      // Something else had come there: it gets its place back.
      trouble.occupant = Occupant::kUnknown;
      if (auto back = Rename(bound_, path_, kRenameExchange); !back.ok()) return back.error();
      return Error{EADDRINUSE};
    }
    if (published.error().code == ENOENT) {
      // The one that was to be replaced has gone by itself.
      published = Rename(bound_, path_, kRenameNoReplace);
      if (published.ok()) break;
      if (published.error().code == EEXIST) continue;
    }
    if (!HasNoFlags(published)) return published.error();
    if (!LeadsTo(path_, displaced_.get())) return Error{EADDRINUSE};
    published = Status();
    if (::rename(bound_.c_str(), path_.c_str()) != 0) return LastError();
    break;
  }
  if (!published.ok()) return published.error();
  displaced_.Reset();
  file_.MovedTo(path_);
  file_.RemoveUnderLock();
  lock_.Release();
  trouble = PlaceTrouble();
  return std::exchange(file_, SocketFile());
}

}  // namespace afunix::posix
