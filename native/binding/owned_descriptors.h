// OwnedDescriptors: what belongs to objects in JavaScript. Those objects are gone without a word
// when a worker ends, and descriptors belong to the process: they would stay open.
#pragma once

#include <unordered_set>

#include "posix/fd.h"

namespace afunix::binding {

class OwnedDescriptors {
 public:
  OwnedDescriptors() = default;
  ~OwnedDescriptors() {
    for (const int fd : descriptors_) posix::Fd(fd).Reset();
  }
  OwnedDescriptors(const OwnedDescriptors&) = delete;
  OwnedDescriptors& operator=(const OwnedDescriptors&) = delete;

  void Add(int fd) { descriptors_.insert(fd); }
  // Whether it was one of them.
  [[nodiscard]] bool Remove(int fd) { return descriptors_.erase(fd) == 1; }

 private:
  std::unordered_set<int> descriptors_;
};

}  // namespace afunix::binding
