#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <thread>

#include "check.h"
#include "posix/message.h"

namespace afunix::test {

TemporaryDirectory::TemporaryDirectory() {
  // Not under TMPDIR, which may be too long for a socket's address.
  char name[] = "/tmp/afunix-XXXXXX";
  if (::mkdtemp(name) == nullptr) check::Fail(__FILE__, __LINE__, "mkdtemp failed");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::operator/(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string UniqueName() {
  static std::atomic<int> count = 0;
  return "afunix-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

Listening MakeListener(posix::SocketType type, int backlog) {
  Listening result;
  result.address = posix::UnixAddress::Abstract(UniqueName()).value();
  result.fd = posix::OpenSocket(type).value();
  CHECK_OK(posix::Bind(result.fd.get(), result.address));
  CHECK_OK(posix::Listen(result.fd.get(), backlog));
  return result;
}

size_t OpenDescriptorCount() {
  std::error_code error;
  const std::filesystem::directory_iterator open("/proc/self/fd", error);
  // Without the one that reads the directory.
  return static_cast<size_t>(std::distance(begin(open), end(open))) - 1;
}

bool SameFile(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

void SendTo(const posix::Fd& peer, std::string_view text) {
  const auto sent = posix::Send(peer.get(), Bytes(text));
  CHECK_OK(sent);
  if (sent.ok()) CHECK_EQ(sent.value(), text.size());
}

bool Polls(int fd, short events) {
  pollfd polled{.fd = fd, .events = events, .revents = 0};
  return ::poll(&polled, 1, 0) == 1 && (polled.revents & events) != 0;
}

bool Eventually(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  // A step counts for little however long it took: a machine that stood still has waited for
  // nothing.
  constexpr std::chrono::milliseconds kMostOfAStep(50);
  std::chrono::steady_clock::duration waited{};
  while (!done()) {
    if (waited > limit) return false;
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    waited += std::min<std::chrono::steady_clock::duration>(
        kMostOfAStep, std::chrono::steady_clock::now() - start);
  }
  return true;
}

bool InChild(const std::function<void()>& body) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) {
    body();
    std::fflush(stdout);
    ::_exit(check::Failures() == 0 ? 0 : 1);
  }
  int status = 0;
  if (posix::RetryInterrupted([&] { return ::waitpid(child, &status, 0); }) != child) return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string Shell(const std::string& script) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  posix::Fd read_end(ends[0]);
  posix::Fd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(write_end.get(), STDOUT_FILENO);
    ::execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  write_end.Reset();
  std::string output;
  char buffer[4096];
  for (ssize_t got; (got = ::read(read_end.get(), buffer, sizeof(buffer))) > 0;) {
    output.append(buffer, static_cast<size_t>(got));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return output;
}

void LimitDescriptors(unsigned limit) {
  const rlimit few{.rlim_cur = limit, .rlim_max = limit};
  if (::setrlimit(RLIMIT_NOFILE, &few) != 0) check::Fail(__FILE__, __LINE__, "setrlimit failed");
}

std::vector<posix::Fd> FillDescriptorTable(unsigned limit, size_t left) {
  LimitDescriptors(limit);
  std::vector<posix::Fd> fillers;
  for (;;) {
    posix::Fd filler(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!filler.valid()) break;
    fillers.push_back(std::move(filler));
  }
  if (fillers.size() < left) check::Fail(__FILE__, __LINE__, "the table was too full already");
  fillers.resize(fillers.size() - std::min(left, fillers.size()));
  return fillers;
}

bool IsRoot() { return ::geteuid() == 0; }

}  // namespace afunix::test
