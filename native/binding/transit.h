// Transit: descriptors on their way from one thread of this process to another. A message says only
// which one it is; here is who closes it if the message never gets to anybody.
#pragma once

#include <cerrno>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "posix/fd.h"

namespace afunix::binding {

class Transit {
 public:
  // Names a descriptor on its way, an environment, or the thread that it is for. Never given twice.
  using Key = int64_t;
  static constexpr Key kNobody = 0;

  // Never destroyed: threads may still end when the process does.
  [[nodiscard]] static Transit& OfProcess() {
    static auto* const transit = new Transit;
    return *transit;
  }

  [[nodiscard]] Key NewKey() {
    const std::lock_guard lock(mutex_);
    return ++last_key_;
  }

  // The key of an environment, which lives until its End().
  [[nodiscard]] Key NewEnvironment() {
    const Key key = NewKey();
    const std::lock_guard lock(mutex_);
    environments_.insert(ShortOf(key));
    return key;
  }

  // What stands for an environment in 32 bits of shared memory; never 0.
  [[nodiscard]] static int32_t ShortOf(Key key) { return static_cast<int32_t>(key & INT32_MAX); }

  [[nodiscard]] bool Lives(int32_t environment) {
    const std::lock_guard lock(mutex_);
    return environments_.contains(environment);
  }

  enum class Stage {
    // No message has its ticket: nobody but the sender's object knows of it.
    kUnposted,
    kPosted,
    // It could not be used where it arrived, and whoever has the message may try again.
    kReturned,
  };

  // Takes the descriptor over; `keeper` is the environment that has it until it is posted (again).
  // On failure it is still the caller's. EBADF.
  [[nodiscard]] posix::Status Add(Key ticket, int fd, Key keeper, Stage stage) {
    const auto identity = posix::IdentityOf(fd);
    if (!identity.ok()) return identity.error();
    const std::lock_guard lock(mutex_);
    travellers_.insert_or_assign(ticket, Traveller{.fd = fd,
                                                   .identity = identity.value(),
                                                   .keeper = keeper,
                                                   .recipient = kNobody,
                                                   .stage = stage});
    return {};
  }

  // A message with its ticket may exist from here on.
  void SetPosted(Key ticket) {
    const std::lock_guard lock(mutex_);
    if (auto found = travellers_.find(ticket); found != travellers_.end()) {
      found->second.stage = Stage::kPosted;
    }
  }

  // It is for `recipient`, of which `keeper` knows when it ends. EBADF: it is not on its way.
  [[nodiscard]] posix::Status SetRecipient(Key ticket, Key keeper, Key recipient) {
    const std::lock_guard lock(mutex_);
    const auto found = travellers_.find(ticket);
    if (found == travellers_.end()) return posix::Error{EBADF};
    found->second.keeper = keeper;
    found->second.recipient = recipient;
    return {};
  }

  // It has arrived; once. Invalid if it is not on its way (any more).
  [[nodiscard]] posix::Fd Take(Key ticket) {
    const std::lock_guard lock(mutex_);
    const auto found = travellers_.find(ticket);
    if (found == travellers_.end()) return {};
    posix::Fd taken = Own(found->second);
    travellers_.erase(found);
    return taken;
  }

  // Closes it if no message has been made of it. Whether it did.
  bool CloseUnposted(Key ticket) {
    posix::Fd closed;
    const std::lock_guard lock(mutex_);
    const auto found = travellers_.find(ticket);
    if (found == travellers_.end() || found->second.stage != Stage::kUnposted) return false;
    closed = Own(found->second);
    travellers_.erase(found);
    return true;
  }

  // An environment or a recipient has ended: closes what was for it, and what it had not posted.
  // Threads that an environment made end before it does.
  void End(Key key) {
    std::vector<posix::Fd> closed;
    const std::lock_guard lock(mutex_);
    environments_.erase(ShortOf(key));
    for (auto at = travellers_.begin(); at != travellers_.end();) {
      const Traveller& traveller = at->second;
      const bool kept = traveller.stage != Stage::kPosted || traveller.recipient != kNobody;
      if (traveller.recipient == key || (traveller.keeper == key && kept)) {
        closed.push_back(Own(traveller));
        at = travellers_.erase(at);
      } else {
        ++at;
      }
    }
  }

 private:
  struct Traveller {
    int fd;
    posix::FileIdentity identity;
    Key keeper;
    Key recipient;
    Stage stage;
  };

  // Somebody may have closed the number, and somebody else may have it by now.
  [[nodiscard]] static posix::Fd Own(const Traveller& traveller) {
    const auto now = posix::IdentityOf(traveller.fd);
    const bool still = now.ok() && now.value() == traveller.identity;
    return posix::Fd(still ? traveller.fd : -1);
  }

  std::mutex mutex_;
  // Two copies of the addon in one process have a table each, and no ticket of one is good for the
  // other: where they lie differs. A key has 53 bits in JavaScript.
  Key last_key_ = static_cast<Key>((reinterpret_cast<uintptr_t>(this) >> 6) & 0xfffff) << 32;
  std::unordered_map<Key, Traveller> travellers_;
  std::unordered_set<int32_t> environments_;
};

}  // namespace afunix::binding
