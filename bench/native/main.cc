// One process of a cell, without JavaScript: `program epoll`, `program uring`, `program spin`,
// `program seqpacket`, `program http`.
//
// A request is a line, `id command arguments...`, and its reply a line of JSON, as bench/child.ts
// has them. docs/benchmarking.md lists the commands.
#include <sys/resource.h>

#include <iostream>
#include <sstream>
#include <string>
#include <string_view>

#include "fail.h"
#include "role.h"

namespace {

struct Contender {
  std::string_view name;
  // For echo, if it has that.
  OpenIo open_io;
  // What else it has.
  std::string_view pattern;
  std::unique_ptr<Role> (*open)(const Load&);
};

constexpr Contender kContenders[] = {
    {"epoll", OpenEpoll, "one-way", OpenOneWay},
    {"uring", OpenUring, "", nullptr},
    {"spin", OpenSpin, "", nullptr},
    {"seqpacket", nullptr, "messages", OpenMessages},
    {"http", nullptr, "http", OpenHttp},
};

const Contender& ContenderCalled(std::string_view name) {
  for (const Contender& contender : kContenders) {
    if (contender.name == name) return contender;
  }
  Fail("no contender has this name");
}

std::unique_ptr<Role> Open(const Contender& contender, std::istream& arguments) {
  Load load;
  std::string side;
  std::string pattern;
  arguments >> side >> pattern >> load.message_size >> load.connections >> std::ws;
  std::getline(arguments, load.path);
  load.server = side == "server";
  if (!arguments || load.message_size == 0 || load.connections == 0) Fail("open: bad arguments");
  if (pattern == "echo" && contender.open_io != nullptr) return OpenEcho(load, contender.open_io);
  if (pattern == contender.pattern) return contender.open(load);
  Fail("this workload is not one of the contender");
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string Sample(const Role& role) {
  rusage usage;
  Check(::getrusage(RUSAGE_SELF, &usage), "getrusage");
  char text[256];
  std::snprintf(text, sizeof(text), R"({"at":%.9f,"cpu":%.6f,"operations":%llu,"bytes":%llu})",
                static_cast<double>(Now()) / 1e9, Seconds(usage.ru_utime) + Seconds(usage.ru_stime),
                static_cast<unsigned long long>(role.operations()),
                static_cast<unsigned long long>(role.bytes()));
  return text;
}

// The value of a command, as JSON.
std::string Answer(std::string_view command, Role& role, std::istream& arguments) {
  if (command == "verify") {
    role.Verify();
  } else if (command == "start") {
    role.Start();
  } else if (command == "openWindow") {
    if (role.latency() != nullptr) role.latency()->Mark();
    return Sample(role);
  } else if (command == "closeWindow") {
    const std::string sample = R"({"sample":)" + Sample(role);
    if (role.latency() == nullptr) return sample + "}";
    return sample + R"(,"latency":)" + role.latency()->Summary() + "}";
  } else if (command == "stop") {
    uint64_t peer = 0;
    arguments >> peer;
    return std::to_string(role.Stop(peer));
  } else if (command == "counters") {
    return "{}";
  } else if (command != "collectGarbage") {
    Fail("no such command");
  }
  return "null";
}

}  // namespace

int main(int count, char** arguments) {
  const Contender& contender = ContenderCalled(count == 2 ? arguments[1] : "");
  std::unique_ptr<Role> role;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    uint64_t id = 0;
    std::string command;
    words >> id >> command;
    std::string value = "null";
    if (command == "probe") {
      if (contender.open_io != nullptr) (void)contender.open_io(1);
      value = R"({"compiler":")" __VERSION__ R"("})";
    } else if (command == "open") {
      role = Open(contender, words);
    } else if (role) {
      value = Answer(command, *role, words);
    } else {
      Fail("nothing is open");
    }
    std::cout << R"({"id":)" << id << R"(,"value":)" << value << "}" << std::endl;
  }
  std::_Exit(0);  // The threads under load never end by themselves.
}
