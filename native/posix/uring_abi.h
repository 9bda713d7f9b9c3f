// The part of io_uring's stable interface that is used here (include/uapi/linux/io_uring.h): the
// kernels people run know more of it than the headers of their distributions. Little-endian, as all
// platforms with a prebuilt binary are.
#pragma once

#include <cstdint>

namespace afunix::posix::uring {

// io_uring_params and what is in it.
struct SubmissionOffsets {
  uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, reserved;
  uint64_t user_address;
};
struct CompletionOffsets {
  uint32_t head, tail, ring_mask, ring_entries, overflow, entries, flags, reserved;
  uint64_t user_address;
};
struct Parameters {
  uint32_t submission_entries, completion_entries, flags, thread_cpu, thread_idle, features;
  uint32_t workqueue_fd;
  uint32_t reserved[3];
  SubmissionOffsets submission_offsets;
  CompletionOffsets completion_offsets;
};
static_assert(sizeof(Parameters) == 120);

// io_uring_sqe
struct Request {
  uint8_t operation;
  uint8_t flags;
  uint16_t priority;
  int32_t fd;
  uint64_t offset;
  uint64_t address;
  uint32_t length;
  uint32_t operation_flags;
  uint64_t tag;
  uint16_t buffer_group;
  uint16_t personality;
  int32_t file_index;
  uint64_t reserved[2];
};
static_assert(sizeof(Request) == 64);

// io_uring_cqe
struct Answer {
  uint64_t tag;
  int32_t result;
  uint32_t flags;
};
static_assert(sizeof(Answer) == 16);

// io_uring_buf; the reserved field of the first one is the ring's tail.
struct Buffer {
  uint64_t address;
  uint32_t length;
  uint16_t id;
  uint16_t tail;
};
static_assert(sizeof(Buffer) == 16);

// io_uring_buf_reg
struct BufferRegistration {
  uint64_t ring_address;
  uint32_t ring_entries;
  uint16_t group;
  uint16_t flags;
  uint64_t reserved[3];
};
static_assert(sizeof(BufferRegistration) == 40);

// IORING_OP_*
inline constexpr uint8_t kNop = 0;
inline constexpr uint8_t kPollAdd = 6;
inline constexpr uint8_t kAccept = 13;
inline constexpr uint8_t kAsyncCancel = 14;
inline constexpr uint8_t kSend = 26;
inline constexpr uint8_t kReceive = 27;

// IOSQE_*
inline constexpr uint8_t kSelectBuffer = 1U << 5;
inline constexpr uint8_t kNoAnswerOnSuccess = 1U << 6;

// IORING_RECV_MULTISHOT (Linux 6.0), IORING_ACCEPT_MULTISHOT (5.19), IORING_ASYNC_CANCEL_ANY and
// _ALL (5.19)
inline constexpr uint16_t kReceiveMultishot = 1U << 1;
inline constexpr uint16_t kAcceptMultishot = 1U << 0;
// IORING_POLL_ADD_MULTI (Linux 5.13), in `length`
inline constexpr uint32_t kPollMultishot = 1U << 0;
inline constexpr uint32_t kCancelAll = 1U << 0;
inline constexpr uint32_t kCancelAny = 1U << 2;

// IORING_CQE_F_*
inline constexpr uint32_t kHasBuffer = 1U << 0;
inline constexpr uint32_t kHasMore = 1U << 1;
inline constexpr uint32_t kBufferShift = 16;

// IORING_SETUP_*; the last two since Linux 6.0 and 6.1.
inline constexpr uint32_t kCompletionSize = 1U << 3;
inline constexpr uint32_t kClamp = 1U << 4;
inline constexpr uint32_t kSubmitAll = 1U << 7;
inline constexpr uint32_t kTaskRunFlag = 1U << 9;
inline constexpr uint32_t kSingleIssuer = 1U << 12;
inline constexpr uint32_t kDeferTaskRun = 1U << 13;

// IORING_FEAT_*
inline constexpr uint32_t kSingleMapping = 1U << 0;
inline constexpr uint32_t kNoDrop = 1U << 1;

// IORING_ENTER_GETEVENTS
inline constexpr uint32_t kGetEvents = 1U << 0;

// IORING_SQ_*: what the kernel says about itself in the submission ring's flags.
inline constexpr uint32_t kOverflowed = 1U << 1;
inline constexpr uint32_t kHasTaskWork = 1U << 2;

// IORING_CQ_EVENTFD_DISABLED
inline constexpr uint32_t kEventFdDisabled = 1U << 0;

// IORING_REGISTER_EVENTFD, IORING_REGISTER_PBUF_RING (5.19)
inline constexpr uint32_t kRegisterEventFd = 4;
inline constexpr uint32_t kRegisterBufferRing = 22;

// mmap(2) offsets
inline constexpr int64_t kRingsAt = 0;
inline constexpr int64_t kRequestsAt = 0x10000000;

}  // namespace afunix::posix::uring
