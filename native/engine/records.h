// The two tables through which JavaScript and the engine talk: rows of 32-bit integers in memory
// that both sides see. src/engine/records.ts declares the same numbers; a test compares them.
#pragma once

#include <cstdint>

namespace afunix::engine {

// What happened. One row per event, in the order in which it happened on its handle.
enum class CompletionKind : int32_t {
  kConnected = 1,  // result: 0 or −errno
  kAccepted,       // result: the new connection's handle; offset: its row in the table of peers
  kData,           // `result` bytes at `offset` of the receive area
  kSlabData,       // `result` bytes at the start of slab `offset`
  kTargetData,     // `result` bytes at the start of the handle's own receive target
  kEnd,            // the peer will send no more; of a listener: its backlog is empty
  kReadError,      // result: −errno; everything received before it has been reported
  kWritten,        // everything pending on the socket was taken; result: 0 or −errno
  kShutdown,       // the half-close was made; result: 0 or −errno
  kClosed,         // the descriptor is closed; the handle's number may come back afterwards
  kDropped,        // a listener refused `offset` connections; result: −errno that made it
  // `result` descriptors, from `offset` of their table on, came with the data told next; or −errno:
  // some that came with the data told before were more than are taken, and all of them are closed.
  kDescriptors,
  kMessages,  // `result` messages: rows of the table from `offset` on
  // The data told next, and what follows until this is told again, was written by whoever is in row
  // `offset` of the table of peers.
  kCredentials,
};

struct Completion {
  int32_t handle;
  int32_t kind;
  int32_t offset;
  int32_t result;
  int32_t flags;
};
static_assert(sizeof(Completion) == 5 * sizeof(int32_t));

enum class SubmissionKind : int32_t {
  kWrite = 1,     // `length` bytes at `offset` of the send area
  kWritePayload,  // the handle's payload, `length` bytes in all
  kSend,          // `length` messages: rows of the outgoing table from `offset` on
  kSendPayload,   // the handle's payload as one message of `length` bytes
  // Half-close, after what was written before it. A listener lets nobody in any more; with a length
  // that is not 0 only this one: others go on listening on the same socket.
  kShutdown,
  kReadStart,
  kReadStop,     // `length` is a ReadStop
  kReadTargets,  // from now on read into the handle's receive target (length 1), or not (0)
  kClose,
};

// How somebody stops reading.
enum class ReadStop : int32_t {
  kPlain = 0,
  // The end is told all the same, once nothing else is left to read: messages only.
  kWatchEnd,
  // It goes on as soon as its user has done something with what came, and counts as reading.
  kAwaitUser,
};

// For writes the engine overwrites `offset` with the outcome: 0, −errno, or kPending if a
// completion will tell.
struct Submission {
  int32_t handle;
  int32_t kind;
  int32_t offset;
  int32_t length;
};
static_assert(sizeof(Submission) == 4 * sizeof(int32_t));

inline constexpr int32_t kPending = 1;

// The tables of messages are stored column by column. A received one: offset in its area, length
// there, full length as it was sent, flags; and, only where a flag says so, descriptors that came
// with it and where in their table they begin. One to send: offset in the send area, length.
inline constexpr int32_t kReceivedColumns = 7;
inline constexpr int32_t kOutgoingColumns = 2;

// Flags of a received message: it was longer than its place and its tail is lost; descriptors came
// with it and were dropped; descriptors came with it and are in the table.
inline constexpr int32_t kMessageTruncated = 1;
inline constexpr int32_t kDescriptorsDropped = 2;
inline constexpr int32_t kDescriptorsCame = 4;
// The kernel was asked who sent it.
inline constexpr int32_t kCredentialsCame = 8;

}  // namespace afunix::engine
