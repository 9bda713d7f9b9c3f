// Blocking sockets: connections are made before the clock starts.
#pragma once

#include <sys/socket.h>

#include <string>

// `type` is SOCK_STREAM or SOCK_SEQPACKET.
int ListenAt(const std::string& path, int type = SOCK_STREAM);
int AcceptFrom(int listener);
// `address` is a path, or HOST:PORT with an IPv4 address, for TCP.
int ConnectTo(const std::string& address, int type = SOCK_STREAM);
