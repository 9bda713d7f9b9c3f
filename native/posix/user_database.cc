#include "posix/user_database.h"

#include <grp.h>
#include <pwd.h>

#include <vector>

namespace afunix::posix {
namespace {

constexpr size_t kFirstRoom = 4096;
// A group may have very many members, all of which are fetched with it.
constexpr size_t kMostRoom = size_t{16} << 20;

// What `look_up(entry, memory, size, found)` says, with as much memory as it wants.
template <typename Entry, typename LookUp, typename Take>
auto Find(LookUp look_up, Take take) -> Result<std::optional<decltype(take(Entry()))>> {
  std::vector<char> memory(kFirstRoom);
  for (;;) {
    Entry entry{};
    Entry* found = nullptr;
    const int code = look_up(&entry, memory.data(), memory.size(), &found);
    if (code == EINTR) continue;
    if (code == ERANGE && memory.size() < kMostRoom) {
      memory.resize(memory.size() * 4);
      continue;
    }
    if (found != nullptr) return std::optional(take(*found));
    // The C libraries disagree about how they say that there is none; see getpwnam(3).
    const bool none =
        code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
    if (!none) return Error{code};
    return std::optional<decltype(take(entry))>();
  }
}

}  // namespace

Result<std::optional<std::string>> UserName(uid_t uid) {
  return Find<passwd>(
      [uid](passwd* entry, char* memory, size_t size, passwd** found) {
        return ::getpwuid_r(uid, entry, memory, size, found);
      },
      [](const passwd& entry) {
        return std::string(entry.pw_name == nullptr ? "" : entry.pw_name);
      });
}

Result<std::optional<std::string>> GroupName(gid_t gid) {
  return Find<group>([gid](group* entry, char* memory, size_t size,
                           group** found) { return ::getgrgid_r(gid, entry, memory, size, found); },
                     [](const group& entry) {
                       return std::string(entry.gr_name == nullptr ? "" : entry.gr_name);
                     });
}

Result<std::optional<uid_t>> UserId(const std::string& name) {
  return Find<passwd>(
      [&name](passwd* entry, char* memory, size_t size, passwd** found) {
        return ::getpwnam_r(name.c_str(), entry, memory, size, found);
      },
      [](const passwd& entry) { return entry.pw_uid; });
}

Result<std::optional<gid_t>> GroupId(const std::string& name) {
  return Find<group>(
      [&name](group* entry, char* memory, size_t size, group** found) {
        return ::getgrnam_r(name.c_str(), entry, memory, size, found);
      },
      [](const group& entry) { return entry.gr_gid; });
}

}  // namespace afunix::posix
