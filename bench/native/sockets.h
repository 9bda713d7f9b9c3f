// Blocking Unix sockets: connections are made before the clock starts.
#pragma once

#include <string>

int ListenAt(const std::string& path);
int AcceptFrom(int listener);
int ConnectTo(const std::string& path);
