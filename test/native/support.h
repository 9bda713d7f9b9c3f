// What the tests share: bytes, temporary places, pairs of connected sockets, child processes.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "posix/fd.h"
#include "posix/socket.h"
#include "posix/unix_address.h"

namespace afunix::test {

inline std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline iovec Part(std::span<std::byte> bytes) { return {bytes.data(), bytes.size()}; }
// The kernel reads what is sent through this; iovec just has no const form.
inline iovec Part(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

// A directory of its own, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const;

 private:
  std::string path_;
};

// An abstract name that no other test, process or run uses.
[[nodiscard]] std::string UniqueName();

// A listening socket at a fresh abstract name, and that address.
struct Listening {
  posix::Fd fd;
  posix::UnixAddress address;
};
[[nodiscard]] Listening MakeListener(posix::SocketType type = posix::SocketType::kStream,
                                     int backlog = 128);

// Descriptors (and what is beyond the limit of this process's table) that this process has open.
[[nodiscard]] size_t OpenDescriptorCount();

// The same open file, by device and inode.
[[nodiscard]] bool SameFile(int a, int b);
[[nodiscard]] bool IsOpen(int fd);

// The kernel takes all of `text`.
void SendTo(const posix::Fd& peer, std::string_view text);

// Whether poll(2) reports any of `events` at once.
[[nodiscard]] bool Polls(int fd, short events);

// Calls `done` until it is true, for at most `limit`.
[[nodiscard]] bool Eventually(const std::function<bool()>& done,
                              std::chrono::milliseconds limit = std::chrono::milliseconds(10'000));

// Runs `body` in a forked child, which leaves without running destructors. True if no check failed
// in it and it ended by itself.
[[nodiscard]] bool InChild(const std::function<void()>& body);

// What `/bin/sh -c script` printed, run by fork and exec from this process.
[[nodiscard]] std::string Shell(const std::string& script);

// From now on this process has room for `limit` descriptors. Before a listener begins: an io_uring
// accepts under the limit of that moment.
void LimitDescriptors(unsigned limit);

// Fills the descriptor table up to `left` free entries under a limit of `limit`; for children only.
[[nodiscard]] std::vector<posix::Fd> FillDescriptorTable(unsigned limit, size_t left);

// Whether this process may change its ids and override permissions.
[[nodiscard]] bool IsRoot();

}  // namespace afunix::test
