#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "check.h"
#include "posix/fd.h"
#include "posix/socket.h"
#include "posix/socket_file.h"
#include "posix/unix_address.h"
#include "support.h"

namespace afunix::posix {
namespace {

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

mode_t ModeOf(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

Fd BindAt(const std::string& path) {
  Fd fd = OpenSocket(SocketType::kStream).value();
  CHECK_OK(Bind(fd.get(), UnixAddress::Pathname(path).value()));
  return fd;
}

TEST("the file that was bound is removed, once") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd socket = BindAt(path);
  Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  CHECK(Exists(path));
  file.value().Remove();
  CHECK(!Exists(path));

  const Fd successor = BindAt(path);
  file.value().Remove();
  CHECK(Exists(path));
}

TEST("a successor's socket at the same path is left alone") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd ours = BindAt(path);
  Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  REQUIRE_EQ(::unlink(path.c_str()), 0);
  const Fd successor = BindAt(path);
  file.value().Remove();
  CHECK(Exists(path));
}

TEST("another file that was moved over ours is left alone") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd ours = BindAt(path);
  Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  std::ofstream(directory / "other") << "theirs";
  REQUIRE_EQ(::rename((directory / "other").c_str(), path.c_str()), 0);
  file.value().Remove();
  CHECK(Exists(path));
}

TEST("a link to ours that took its place is left alone, and so is what it leads to") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd ours = BindAt(path);
  Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  REQUIRE_EQ(::rename(path.c_str(), (directory / "moved").c_str()), 0);
  REQUIRE_EQ(::symlink("moved", path.c_str()), 0);
  file.value().Remove();
  CHECK(Exists(path));
  CHECK(Exists(directory / "moved"));
}

TEST("a file that is gone already is no matter") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd ours = BindAt(path);
  Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  REQUIRE_EQ(::unlink(path.c_str()), 0);
  file.value().Remove();
  SocketFile nothing;
  nothing.Remove();
}

TEST("remembering what does not exist is ENOENT") {
  const test::TemporaryDirectory directory;
  CHECK_ERROR(SocketFile::Remember(directory / "none"), ENOENT);
}

TEST("mode bits are added to those the file has") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd socket = BindAt(path);
  REQUIRE_EQ(::chmod(path.c_str(), 0700), 0);
  const Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  CHECK_OK(file.value().AddMode(0066));
  CHECK_EQ(ModeOf(path), 0766u);
  CHECK_OK(file.value().AddMode(0));
  CHECK_EQ(ModeOf(path), 0766u);
}

TEST("a mode replaces the one the file has") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const Fd socket = BindAt(path);
  REQUIRE_EQ(::chmod(path.c_str(), 0700), 0);
  const Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  CHECK_OK(file.value().SetMode(0066));
  CHECK_EQ(ModeOf(path), 0066u);
}

TEST("mode bits are not added to a file that took the place of ours, nor through a link") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "s";
  const std::string secret = directory / "secret";
  const Fd socket = BindAt(path);
  const Result<SocketFile> file = SocketFile::Remember(path);
  REQUIRE_OK(file);
  std::ofstream(secret.c_str()) << "secret";
  REQUIRE_EQ(::chmod(secret.c_str(), 0600), 0);
  REQUIRE_EQ(::unlink(path.c_str()), 0);
  CHECK_ERROR(file.value().AddMode(0066), ENOENT);
  REQUIRE_EQ(::symlink("secret", path.c_str()), 0);
  CHECK_ERROR(file.value().AddMode(0066), ENOENT);
  CHECK_EQ(ModeOf(secret), 0600u);
  REQUIRE_EQ(::rename(secret.c_str(), path.c_str()), 0);
  CHECK_ERROR(file.value().AddMode(0066), ENOENT);
  CHECK_EQ(ModeOf(path), 0600u);
}

}  // namespace
}  // namespace afunix::posix
