// The end of a measurement that went wrong: said to the benchmark, which fails the cell.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

// From any thread. `what` is no user's text: it needs no escaping.
[[noreturn]] inline void Fail(const std::string& what) {
  const std::string line = "{\"fatal\":\"" + what + "\"}\n";
  const bool told = ::write(STDOUT_FILENO, line.data(), line.size()) >= 0;
  std::_Exit(told ? 1 : 2);
}

// The outcome of a system call that is expected to work.
inline long Check(long outcome, const char* what) {
  if (outcome < 0) Fail(std::string(what) + ": " + std::strerror(errno));
  return outcome;
}
