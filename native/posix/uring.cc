#include "posix/uring.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace afunix::posix {

namespace {

using uring::Answer;
using uring::Buffer;
using uring::Parameters;
using uring::Request;

// The numbers are the same on every architecture.
constexpr long kSetup = 425;
constexpr long kEnter = 426;
constexpr long kRegister = 427;

}  // namespace

Result<Uring> Uring::Open(uint32_t requests, uint32_t answers) {
  Uring ring;
  Parameters& parameters = ring.parameters_;
  parameters.flags = uring::kSingleIssuer | uring::kDeferTaskRun | uring::kTaskRunFlag |
                     uring::kSubmitAll | uring::kClamp | uring::kCompletionSize;
  parameters.completion_entries = answers;
  // Close-on-exec from the start.
  ring.fd_.Reset(static_cast<int>(::syscall(kSetup, requests, &parameters)));
  if (!ring.fd_.valid()) return LastError();
  constexpr uint32_t kNeeded = uring::kSingleMapping | uring::kNoDrop;
  if ((parameters.features & kNeeded) != kNeeded) return Error{EINVAL};

  const size_t rings_size = std::max(parameters.submission_offsets.array +
                                         size_t{parameters.submission_entries} * sizeof(uint32_t),
                                     parameters.completion_offsets.entries +
                                         size_t{parameters.completion_entries} * sizeof(Answer));
  auto rings = Mapping::Shared(ring.fd_.get(), uring::kRingsAt, rings_size);
  if (!rings.ok()) return rings.error();
  ring.rings_ = std::move(rings).value();
  auto entries = Mapping::Shared(ring.fd_.get(), uring::kRequestsAt,
                                 parameters.submission_entries * sizeof(Request));
  if (!entries.ok()) return entries.error();
  ring.requests_ = std::move(entries).value();

  ring.request_mask_ = parameters.submission_entries - 1;
  ring.answer_mask_ = parameters.completion_entries - 1;
  // Requests are handed over in the order of their places.
  auto* const order = ring.rings_.At<uint32_t>(parameters.submission_offsets.array);
  for (uint32_t i = 0; i < parameters.submission_entries; ++i) order[i] = i;
  // What permits the one call may still deny the other.
  if (auto entered = ring.Enter(true); !entered.ok()) return entered.error();
  return ring;
}

Status Uring::RegisterEventFd(int fd) {
  if (::syscall(kRegister, fd_.get(), uring::kRegisterEventFd, &fd, 1) != 0) return LastError();
  return {};
}

void Uring::Notify(bool notify) {
  Shared(parameters_.completion_offsets.flags)
      .store(notify ? 0 : uring::kEventFdDisabled, std::memory_order_seq_cst);
  // The kernel marks its work first and looks at this flag afterwards; we do it the other way
  // round.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

Result<UringBuffers> Uring::ProvideBuffers(uint16_t group, std::span<std::byte> memory,
                                           uint16_t count, uint32_t size) {
  if (memory.size() < size_t{count} * size) return Error{EINVAL};
  UringBuffers buffers;
  auto ring = Mapping::Anonymous(count * sizeof(Buffer));
  if (!ring.ok()) return ring.error();
  buffers.ring_ = std::move(ring).value();
  uring::BufferRegistration registration{};
  registration.ring_address = reinterpret_cast<uint64_t>(buffers.ring_.At<Buffer>(0));
  registration.ring_entries = count;
  registration.group = group;
  if (::syscall(kRegister, fd_.get(), uring::kRegisterBufferRing, &registration, 1) != 0) {
    return LastError();
  }
  buffers.memory_ = memory.data();
  buffers.size_ = size;
  buffers.mask_ = static_cast<uint16_t>(count - 1);
  for (uint16_t id = 0; id < count; ++id) buffers.Recycle({&id, 1});
  return buffers;
}

void UringBuffers::Recycle(std::span<const uint16_t> ids) {
  auto* const ring = ring_.At<Buffer>(0);
  for (const uint16_t id : ids) {
    Buffer& buffer = ring[tail_ & mask_];
    // Not the last field: in the first buffer that is the tail.
    buffer.address = reinterpret_cast<uint64_t>(memory_ + size_t{id} * size_);
    buffer.length = size_;
    buffer.id = id;
    ++tail_;
  }
  std::atomic_ref<uint16_t>(ring[0].tail).store(tail_, std::memory_order_release);
}

Request& Uring::NextRequest() {
  if (!HasRoom()) return spilled_.emplace_back();
  Request& request = requests_.At<Request>(0)[request_tail_++ & request_mask_];
  request = {};
  return request;
}

Request& Uring::Unsubmitted(uint32_t place) {
  const auto behind = static_cast<int32_t>(place - request_tail_);
  if (behind >= 0) return spilled_[static_cast<size_t>(behind)];
  return requests_.At<Request>(0)[place & request_mask_];
}

Status Uring::Enter(bool collect) {
  for (; !spilled_.empty() && InRing() <= request_mask_; spilled_.pop_front()) {
    requests_.At<Request>(0)[request_tail_++ & request_mask_] = spilled_.front();
  }
  Shared(parameters_.submission_offsets.tail).store(request_tail_, std::memory_order_release);
  const uint32_t count = InRing();
  const long entered = RetryInterrupted([&] {
    return ::syscall(kEnter, fd_.get(), count, 0, collect ? uring::kGetEvents : 0, nullptr, 0);
  });
  if (entered < 0) return LastError();
  return {};
}

bool Uring::HasWork() const {
  const uint32_t flags =
      Shared(parameters_.submission_offsets.flags).load(std::memory_order_acquire);
  if ((flags & (uring::kHasTaskWork | uring::kOverflowed)) != 0) return true;
  const auto& offsets = parameters_.completion_offsets;
  return unsubmitted() > 0 || Shared(offsets.head).load(std::memory_order_relaxed) !=
                                  Shared(offsets.tail).load(std::memory_order_acquire);
}

bool Uring::Take(Answer& answer) {
  const auto& offsets = parameters_.completion_offsets;
  const uint32_t head = Shared(offsets.head).load(std::memory_order_relaxed);
  if (head == Shared(offsets.tail).load(std::memory_order_acquire)) return false;
  answer = rings_.At<Answer>(offsets.entries)[head & answer_mask_];
  Shared(offsets.head).store(head + 1, std::memory_order_release);
  return true;
}

}  // namespace afunix::posix
