#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
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

int Open(int family, int type) {
  return static_cast<int>(Check(::socket(family, type | SOCK_CLOEXEC, 0), "socket"));
}

int ConnectToPort(const std::string& address, size_t colon) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  in_port_t port = 0;
  const char* const end = address.data() + address.size();
  if (::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1 ||
      std::from_chars(address.data() + colon + 1, end, port).ptr != end) {
    Fail("not an address: " + address);
  }
  to.sin_port = htons(port);
  const int fd = Open(AF_INET, SOCK_STREAM);
  Check(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), "connect");
  return fd;
}

}  // namespace

int ListenAt(const std::string& path, int type) {
  const int fd = Open(AF_UNIX, type);
  const sockaddr_un address = AddressOf(path);
  Check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), "bind");
  Check(::listen(fd, SOMAXCONN), "listen");
  return fd;
}

int AcceptFrom(int listener) {
  return static_cast<int>(Check(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
}

int ConnectTo(const std::string& address, int type) {
  const size_t colon = address.rfind(':');
  if (!address.starts_with('/') && colon != std::string::npos) return ConnectToPort(address, colon);
  const int fd = Open(AF_UNIX, type);
  const sockaddr_un to = AddressOf(address);
  Check(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), "connect");
  return fd;
}
