// Names of users and groups: getpwnam(3), getgrnam(3). They may ask a directory server, and take as
// long as that takes.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "posix/result.h"

namespace afunix::posix {

// None if there is no such entry. An error says that it could not be found out.
[[nodiscard]] Result<std::optional<std::string>> UserName(uid_t uid);
[[nodiscard]] Result<std::optional<std::string>> GroupName(gid_t gid);
[[nodiscard]] Result<std::optional<uid_t>> UserId(const std::string& name);
[[nodiscard]] Result<std::optional<gid_t>> GroupId(const std::string& name);

}  // namespace afunix::posix
