// AFUNIX_ASSERT: what has to be true here, whatever a peer or a user does. If it is not, the
// process ends with a sentence that says what was wrong: going on could give one owner's bytes or
// descriptors to another. Always compiled in, so only where it costs next to nothing.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace afunix::posix {

[[noreturn]] inline void FailAssertion(const char* condition, const char* sentence,
                                       const char* file, int line) {
  std::fprintf(stderr, "afunix: %s (%s, %s:%d)\n", sentence, condition, file, line);
  std::abort();
}

}  // namespace afunix::posix

#define AFUNIX_ASSERT(condition, sentence) \
  (static_cast<bool>(condition)            \
       ? void(0)                           \
       : ::afunix::posix::FailAssertion(#condition, sentence, __FILE__, __LINE__))

// AFUNIX_CHECK: the same where it costs more. Only where AFUNIX_CHECKED is defined: in debug,
// sanitizer and test builds.
#ifdef AFUNIX_CHECKED
#define AFUNIX_CHECK(condition, sentence) AFUNIX_ASSERT(condition, sentence)
#else
// Compiled, so that it stays right, and left out.
#define AFUNIX_CHECK(condition, sentence) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif
