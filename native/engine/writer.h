// Writer: who wrote what was received last on a connection, as far as that tells one from another.
#pragma once

#include <cstdint>

namespace afunix::engine {

struct Writer {
  // Nothing was received yet.
  bool none = true;
  // As the table of peers has them.
  int32_t pid = 0;
  int32_t uid = 0;
  int32_t gid = 0;
  // 0, or why there is no pidfd.
  int32_t without_pidfd = 0;
  // posix::ProcessOf; 0 without a pidfd.
  uint64_t process = 0;

  bool operator==(const Writer&) const = default;
};

}  // namespace afunix::engine
