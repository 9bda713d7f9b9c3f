#include "sockets.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "fail.h"

namespace {

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) Fail("the socket path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int Open(int type) {
  return static_cast<int>(Check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket"));
}

}  // namespace

int ListenAt(const std::string& path, int type) {
  const int fd = Open(type);
  const sockaddr_un address = AddressOf(path);
  Check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), "bind");
  Check(::listen(fd, SOMAXCONN), "listen");
  return fd;
}

int AcceptFrom(int listener) {
  return static_cast<int>(Check(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
}

int ConnectTo(const std::string& path, int type) {
  const int fd = Open(type);
  const sockaddr_un address = AddressOf(path);
  Check(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), "connect");
  return fd;
}
