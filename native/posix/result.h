// A value, or the errno that took its place. Errors are values here: nothing throws, and the seam
// to JavaScript carries −errno, the numbers libuv and Node print.
#pragma once

#include <cerrno>
#include <utility>

namespace afunix::posix {

// An errno, always positive inside C++. Implicitly converts into any Result.
struct Error {
  int code = 0;
  // −errno, as it crosses the seam.
  [[nodiscard]] constexpr int Negative() const { return -code; }
};

// The calling thread's errno, taken before anything else can change it.
[[nodiscard]] inline Error LastError() { return Error{errno}; }

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}     // NOLINT(google-explicit-constructor)
  Result(Error error) : error_code_(error.code) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return error_code_ == 0; }
  [[nodiscard]] Error error() const { return Error{error_code_}; }
  [[nodiscard]] T& value() & { return value_; }
  [[nodiscard]] const T& value() const& { return value_; }
  [[nodiscard]] T&& value() && { return std::move(value_); }

 private:
  T value_{};
  int error_code_ = 0;
};

// Success without a value.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_code_(error.code) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return error_code_ == 0; }
  [[nodiscard]] Error error() const { return Error{error_code_}; }

 private:
  int error_code_ = 0;
};

using Status = Result<void>;

// Repeats a system call that a signal interrupted. Not for close(2): Linux has released the
// descriptor by then, and a second close would hit somebody else's.
template <typename Call>
[[nodiscard]] auto RetryInterrupted(Call call) {
  auto outcome = call();
  while (outcome == -1 && errno == EINTR) outcome = call();
  return outcome;
}

}  // namespace afunix::posix
