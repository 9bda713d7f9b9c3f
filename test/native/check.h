// A test harness small enough to read: tests are sentences, checks print what they compared.
//
//   TEST("a closed descriptor is none") {
//     CHECK(!fd.valid());            notes the failure and goes on
//     CHECK_EQ(fd.get(), -1);        prints both values
//     REQUIRE(pair.ok());            leaves the enclosing void function
//   }
//
// Every test is timed, may not run for longer than a time limit, and must leave as many open
// descriptors behind as it found.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace afunix::check {

using TestBody = void (*)();

// `sentence` must outlive the program: a string literal.
bool RegisterTest(const char* sentence, TestBody body);

// Notes a failure of the running test. May be called from any thread.
void Fail(const char* file, int line, const std::string& message);

// Prints a remark beside the running test's line, for example why part of it could not be done
// here.
void Note(const std::string& message);

// Failures so far, of the test that is running.
[[nodiscard]] int Failures();

std::string Quote(std::string_view text);

template <typename T>
std::string Describe(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return Quote(value);
  } else if constexpr (std::is_arithmetic_v<T>) {
    // Not by a stream: those open files under UBSan, which a test with a full table can't have.
    return std::to_string(value);
  } else {
    return "(a value without a printed form)";
  }
}

template <typename T>
concept PlainInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>;

// Integers are compared by value, whatever their signs.
template <typename A, typename B>
bool Equal(const A& a, const B& b) {
  if constexpr (PlainInteger<A> && PlainInteger<B>) {
    return std::cmp_equal(a, b);
  } else {
    return a == b;
  }
}

template <typename A, typename B>
bool CheckEqual(const A& a, const B& b, const char* expression, const char* file, int line) {
  if (Equal(a, b)) return true;
  Fail(file, line, std::string(expression) + ": " + Describe(a) + " is not " + Describe(b));
  return false;
}

}  // namespace afunix::check

#define AFUNIX_JOIN_(a, b) a##b
#define AFUNIX_JOIN(a, b) AFUNIX_JOIN_(a, b)

#define TEST(sentence)                                                          \
  static void AFUNIX_JOIN(TestBody, __LINE__)();                                \
  [[maybe_unused]] static const bool AFUNIX_JOIN(test_registered_, __LINE__) =  \
      ::afunix::check::RegisterTest(sentence, AFUNIX_JOIN(TestBody, __LINE__)); \
  static void AFUNIX_JOIN(TestBody, __LINE__)()

#define CHECK(condition)                                                     \
  do {                                                                       \
    if (!(condition)) ::afunix::check::Fail(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_EQ(a, b) \
  ((void)::afunix::check::CheckEqual((a), (b), #a " == " #b, __FILE__, __LINE__))

#define REQUIRE(condition)                                   \
  do {                                                       \
    if (!(condition)) {                                      \
      ::afunix::check::Fail(__FILE__, __LINE__, #condition); \
      return;                                                \
    }                                                        \
  } while (false)

#define REQUIRE_EQ(a, b)                                                                  \
  do {                                                                                    \
    if (!::afunix::check::CheckEqual((a), (b), #a " == " #b, __FILE__, __LINE__)) return; \
  } while (false)

// A Result that must be a success; its errno is printed when it is not.
#define CHECK_OK(result) CHECK_EQ((result).error().code, 0)
#define REQUIRE_OK(result) REQUIRE_EQ((result).error().code, 0)
// A Result that must be this errno.
#define CHECK_ERROR(result, expected) CHECK_EQ((result).error().code, expected)
