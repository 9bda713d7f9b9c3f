// Where a socket is put: what is born with which mode, who is left alone, who is replaced, and who
// wins.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "posix/fd.h"
#include "posix/file_lock.h"
#include "posix/socket.h"
#include "posix/socket_place.h"
#include "posix/unix_address.h"
#include "support.h"

namespace afunix::posix {
namespace {

constexpr uid_t kNobody = 65534;
constexpr int64_t kMoment = 1'000'000;

bool Exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

struct stat StatusOf(const std::string& path) {
  struct stat status {};
  CHECK_EQ(::lstat(path.c_str(), &status), 0);
  return status;
}

Fd Open(SocketType type = SocketType::kStream) { return OpenSocket(type).value(); }

Fd BindAt(const std::string& path, SocketType type = SocketType::kStream) {
  Fd fd = Open(type);
  CHECK_OK(Bind(fd.get(), UnixAddress::Pathname(path).value()));
  return fd;
}

Fd ListenAt(const std::string& path) {
  Fd fd = BindAt(path);
  CHECK_OK(Listen(fd.get(), 5));
  return fd;
}

// What a server that was killed leaves.
void LeaveBehind(const std::string& path) { BindAt(path).Reset(); }

int ConnectTo(const std::string& path) {
  const Fd client = Open();
  return Connect(client.get(), UnixAddress::Pathname(path).value()).error().code;
}

// All of it, as the engine does it.
struct Started {
  Fd fd;
  SocketFile file;
  PlaceTrouble trouble;
  int code = 0;
};

Started Start(const std::string& path, const PlaceOptions& options) {
  Started started;
  started.fd = Open();
  auto place = SocketPlace::Take(started.fd.get(), path, options, started.trouble);
  if (!place.ok()) {
    started.code = place.error().code;
    return started;
  }
  CHECK_OK(Listen(started.fd.get(), 5));
  auto file = place.value().Publish(started.trouble);
  started.code = file.error().code;
  if (file.ok()) started.file = std::move(file).value();
  return started;
}

size_t FilesIn(const test::TemporaryDirectory& directory) {
  return std::stoul(test::Shell("ls -A '" + directory.path() + "' | wc -l"));
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

TEST("the file has exactly the mode that was asked for, whatever the umask") {
  const test::TemporaryDirectory directory;
  for (const mode_t mask : {mode_t{0}, mode_t{022}, mode_t{077}, mode_t{0777}}) {
    const Umask umask(mask);
    for (const mode_t mode : {mode_t{0}, mode_t{0600}, mode_t{0660}, mode_t{0666}, mode_t{0777}}) {
      const std::string path = directory / "s";
      Started started = Start(path, {.mode = mode});
      CHECK_EQ(started.code, 0);
      CHECK_EQ(StatusOf(path).st_mode, S_IFSOCK | mode);
      started.file.Remove();
      CHECK_EQ(FilesIn(directory), 0u);
    }
    CHECK_EQ(::umask(mask), mask);
  }
}

TEST("the file belongs to who it was given to") {
  if (!test::IsRoot()) return check::Note("only root can give files away");
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Started started = Start(path, {.mode = 0620, .uid = kNobody, .gid = 12});
  CHECK_EQ(started.code, 0);
  CHECK_EQ(StatusOf(path).st_uid, kNobody);
  CHECK_EQ(StatusOf(path).st_gid, 12u);
  CHECK_EQ(StatusOf(path).st_mode, S_IFSOCK | 0620u);
}

TEST("what cannot be given away is not left behind") {
  if (!test::IsRoot()) return check::Note("needs root to become somebody else");
  const test::TemporaryDirectory directory;
  REQUIRE_EQ(::chmod(directory.path().c_str(), 01777), 0);
  CHECK(test::InChild([&] {
    REQUIRE_EQ(::setuid(kNobody), 0);
    const Started started = Start(directory / "s", {.uid = 0});
    CHECK_EQ(started.code, EPERM);
    CHECK(started.trouble.step == PlaceStep::kOwner);
    CHECK(!Exists(directory / "s"));
  }));
}

TEST("a place that is taken and not published is given back") {
  const test::TemporaryDirectory directory;
  for (const Stale stale : {Stale::kError, Stale::kProbe, Stale::kReplace}) {
    const Fd fd = Open();
    PlaceTrouble trouble;
    {
      auto place = SocketPlace::Take(fd.get(), directory / "s", {.stale = stale}, trouble);
      CHECK_OK(place);
      CHECK(Exists(directory / "s"));
      CHECK_EQ(Exists(directory / "s.lock"), stale != Stale::kError);
    }
    CHECK_EQ(FilesIn(directory), 0u);
  }
  const Fd running = ListenAt(directory / "s");
  const ino_t inode = StatusOf(directory / "s").st_ino;
  {
    const Fd fd = Open();
    PlaceTrouble trouble;
    const auto place =
        SocketPlace::Take(fd.get(), directory / "s", {.stale = Stale::kReplace}, trouble);
    CHECK_OK(place);
    CHECK(Exists(directory / "s.new"));
  }
  CHECK_EQ(FilesIn(directory), 1u);
  CHECK_EQ(StatusOf(directory / "s").st_ino, inode);
}

// Everything that is never removed, by any of the three.
TEST("a file, a directory, a pipe, a link, even a dangling one, is left alone") {
  const test::TemporaryDirectory directory;
  std::ofstream(directory / "file") << "data";
  REQUIRE_EQ(::mkdir((directory / "folder").c_str(), 0700), 0);
  REQUIRE_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  REQUIRE_EQ(::symlink("nowhere", (directory / "dangling").c_str()), 0);
  LeaveBehind(directory / "dead");
  REQUIRE_EQ(::symlink("dead", (directory / "link").c_str()), 0);
  const size_t files = FilesIn(directory);
  for (const char* name : {"file", "folder", "pipe", "dangling", "link"}) {
    const ino_t inode = StatusOf(directory / name).st_ino;
    for (const Stale stale : {Stale::kError, Stale::kProbe, Stale::kReplace}) {
      const Started started = Start(directory / name, {.stale = stale});
      CHECK_EQ(started.code, EADDRINUSE);
      CHECK(started.trouble.occupant == Occupant::kNotSocket);
      CHECK_EQ(StatusOf(directory / name).st_ino, inode);
    }
  }
  CHECK_EQ(FilesIn(directory), files);
}

TEST("somebody else's socket is left alone, dead or alive, unless he was named") {
  if (!test::IsRoot()) return check::Note("needs a second user");
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  LeaveBehind(path);
  REQUIRE_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
  for (const Stale stale : {Stale::kError, Stale::kProbe, Stale::kReplace}) {
    const Started started = Start(path, {.stale = stale});
    CHECK_EQ(started.code, EADDRINUSE);
    CHECK(started.trouble.occupant == Occupant::kForeign);
    CHECK_EQ(started.trouble.owner, kNobody);
  }
  CHECK_EQ(StatusOf(path).st_uid, kNobody);
  const Started named = Start(path, {.uid = kNobody, .stale = Stale::kProbe});
  CHECK_EQ(named.code, 0);
  CHECK_EQ(ConnectTo(path), 0);
}

TEST("a socket that was left behind is replaced where that was asked for, and only there") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  LeaveBehind(path);
  const Started careful = Start(path, {.stale = Stale::kError});
  CHECK_EQ(careful.code, EADDRINUSE);
  CHECK(careful.trouble.occupant == Occupant::kDead);
  for (const Stale stale : {Stale::kProbe, Stale::kReplace}) {
    const Started started = Start(path, {.stale = stale});
    CHECK_EQ(started.code, 0);
    CHECK_EQ(ConnectTo(path), 0);
    // It is bound to its own name, not to one beside it.
    CHECK_EQ(LocalAddress(started.fd.get()).value().name(), path);
    CHECK_EQ(FilesIn(directory), 1u);
  }
}

TEST("whoever is bound is alive, of any type, listening or not yet, and notices nothing") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const auto expect_alive = [&] {
    const Started started = Start(path, {.stale = Stale::kProbe});
    CHECK_EQ(started.code, EADDRINUSE);
    CHECK(started.trouble.occupant == Occupant::kAlive);
    CHECK(Exists(path));
  };
  for (const SocketType type : {SocketType::kStream, SocketType::kSeqpacket}) {
    Fd server = BindAt(path, type);
    expect_alive();
    REQUIRE_OK(Listen(server.get(), 5));
    expect_alive();
    CHECK_ERROR(Accept(server.get()), EAGAIN);
    server.Reset();
    ::unlink(path.c_str());
  }
  const Fd datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  REQUIRE_OK(Bind(datagrams.get(), UnixAddress::Pathname(path).value()));
  expect_alive();
}

TEST("a running server is replaced in one step and keeps its connections") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  Started first = Start(path, {.stale = Stale::kReplace});
  CHECK_EQ(first.code, 0);
  const Fd client = Open();
  REQUIRE_OK(Connect(client.get(), UnixAddress::Pathname(path).value()));
  Started second = Start(path, {.mode = 0660, .stale = Stale::kReplace});
  CHECK_EQ(second.code, 0);
  CHECK_EQ(FilesIn(directory), 1u);
  CHECK_EQ(StatusOf(path).st_mode, S_IFSOCK | 0660u);
  CHECK_OK(Accept(first.fd.get()));
  CHECK_EQ(ConnectTo(path), 0);
  CHECK_ERROR(Accept(first.fd.get()), EAGAIN);
  CHECK_OK(Accept(second.fd.get()));
  // The first goes, and takes nothing along.
  first.file.Remove();
  CHECK_EQ(ConnectTo(path), 0);
  second.file.Remove();
  CHECK_EQ(FilesIn(directory), 0u);
}

TEST("a path of 107 bytes has room for what is needed beside it") {
  const test::TemporaryDirectory directory;
  const std::string nested = directory / std::string(80 - directory.path().size(), 'd');
  REQUIRE_EQ(::mkdir(nested.c_str(), 0700), 0);
  const std::string long_name = directory / std::string(106 - directory.path().size(), 's');
  for (const std::string& path : {long_name, nested + "/" + std::string(25, 's')}) {
    REQUIRE_EQ(path.size(), 107u);
    const Started first = Start(path, {.stale = Stale::kReplace});
    CHECK_EQ(first.code, 0);
    const Started second = Start(path, {.stale = Stale::kReplace});
    CHECK_EQ(second.code, 0);
    CHECK_EQ(ConnectTo(path), 0);
    ::unlink(path.c_str());
  }
  CHECK_EQ(FilesIn(directory), 1u);
}

TEST("what an interrupted start left beside the path is cleared away, and nothing else") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd running = ListenAt(path);
  LeaveBehind(directory / "s.new");
  std::ofstream(directory / "s.lock") << "";
  const Started second = Start(path, {.stale = Stale::kReplace});
  CHECK_EQ(second.code, 0);
  CHECK_EQ(FilesIn(directory), 1u);

  std::ofstream(directory / "s.new") << "mine";
  const Started third = Start(path, {.stale = Stale::kReplace});
  CHECK_EQ(third.code, EADDRINUSE);
  CHECK(third.trouble.step == PlaceStep::kBind);
  CHECK_EQ(FilesIn(directory), 2u);
  CHECK_EQ(ConnectTo(path), 0);

  LeaveBehind(directory / "d");
  std::ofstream(directory / "d.old") << "mine";
  const Started fourth = Start(directory / "d", {.stale = Stale::kProbe});
  CHECK_EQ(fourth.code, EEXIST);
  CHECK(Exists(directory / "d"));
  CHECK(S_ISREG(StatusOf(directory / "d.old").st_mode));
}

// The threat table's T2.
TEST("of a hundred that start at once on what was left behind exactly one wins") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  constexpr int kStarters = 100;
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const Stale stale = Stale::kProbe;
    LeaveBehind(path);
    int gate[2];
    int results[2];
    REQUIRE_EQ(::pipe2(gate, O_CLOEXEC), 0);
    REQUIRE_EQ(::pipe2(results, O_CLOEXEC), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < kStarters; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::close(gate[1]);
        char nothing = 0;
        (void)!::read(gate[0], &nothing, 1);
        Started started = Start(path, {.stale = stale});
        const char said = started.code == 0 ? 'w' : started.code == EADDRINUSE ? 'l' : 'e';
        (void)!::write(results[1], &said, 1);
        // The winner goes on listening until the round is over.
        if (said == 'w') ::pause();
        ::_exit(0);
      }
      children.push_back(child);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    std::string said;
    for (int i = 0; i < kStarters; ++i) {
      char one = 0;
      REQUIRE_EQ(::read(results[0], &one, 1), 1);
      said += one;
    }
    CHECK_EQ(std::count(said.begin(), said.end(), 'w'), 1);
    CHECK_EQ(std::count(said.begin(), said.end(), 'l'), kStarters - 1);
    CHECK_EQ(ConnectTo(path), 0);
    CHECK_EQ(FilesIn(directory), 1u);
    for (const pid_t child : children) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    ::close(results[0]);
    ::close(results[1]);
    ::unlink(path.c_str());
  }
}

TEST("a live socket that takes the path between the look and the deed is never lost") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd live = ListenAt(directory / "live");
  const ino_t inode = StatusOf(directory / "live").st_ino;
  constexpr int kRounds = 1000;
  for (int round = 0; round < kRounds; ++round) {
    LeaveBehind(path);
    REQUIRE_EQ(::link((directory / "live").c_str(), (directory / "copy").c_str()), 0);
    std::atomic<bool> go = false;
    // Who knows nothing of our lock.
    std::thread rival([&] {
      while (!go) {
      }
      for (int wait = (round * 37) % 400; wait > 0; --wait) (void)::getppid();
      ::rename((directory / "copy").c_str(), path.c_str());
    });
    go = true;
    const Started started = Start(path, {.stale = Stale::kProbe});
    rival.join();
    // ENOENT: it came when we had just bound, and the file was not ours any more.
    CHECK(started.code == 0 || started.code == EADDRINUSE || started.code == ENOENT);
    REQUIRE_EQ(StatusOf(path).st_ino, inode);
    ::unlink(path.c_str());
  }
  CHECK_EQ(FilesIn(directory), 1u);
}

TEST("a full descriptor table is an error that leaves everything as it was") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd running = ListenAt(path);
  LeaveBehind(directory / "dead");
  for (size_t left = 0; left < 4; ++left) {
    CHECK(test::InChild([&] {
      // All of them stay open, so that no more than `left` come free.
      std::vector<Fd> fds;
      for (int i = 0; i < 3; ++i) fds.push_back(Open());
      const auto fillers = test::FillDescriptorTable(64, left);
      size_t next = 0;
      for (const char* name : {"s", "dead", "fresh"}) {
        const Fd& fd = fds[next++];
        PlaceTrouble trouble;
        auto place =
            SocketPlace::Take(fd.get(), directory / name, {.stale = Stale::kReplace}, trouble);
        if (!place.ok()) CHECK_EQ(place.error().code, EMFILE);
      }
    }));
    CHECK(Exists(path));
    CHECK(Exists(directory / "dead") || left >= 3);
    CHECK(!Exists(directory / "fresh"));
    CHECK(!Exists(directory / "s.lock"));
    CHECK(!Exists(directory / "s.new"));
  }
  CHECK_EQ(ConnectTo(path), 0);
}

TEST("without /proc nothing is taken for dead, and a mode within the umask can still be had") {
  if (!test::IsRoot()) return check::Note("needs root to take /proc away");
  const test::TemporaryDirectory directory;
  LeaveBehind(directory / "dead");
  const bool done = test::InChild([&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        ::umount2("/proc", MNT_DETACH) != 0) {
      check::Note("not permitted to take /proc away");
      return;
    }
    const Started probed = Start(directory / "dead", {.stale = Stale::kProbe});
    CHECK_EQ(probed.code, EADDRINUSE);
    CHECK(probed.trouble.occupant == Occupant::kUnknown);
    ::umask(0);
    const Started fresh = Start(directory / "fresh", {.mode = 0600});
    CHECK_EQ(fresh.code, 0);
    ::umask(077);
    const Started wide = Start(directory / "wide", {.mode = 0666});
    CHECK(wide.code != 0);
    CHECK(wide.trouble.step == PlaceStep::kMode);
    CHECK(!Exists(directory / "wide"));
  });
  CHECK(done);
  CHECK(Exists(directory / "dead"));
}

TEST("a lock is held by one at a time and leaves no file") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "l";
  auto first = FileLock::Acquire(path, 0);
  REQUIRE_OK(first);
  CHECK_EQ(StatusOf(path).st_mode, S_IFREG | 0600u);
  CHECK_ERROR(FileLock::Acquire(path, kMoment), EBUSY);
  first.value().Release();
  first.value().Release();
  CHECK(!Exists(path));
  CHECK_OK(FileLock::Acquire(path, 0));
  CHECK(!Exists(path));
}

TEST("a lock that a killed process held is free") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "l";
  CHECK(test::InChild([&] {
    auto held = FileLock::Acquire(path, 0);
    CHECK_OK(held);
    ::_exit(0);
  }));
  CHECK(Exists(path));
  CHECK_OK(FileLock::Acquire(path, 0));
  CHECK(!Exists(path));
}

TEST("a lock file that is none of ours is not taken") {
  const test::TemporaryDirectory directory;
  REQUIRE_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  CHECK_ERROR(FileLock::Acquire(directory / "pipe", 0), EPERM);
  REQUIRE_EQ(::symlink("elsewhere", (directory / "link").c_str()), 0);
  CHECK_ERROR(FileLock::Acquire(directory / "link", 0), ELOOP);
  CHECK(!Exists(directory / "elsewhere"));
  CHECK_ERROR(FileLock::Acquire(directory / "no/where", 0), ENOENT);
  if (!test::IsRoot()) return check::Note("needs a second user for the rest");
  std::ofstream(directory / "theirs") << "";
  REQUIRE_EQ(::chown((directory / "theirs").c_str(), kNobody, kNobody), 0);
  CHECK_ERROR(FileLock::Acquire(directory / "theirs", 0), EPERM);
  CHECK(Exists(directory / "theirs"));
}

TEST("the lock counts many threads right") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "l";
  constexpr int kThreads = 8;
  constexpr int kTurns = 50;
  std::atomic<int> inside = 0;
  std::atomic<int> turns = 0;
  std::atomic<bool> crowded = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        auto lock = FileLock::Acquire(path, int64_t{60'000'000'000});
        if (!lock.ok()) continue;
        if (++inside != 1) crowded = true;
        ++turns;
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(!crowded);
  CHECK_EQ(turns.load(), kThreads * kTurns);
  CHECK(!Exists(path));
}

}  // namespace
}  // namespace afunix::posix
