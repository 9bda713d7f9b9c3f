// Every loop that a peer can keep busy stops at one of these.
#pragma once

#include <cstddef>
#include <cstdint>

namespace afunix::engine {

// One read of one socket per collection. Also what a paused stream may receive beyond its
// high-water mark.
inline constexpr size_t kReadSize = 64 * 1024;

// Small reads of one collection lie side by side here; a collection ends when less than a whole
// read is left.
inline constexpr size_t kReceiveAreaSize = 5 * kReadSize;

// Buffers that an io_uring fills, behind the receive area. Each holds a whole read, so that what is
// in the queue comes in one piece; of one that brings little, memory is only touched in front. A
// socket that gets a long read is read directly from then on; until we notice, the kernel may have
// filled 32 of them for it (MULTISHOT_MAX_RETRY in io_uring/net.c).
inline constexpr uint32_t kRingBufferSize = kReadSize;
inline constexpr size_t kLongRead = 8 * 1024;
inline constexpr uint16_t kRingBufferCount = 128;
inline constexpr size_t kReceiveMemorySize =
    kReceiveAreaSize + size_t{kRingBufferCount} * kRingBufferSize;

// Short direct reads in a row before a socket gets ring buffers again.
inline constexpr uint8_t kDirectReads = 16;

// The same for messages, which have to be whole: each has room for the longest that a socket takes
// by default. What nobody has written to takes no memory. A socket that gets more than a few
// messages at a time, or one that is not short, is read directly from then on.
inline constexpr uint32_t kMessageBufferSize = 212'992;
inline constexpr uint16_t kMessageBufferCount = 64;
inline constexpr size_t kFewMessages = 4;

// Places for requests, and for the kernel's answers before it has to keep them elsewhere.
inline constexpr uint32_t kRingRequests = 1024;
inline constexpr uint32_t kRingAnswers = 4096;

// Entries into the kernel per collection while it has more, and answers that are enough.
inline constexpr int kRingEnters = 4;
inline constexpr size_t kRingAnswersWanted = 64;

// Looks for requests that were cancelled because the engine ends. They come back at once; a ring
// that is closed with some of them out leaves them to the kernel.
inline constexpr int kShutdownTries = 1000;

// Messages of one collection lie here, packed from the front; while the kernel is receiving, each
// of those of a call has room for the longest.
inline constexpr size_t kMessageAreaSize = 4 * 1024 * 1024;
// What a sender with the kernel's default SO_SNDBUF can send (it keeps 32 bytes for itself).
inline constexpr size_t kLongestByDefault = 212'992 - 32;
static_assert(kMessageBufferSize >= kLongestByDefault);
// Messages begin at multiples of this.
inline constexpr size_t kMessageAlignment = 64;
// Received messages that are at most this long are moved together in the area.
inline constexpr size_t kPackedMessage = 4 * 1024;
// Messages received or sent by one system call.
inline constexpr size_t kMessagesPerCall = 64;
// Messages from one socket per collection, and from all of them.
inline constexpr size_t kMessageBudget = 256;
inline constexpr size_t kMessageRows = 1024;
// Messages to send that one flush can carry.
inline constexpr size_t kOutgoingRows = 2048;
// Memory that a socket keeps when the kernel has taken everything that was pending.
inline constexpr size_t kPendingKept = 128 * 1024;

// A socket whose last read was at least this long reads its next one into a slab, without a copy.
inline constexpr size_t kBulkRead = 24 * 1024;

// Descriptors told in one collection; and at most with the messages of one socket, unless a single
// one may bring more.
inline constexpr size_t kDescriptorCapacity = 1024;
inline constexpr size_t kBatchDescriptors = 256;

// Pidfds of different writers that come with the messages of one socket in one collection.
inline constexpr size_t kBatchPidfds = 32;

// Slabs that may be filled in one collection.
inline constexpr int32_t kSlabCount = 4;

// Collections from sockets that have more before the kernel is asked about the others.
inline constexpr int kCollectionsUnasked = 4;

// Sockets with busy polling that every look reads from; of more it costs less to ask the kernel.
inline constexpr size_t kBusyPolledSockets = 4;
// Looks at them before the kernel is asked about the others, where asking is a system call.
inline constexpr int kLooksUnasked = 8;

// Connections taken from one listener per collection.
inline constexpr int kAcceptBudget = 64;
// The same where others accept from the same socket: what is left in the backlog is for whoever is
// free.
inline constexpr int kSharedAcceptBudget = 2;

// Connections accepted by a listener that leaves others to go on: what a backlog can hold
// (net.core.somaxconn, unless it was raised).
inline constexpr int kLeaveBudget = 4096;

// Kernel events looked at per collection.
inline constexpr size_t kEventBudget = 256;

// Rows in the tables. An event makes at most five completions.
inline constexpr size_t kCompletionCapacity = 1024;
inline constexpr size_t kSubmissionCapacity = 1024;
// A completion can name a peer, and so can a message.
inline constexpr size_t kPeerRows = kCompletionCapacity + kMessageRows;

// Bytes of small writes that one flush can carry.
inline constexpr size_t kSendAreaSize = 256 * 1024;

// Parts of a payload handed to one sendmsg.
inline constexpr size_t kPartsPerSend = 64;

// Large writes that found the queue full before SO_SNDBUF is raised to this. Until then write() and
// 'drain' are as with the kernel's default; the kernel grants at most net.core.wmem_max, and counts
// double (socket(7)).
inline constexpr uint32_t kBulkFills = 32;
inline constexpr int kBulkSendBuffer = 512 * 1024;

// Sends of one payload before others get their turn.
inline constexpr int kSendBudget = 32;

// Waiting for room in a full backlog: first pause and longest pause.
inline constexpr int64_t kConnectRetryFirst = 1'000'000;
inline constexpr int64_t kConnectRetryLongest = 50'000'000;

// A write for which the kernel had no memory is tried again after this.
inline constexpr int64_t kMemoryRetry = 5'000'000;

// A listener that could not accept for want of memory or descriptors tries again after this.
inline constexpr int64_t kAcceptBackOff = 100'000'000;

}  // namespace afunix::engine
