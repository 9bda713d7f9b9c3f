// Engine: everything that afunix does with sockets on one thread. Requests go in as submissions,
// events come out as completions; whether the kernel is asked through epoll or io_uring shows
// nowhere in this file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/message_area.h"
#include "engine/records.h"
#include "posix/fd.h"
#include "posix/result.h"
#include "posix/socket.h"
#include "posix/socket_place.h"
#include "posix/unix_address.h"

namespace afunix::engine {

// Monotonic; what stats() shows.
struct Counters {
  uint64_t connected = 0;
  uint64_t accepted = 0;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t wakeups = 0;
  uint64_t completions = 0;
  uint64_t flushes = 0;
  uint64_t syscalls = 0;
};

struct ListenOptions {
  posix::SocketType type = posix::SocketType::kStream;
  int backlog = 511;
  // Bits to add to the socket file's mode before anybody can connect, or all that it then is;
  // pathname addresses only.
  unsigned add_mode = 0;
  bool whole_mode = false;
  // Who connects may send descriptors. Otherwise the kernel refuses them where it can.
  bool descriptors = false;
  // Everything that is received on its connections comes with who sent it.
  bool credentials = false;
  // And with a pidfd of theirs, where the kernel has them; only together with `credentials`.
  bool pidfds = false;
  // How a pathname is taken, instead of `add_mode`; what was wrong with it is told in `trouble`.
  const posix::PlaceOptions* place = nullptr;
  posix::PlaceTrouble* trouble = nullptr;
};

// How one message socket works; 0 leaves a setting as the kernel, or the engine, has it.
struct MessageLimits {
  // The longest message that is received whole and, if SO_SNDBUF can be made to allow it, sent.
  size_t longest = 0;
  // Messages told at once.
  size_t batch_size = 0;
  // SO_SNDBUF and SO_RCVBUF as setsockopt takes them.
  int send_buffer = 0;
  int receive_buffer = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Polls as readable when Collect() has something to tell.
  [[nodiscard]] virtual int descriptor() const = 0;

  // The handle of a new connection attempt; kConnected tells its outcome, never before the next
  // Collect(). While the peer's backlog is full it is tried again, up to `patience` nanoseconds.
  // With `descriptors` the peer may send some, see SetMaxDescriptors().
  [[nodiscard]] virtual posix::Result<int32_t> Connect(
      const posix::UnixAddress& address, int64_t patience,
      posix::SocketType type = posix::SocketType::kStream, bool descriptors = false) = 0;

  // connect(2) once more on a handle that connects or is connected; its kConnected replaces one
  // that was not told yet.
  [[nodiscard]] virtual posix::Status ConnectAgain(int32_t handle,
                                                   const posix::UnixAddress& address,
                                                   int64_t patience) = 0;

  // A connected socket, owned from here on, also on failure.
  [[nodiscard]] virtual posix::Result<int32_t> Adopt(posix::Fd fd) = 0;

  // Bound and listening when it returns. The socket file is removed at close if it is still ours.
  [[nodiscard]] virtual posix::Result<int32_t> Listen(const posix::UnixAddress& address,
                                                      const ListenOptions& options) = 0;

  // A bound socket, owned from here on; listen(2) is called on it, its file is left alone at close.
  [[nodiscard]] virtual posix::Result<int32_t> AdoptListener(posix::Fd fd, int backlog,
                                                             bool credentials = false,
                                                             bool pidfds = false) = 0;

  // Others accept from the same socket: whichever is free shall have the next connection. A
  // listener that was adopted is shared from the start. EBADF: no listener.
  [[nodiscard]] virtual posix::Status Share(int32_t listener) = 0;

  // Message sockets need memory of their own, given once before the first of them. ENXIO without.
  [[nodiscard]] virtual posix::Status SetMessageMemory(const MessageMemory& memory) = 0;

  // The longest message that can be sent on `handle` now that it has these limits.
  [[nodiscard]] virtual posix::Result<size_t> SetMessageLimits(int32_t handle,
                                                               const MessageLimits& limits) = 0;

  // Carries out `submissions` in order and writes each one's outcome into it. `more`: others follow
  // at once, and what has happened meanwhile may wait for them.
  virtual void Submit(std::span<Submission> submissions, bool more) = 0;

  // Fills the completion table from its start; how many rows. Never waits.
  [[nodiscard]] virtual size_t Collect() = 0;

  // Collect() would find something without asking the kernel.
  [[nodiscard]] virtual bool HasWork() const = 0;

  // A Collect() that finds nothing costs no system call.
  [[nodiscard]] virtual bool LooksForFree() const = 0;

  // Makes descriptor() readable.
  virtual void Wake() = 0;

  // While attended, whoever drives the engine promises to look at HasWork() before it sleeps, and
  // the engine saves itself the wake-ups.
  virtual void SetAttended(bool attended) = 0;

  // An unreferenced handle does not count in KeepsAlive().
  virtual void SetReferenced(int32_t handle, bool referenced) = 0;

  // How many descriptors one message may bring, at most posix::kMaximumDescriptors; 0 for none, the
  // default. Messages that are told together bring at most `at_once`, unless a single one may bring
  // more. Before the first read.
  [[nodiscard]] virtual posix::Status SetMaxDescriptors(int32_t handle, size_t most,
                                                        size_t at_once) = 0;
  // A descriptor that is told in this collection, the caller's from here on.
  [[nodiscard]] virtual posix::Fd ClaimDescriptor(size_t place) = 0;
  // The pidfd that stands at `place` of a row of the table of peers; none if it is not there, or
  // not any more. What nobody claims is closed with the next collection.
  [[nodiscard]] virtual posix::Fd ClaimPidFd(size_t place) = 0;
  // The next payload of `handle` takes these along, with its first byte. They are closed when the
  // kernel has taken it, and when it never will. EINVAL: none, or more than a message can carry.
  [[nodiscard]] virtual posix::Status AttachDescriptors(int32_t handle,
                                                        std::vector<posix::Fd> descriptors) = 0;

  // Gives up the descriptor of a connection, and everything that was received and not told: it is
  // appended to `unread`, each message behind its length there and its full length, an int32_t
  // each. kClosed follows. EBUSY while the kernel has not taken all that was written; of messages
  // also what the connection has failed with.
  [[nodiscard]] virtual posix::Result<posix::Fd> Detach(int32_t handle,
                                                        std::vector<std::byte>& unread) = 0;

  // Whether something is under way that a process should be kept running for: what makes a libuv
  // stream active (reading, connecting, writing, shutting down, listening, closing).
  [[nodiscard]] virtual bool KeepsAlive() const = 0;

  // Nanoseconds to look for events before sleeping, wished for this socket. The longest wish
  // counts.
  virtual void SetBusyPoll(int32_t handle, int64_t nanoseconds) = 0;
  [[nodiscard]] virtual int64_t BusyPoll() const = 0;

  // 0 when the kernel has taken everything; else what it has not taken, and what the peer has not
  // read.
  [[nodiscard]] virtual size_t PendingBytes(int32_t handle) const = 0;

  // The descriptor behind a handle, still the engine's; -1 if there is none.
  [[nodiscard]] virtual int DescriptorOf(int32_t handle) const = 0;

  [[nodiscard]] virtual Counters& counters() = 0;

  // Closes every descriptor and forgets what was under way. Idempotent.
  virtual void Shutdown() = 0;

  // A peer that wrote, closed, and left something of ours unread has ended when what it wrote has
  // been read in one go. Otherwise it has failed, as the kernel says.
  void SetResetBehindDataEnds(bool ends) { reset_behind_data_ends_ = ends; }

 protected:
  bool reset_behind_data_ends_ = true;
};

}  // namespace afunix::engine
