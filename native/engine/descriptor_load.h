// DescriptorLoad: descriptors on their way out, open until the kernel has taken what they leave
// with.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "posix/ancillary.h"
#include "posix/fd.h"

namespace afunix::engine {

class DescriptorLoad {
 public:
  // At most posix::kMaximumDescriptors.
  explicit DescriptorLoad(std::vector<posix::Fd> descriptors)
      : descriptors_(std::move(descriptors)) {
    std::vector<int> numbers;
    numbers.reserve(descriptors_.size());
    for (const posix::Fd& descriptor : descriptors_) numbers.push_back(descriptor.get());
    (void)control_.AddDescriptors(numbers);
  }

  // What sendmsg(2) takes.
  [[nodiscard]] std::span<const std::byte> control() const { return control_.bytes(); }

 private:
  std::vector<posix::Fd> descriptors_;
  posix::AncillaryWriter control_;
};

}  // namespace afunix::engine
