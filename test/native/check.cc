// The harness's main(): runs the tests whose sentence contains one of the arguments, or all.
#include "check.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <vector>

namespace afunix::check {
namespace {

constexpr unsigned kTimeLimitSeconds = 120;

struct Test {
  const char* sentence;
  TestBody body;
};

// A function's static, because tests register themselves before main() in no particular order.
std::vector<Test>& Registry() {
  static std::vector<Test> tests;
  return tests;
}

std::atomic<int> failures_of_this_test = 0;
std::atomic<const char*> running_sentence = nullptr;
std::mutex print_mutex;

// Only async-signal-safe calls.
void OnTimeLimit(int) {
  const auto print = [](const char* text) {
    [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, text, std::strlen(text));
  };
  print("not ok - ");
  print(running_sentence.load());
  print(": still running at the time limit\n");
  ::_exit(1);
}

unsigned TimeLimit() {
  const char* seconds = std::getenv("AFUNIX_TEST_SECONDS");
  return seconds == nullptr ? kTimeLimitSeconds
                            : static_cast<unsigned>(std::strtoul(seconds, nullptr, 10));
}

// Every open descriptor and what it leads to.
std::map<std::string, std::string> OpenDescriptors() {
  std::map<std::string, std::string> open;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const auto target = std::filesystem::read_symlink(entry.path(), error);
    open[entry.path().filename().string()] = target.string();
  }
  // The one that read the directory itself.
  std::erase_if(open, [](const auto& item) {
    return item.second == "/proc/" + std::to_string(::getpid()) + "/fd";
  });
  return open;
}

void CheckDescriptorsUnchanged(const std::map<std::string, std::string>& before) {
  const auto after = OpenDescriptors();
  for (const auto& [number, target] : after) {
    if (!before.contains(number)) {
      Fail("descriptor count", 0, "descriptor " + number + " was left open: " + target);
    }
  }
  for (const auto& [number, target] : before) {
    const auto found = after.find(number);
    if (found == after.end()) {
      Fail("descriptor count", 0, "descriptor " + number + " was closed: " + target);
    } else if (found->second != target) {
      Fail("descriptor count", 0,
           "descriptor " + number + " was " + target + " and is " + found->second);
    }
  }
}

// True if it passed.
bool Run(const Test& test) {
  failures_of_this_test = 0;
  running_sentence = test.sentence;
  const auto before = OpenDescriptors();
  ::alarm(TimeLimit());
  const auto start = std::chrono::steady_clock::now();

  test.body();

  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  ::alarm(0);
  CheckDescriptorsUnchanged(before);
  const bool passed = failures_of_this_test == 0;
  std::printf("%s - %s (%.1f ms)\n", passed ? "ok" : "not ok", test.sentence, elapsed.count());
  std::fflush(stdout);
  return passed;
}

bool Selected(const Test& test, std::span<char* const> filters) {
  return filters.empty() || std::any_of(filters.begin(), filters.end(), [&](const char* filter) {
           return std::strstr(test.sentence, filter) != nullptr;
         });
}

}  // namespace

bool RegisterTest(const char* sentence, TestBody body) {
  Registry().push_back(Test{sentence, body});
  return true;
}

void Fail(const char* file, int line, const std::string& message) {
  ++failures_of_this_test;
  const std::lock_guard lock(print_mutex);
  std::printf("  %s:%d: %s\n", file, line, message.c_str());
  std::fflush(stdout);
}

void Note(const std::string& message) {
  const std::lock_guard lock(print_mutex);
  std::printf("  note: %s\n", message.c_str());
  std::fflush(stdout);
}

int Failures() { return failures_of_this_test; }

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char byte : text) {
    if (byte >= ' ' && byte <= '~') {
      quoted += byte;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<unsigned char>(byte));
      quoted += escaped;
    }
  }
  return quoted + "\"";
}

}  // namespace afunix::check

int main(int argc, char** argv) {
  using namespace afunix::check;
  ::signal(SIGALRM, OnTimeLimit);
  const std::span<char* const> filters(argv + 1, static_cast<size_t>(argc - 1));
  int passed = 0;
  int failed = 0;
  for (const Test& test : Registry()) {
    if (!Selected(test, filters)) continue;
    ++(Run(test) ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  // No test at all is a misspelt filter or a file that lost its tests.
  return failed == 0 && passed > 0 ? 0 : 1;
}
