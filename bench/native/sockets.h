// Blocking Unix sockets: connections are made before the clock starts.
#pragma once

#include <sys/socket.h>

#include <string>

// `type` is SOCK_STREAM or SOCK_SEQPACKET.
int ListenAt(const std::string& path, int type = SOCK_STREAM);
int AcceptFrom(int listener);
int ConnectTo(const std::string& path, int type = SOCK_STREAM);
