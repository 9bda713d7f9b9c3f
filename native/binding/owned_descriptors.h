// OwnedDescriptors: what belongs to objects in JavaScript. Those objects are gone without a word
// when a worker ends, and descriptors belong to the process: they would stay open.
#pragma once

#include <cerrno>
#include <optional>
#include <unordered_map>

#include "posix/fd.h"

namespace afunix::binding {

class OwnedDescriptors {
 public:
  OwnedDescriptors() = default;
  ~OwnedDescriptors() {
    for (const auto& [fd, lent] : descriptors_) {
      if (!lent || IsStill(fd, *lent)) posix::Fd(fd).Reset();
    }
  }
  OwnedDescriptors(const OwnedDescriptors&) = delete;
  OwnedDescriptors& operator=(const OwnedDescriptors&) = delete;

  // Whether it was none of them.
  bool Add(int fd) { return descriptors_.insert_or_assign(fd, std::nullopt).second; }
  // Whether it was one of them.
  [[nodiscard]] bool Remove(int fd) { return descriptors_.erase(fd) == 1; }

  // It is being given to a handle of libuv's, which closes it at the environment's end. Should that
  // come before Remove(), nobody knows whose it is. Handles are closed before this is destroyed:
  // what still is the same file then never got into one.
  [[nodiscard]] posix::Status Lend(int fd) {
    const auto found = descriptors_.find(fd);
    if (found == descriptors_.end()) return posix::Error{EBADF};
    const auto identity = posix::IdentityOf(fd);
    if (!identity.ok()) return identity.error();
    found->second = identity.value();
    return {};
  }

 private:
  [[nodiscard]] static bool IsStill(int fd, const posix::FileIdentity& identity) {
    const auto now = posix::IdentityOf(fd);
    return now.ok() && now.value() == identity;
  }

  // With what a lent one was when it was lent.
  std::unordered_map<int, std::optional<posix::FileIdentity>> descriptors_;
};

}  // namespace afunix::binding
