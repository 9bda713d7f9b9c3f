// The harness tested by itself: a check that can't fail would make every other test worthless. The
// tests that fail on purpose are registered only in a child process of this same program.
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace afunix::check {
namespace {

constexpr const char* kChild = "AFUNIX_CHECK_FAILS_ON_PURPOSE";

void RegisterDeliberateFailures() {
  RegisterTest("child: passes", [] { CHECK(true); });
  RegisterTest("child: a false condition", [] {
    CHECK(1 > 2);
    std::printf("still going\n");
  });
  RegisterTest("child: unequal values", [] { CHECK_EQ(std::string("left\n"), "right"); });
  RegisterTest("child: unequal signs", [] { CHECK_EQ(-1, 0xffffffffu); });
  RegisterTest("child: a requirement", [] {
    REQUIRE(false);
    std::printf("still going\n");
  });
  RegisterTest("child: a descriptor left open",
               [] { CHECK(::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0); });
  RegisterTest("child: a descriptor closed", [] { ::close(STDIN_FILENO); });
  RegisterTest("child: a hang", [] { ::pause(); });
}

[[maybe_unused]] const bool kRegistered =
    ::getenv(kChild) != nullptr && (RegisterDeliberateFailures(), true);

struct Outcome {
  int exit_code = -1;
  std::string output;
};

Outcome RunChild(const std::string& filter) {
  char self[4096];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof(self));
  if (length <= 0) return {};
  const std::string program(self, static_cast<size_t>(length));
  const std::string command =
      std::string(kChild) + "=1 AFUNIX_TEST_SECONDS=1 '" + program + "' '" + filter + "'";
  std::FILE* pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) return {};
  Outcome outcome;
  char buffer[512];
  for (size_t got; (got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) {
    outcome.output.append(buffer, got);
  }
  const int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

bool Contains(const Outcome& outcome, const char* text) {
  return outcome.output.find(text) != std::string::npos;
}

TEST("a passing test exits with 0 and is counted") {
  const Outcome outcome = RunChild("child: passes");
  CHECK_EQ(outcome.exit_code, 0);
  CHECK(Contains(outcome, "ok - child: passes ("));
  CHECK(outcome.output.ends_with("1 passed, 0 failed\n"));
}

TEST("a failing CHECK fails the test, and the test goes on") {
  const Outcome outcome = RunChild("child: a false condition");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(Contains(outcome, "check_test.cc:"));
  CHECK(Contains(outcome, "1 > 2"));
  CHECK(Contains(outcome, "still going"));
  CHECK(Contains(outcome, "not ok - child: a false condition ("));
  CHECK(outcome.output.ends_with("0 passed, 1 failed\n"));
}

TEST("a failing CHECK_EQ prints both values") {
  const Outcome outcome = RunChild("child: unequal values");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(Contains(outcome, R"("left\x0a" is not "right")"));
}

TEST("CHECK_EQ compares integers by value and not by bits") {
  const Outcome outcome = RunChild("child: unequal signs");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(Contains(outcome, "-1 is not 4294967295"));
}

TEST("a failing REQUIRE leaves the test") {
  const Outcome outcome = RunChild("child: a requirement");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(!Contains(outcome, "still going"));
}

TEST("a descriptor left open fails the test and is named") {
  const Outcome outcome = RunChild("child: a descriptor left open");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(Contains(outcome, "was left open: /dev/null"));
}

TEST("closing a descriptor that the test did not open fails it") {
  const Outcome outcome = RunChild("child: a descriptor closed");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(Contains(outcome, "descriptor 0 was closed"));
}

TEST("a test that hangs is ended at the time limit and named") {
  const Outcome outcome = RunChild("child: a hang");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(Contains(outcome, "not ok - child: a hang: still running at the time limit"));
}

TEST("a filter that selects nothing is a failure") {
  const Outcome outcome = RunChild("no sentence contains this");
  CHECK_EQ(outcome.exit_code, 1);
  CHECK(outcome.output.ends_with("0 passed, 0 failed\n"));
}

}  // namespace
}  // namespace afunix::check
