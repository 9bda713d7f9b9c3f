#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "check.h"
#include "posix/fd.h"
#include "posix/socket.h"
#include "posix/unix_address.h"
#include "support.h"

namespace afunix::posix {
namespace {

using namespace std::literals;
using Kind = UnixAddress::Kind;

constexpr socklen_t kPathOffset = offsetof(sockaddr_un, sun_path);

const sockaddr_un& Raw(const UnixAddress& address) {
  return *reinterpret_cast<const sockaddr_un*>(address.data());
}

// Binds a fresh socket to `address`; what the kernel then says the name is.
UnixAddress BoundName(const UnixAddress& address) {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  CHECK_OK(Bind(fd.get(), address));
  const Result<UnixAddress> name = LocalAddress(fd.get());
  CHECK_OK(name);
  return name.value();
}

TEST("a pathname address carries the path and one NUL") {
  const Result<UnixAddress> address = UnixAddress::Pathname("/run/x.sock");
  REQUIRE_OK(address);
  CHECK(address.value().kind() == Kind::kPathname);
  CHECK_EQ(address.value().name(), "/run/x.sock"sv);
  CHECK_EQ(address.value().length(), kPathOffset + 12);
  CHECK_EQ(Raw(address.value()).sun_family, AF_UNIX);
  CHECK_EQ(std::strlen(Raw(address.value()).sun_path), 11u);
}

TEST("a path of 107 bytes is accepted, one of 108 is ENAMETOOLONG") {
  const std::string longest(107, 'p');
  const Result<UnixAddress> address = UnixAddress::Pathname(longest);
  REQUIRE_OK(address);
  CHECK_EQ(address.value().name(), longest);
  CHECK_EQ(address.value().length(), sizeof(sockaddr_un));
  CHECK_ERROR(UnixAddress::Pathname(std::string(108, 'p')), ENAMETOOLONG);
  CHECK_ERROR(UnixAddress::Pathname(std::string(4096, 'p')), ENAMETOOLONG);
}

TEST("the kernel binds a path of 107 bytes as it is") {
  const test::TemporaryDirectory directory;
  std::string path = directory / "";
  path.resize(107, 'p');
  CHECK_EQ(BoundName(UnixAddress::Pathname(path).value()).name(), path);
  struct stat status {};
  CHECK_EQ(::lstat(path.c_str(), &status), 0);
  CHECK(S_ISSOCK(status.st_mode));
}

TEST("a path that is empty or holds a NUL is EINVAL") {
  CHECK_ERROR(UnixAddress::Pathname(""), EINVAL);
  CHECK_ERROR(UnixAddress::Pathname("/tmp/a\0b"sv), EINVAL);
  CHECK_ERROR(UnixAddress::Pathname("\0abstract"sv), EINVAL);
  CHECK_ERROR(UnixAddress::Pathname("/tmp/a\0"sv), EINVAL);
}

TEST("a path is bytes in no particular encoding") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "\xff\xfe\x80";
  CHECK_EQ(BoundName(UnixAddress::Pathname(path).value()).name(), path);
}

TEST("an abstract name has its exact length, NULs included") {
  const std::string name = test::UniqueName() + "\0mid\0dle\0"s;
  const Result<UnixAddress> address = UnixAddress::Abstract(name);
  REQUIRE_OK(address);
  CHECK(address.value().kind() == Kind::kAbstract);
  CHECK_EQ(address.value().length(), kPathOffset + 1 + name.size());
  const UnixAddress bound = BoundName(address.value());
  CHECK(bound.kind() == Kind::kAbstract);
  CHECK_EQ(bound.name(), name);
  CHECK_EQ(bound.length(), address.value().length());
}

TEST("abstract names that differ in a trailing NUL are different addresses") {
  const std::string name = test::UniqueName();
  const Fd first = OpenSocket(SocketType::kStream).value();
  const Fd second = OpenSocket(SocketType::kStream).value();
  CHECK_OK(Bind(first.get(), UnixAddress::Abstract(name).value()));
  CHECK_OK(Bind(second.get(), UnixAddress::Abstract(name + '\0').value()));
  CHECK_ERROR(
      Bind(OpenSocket(SocketType::kStream).value().get(), UnixAddress::Abstract(name).value()),
      EADDRINUSE);
}

TEST("an abstract name may be empty, and is then not the unnamed address") {
  const UnixAddress address = UnixAddress::Abstract("").value();
  CHECK(address.kind() == Kind::kAbstract);
  CHECK_EQ(address.name(), ""sv);
  CHECK_EQ(address.length(), kPathOffset + 1);
}

TEST("an abstract name of 107 bytes is accepted, one of 108 is ENAMETOOLONG") {
  std::string longest = test::UniqueName();
  longest.resize(107, 'a');
  const Result<UnixAddress> address = UnixAddress::Abstract(longest);
  REQUIRE_OK(address);
  CHECK_EQ(address.value().length(), sizeof(sockaddr_un));
  CHECK_EQ(BoundName(address.value()).name(), longest);
  CHECK_ERROR(UnixAddress::Abstract(longest + "a"), ENAMETOOLONG);
}

TEST("a padded abstract name fills all 108 bytes with NULs") {
  const std::string name = test::UniqueName();
  const Result<UnixAddress> address = UnixAddress::AbstractPadded(name);
  REQUIRE_OK(address);
  CHECK_EQ(address.value().length(), sizeof(sockaddr_un));
  const UnixAddress bound = BoundName(address.value());
  std::string padded = name;
  padded.resize(107, '\0');
  CHECK_EQ(bound.name(), padded);
  CHECK_EQ(bound.length(), sizeof(sockaddr_un));
  CHECK_ERROR(UnixAddress::AbstractPadded(std::string(108, 'a')), ENAMETOOLONG);
}

TEST("the unnamed address has no name") {
  const UnixAddress address;
  CHECK(address.kind() == Kind::kUnnamed);
  CHECK_EQ(address.name(), ""sv);
  CHECK_EQ(address.length(), kPathOffset);
}

TEST("a socket that was not bound is unnamed") {
  const Fd fd = OpenSocket(SocketType::kStream).value();
  const Result<UnixAddress> name = LocalAddress(fd.get());
  REQUIRE_OK(name);
  CHECK(name.value().kind() == Kind::kUnnamed);
}

TEST("binding to the unnamed address asks the kernel for an abstract name of five digits") {
  const UnixAddress bound = BoundName(UnixAddress());
  CHECK(bound.kind() == Kind::kAbstract);
  CHECK_EQ(bound.name().size(), 5u);
  CHECK_EQ(bound.name().find_first_not_of("0123456789abcdef"), std::string_view::npos);
}

TEST("a 108-byte path that the kernel returns without a NUL is read to its end and no further") {
  // Bound behind our types' back: they refuse such a path.
  const test::TemporaryDirectory directory;
  std::string path = directory / "";
  path.resize(108, 'p');
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  std::memcpy(raw.sun_path, path.data(), path.size());
  const Fd fd = OpenSocket(SocketType::kStream).value();
  REQUIRE_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&raw), sizeof(raw)), 0);

  const Result<UnixAddress> name = LocalAddress(fd.get());
  REQUIRE_OK(name);
  CHECK(name.value().kind() == Kind::kPathname);
  CHECK_EQ(name.value().name(), path);
  CHECK(name.value().length() <= sizeof(sockaddr_un));
}

TEST("a pathname the kernel reports ends at its NUL") {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  std::strcpy(raw.sun_path, "/run/y");
  const UnixAddress address = UnixAddress::FromKernel(raw, sizeof(raw));
  CHECK(address.kind() == Kind::kPathname);
  CHECK_EQ(address.name(), "/run/y"sv);
}

TEST("an address the kernel reports with only a family, or less, is unnamed") {
  sockaddr_un raw{};
  std::memset(&raw, 'x', sizeof(raw));
  CHECK(UnixAddress::FromKernel(raw, kPathOffset).kind() == Kind::kUnnamed);
  CHECK(UnixAddress::FromKernel(raw, 0).kind() == Kind::kUnnamed);
}

}  // namespace
}  // namespace afunix::posix
