// Uring: one io_uring instance, used by the thread that opened it. io_uring_setup(2),
// io_uring_enter(2), io_uring_register(2).
//
// Completions are made only while this thread is in Enter() (IORING_SETUP_DEFER_TASKRUN), so the
// kernel writes to provided buffers only then. Linux 6.1.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <span>

#include "posix/fd.h"
#include "posix/mapping.h"
#include "posix/result.h"
#include "posix/uring_abi.h"

namespace afunix::posix {

// Provided buffers of one group, of which the kernel takes one for each thing that it receives.
// Belongs to the ring that made it, and must not be used after it.
class UringBuffers {
 public:
  [[nodiscard]] bool open() const { return memory_ != nullptr; }
  [[nodiscard]] std::span<const std::byte> Of(uint16_t id, size_t bytes) const {
    return {memory_ + size_t{id} * size_, bytes};
  }
  // Gives buffers back to the kernel.
  void Recycle(std::span<const uint16_t> ids);

 private:
  friend class Uring;

  Mapping ring_;
  std::byte* memory_ = nullptr;
  uint32_t size_ = 0;
  uint16_t mask_ = 0;
  uint16_t tail_ = 0;
};

class Uring {
 public:
  Uring() = default;

  // ENOSYS: no io_uring in this kernel. EPERM: denied (seccomp, kernel.io_uring_disabled). EINVAL:
  // older than Linux 6.1. EMFILE, ENFILE, ENOMEM.
  [[nodiscard]] static Result<Uring> Open(uint32_t requests, uint32_t answers);

  [[nodiscard]] bool open() const { return fd_.valid(); }

  // `fd`, an eventfd, is signalled when Enter() would have something, while Notify(true).
  [[nodiscard]] Status RegisterEventFd(int fd);
  // Never misses work that arrives meanwhile: look at HasWork() afterwards.
  void Notify(bool notify);

  // Provided buffers: `count` (a power of two) of `size` bytes each, from the start of `memory`,
  // which has to stay until the ring is gone, and so have they.
  [[nodiscard]] Result<UringBuffers> ProvideBuffers(uint16_t group, std::span<std::byte> memory,
                                                    uint16_t count, uint32_t size);

  // A zeroed request to fill in, the one at place() - 1 from now on. Without room it waits outside
  // of the ring until Enter() has made some.
  [[nodiscard]] uring::Request& NextRequest();
  [[nodiscard]] bool HasRoom() const { return spilled_.empty() && InRing() <= request_mask_; }
  // Places count up, and begin anew at 2^32.
  [[nodiscard]] uint32_t place() const {
    return request_tail_ + static_cast<uint32_t>(spilled_.size());
  }
  // Requests that the kernel has not taken yet: the last so many places.
  [[nodiscard]] uint32_t unsubmitted() const { return place() - Head(); }
  // What was put there 2^32 places ago counts as well.
  [[nodiscard]] bool IsUnsubmitted(uint32_t place) const { return place - Head() < unsubmitted(); }
  [[nodiscard]] uring::Request& Unsubmitted(uint32_t place);

  // Submits, and with `collect` makes the answers that can be made. Never waits.
  // EBUSY, EAGAIN: no memory for requests now.
  [[nodiscard]] Status Enter(bool collect);

  // The kernel has something that Enter() makes answers of, or there are answers or requests.
  [[nodiscard]] bool HasWork() const;

  // The next answer; false if there is none.
  [[nodiscard]] bool Take(uring::Answer& answer);

 private:
  [[nodiscard]] std::atomic_ref<uint32_t> Shared(uint32_t offset) const {
    return std::atomic_ref<uint32_t>(*rings_.At<uint32_t>(offset));
  }

  // How many requests the kernel has taken in all.
  [[nodiscard]] uint32_t Head() const {
    return Shared(parameters_.submission_offsets.head).load(std::memory_order_acquire);
  }
  [[nodiscard]] uint32_t InRing() const { return request_tail_ - Head(); }

  Fd fd_;
  Mapping rings_;
  Mapping requests_;
  // Behind those in the ring.
  std::deque<uring::Request> spilled_;
  uring::Parameters parameters_{};
  uint32_t request_tail_ = 0;
  uint32_t request_mask_ = 0;
  uint32_t answer_mask_ = 0;
};

}  // namespace afunix::posix
