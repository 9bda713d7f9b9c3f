// The file a pathname socket leaves in the file system.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "posix/fd.h"
#include "posix/result.h"
#include "posix/working_directory.h"

namespace afunix::posix {

// The socket file as it was when we bound it: removed only while the path still leads to that
// inode, so that a successor's socket is left alone.
class SocketFile {
 public:
  SocketFile() = default;
  SocketFile(SocketFile&& other) noexcept { *this = std::move(other); }
  SocketFile& operator=(SocketFile&& other) noexcept;
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;
  ~SocketFile() = default;
  // What a relative `path` has to be remembered with; none for another. Call before bind(2): there
  // may be no descriptor (EMFILE).
  [[nodiscard]] static Result<std::shared_ptr<const WorkingDirectory>> Origin(
      std::string_view path);
  // Remembers device and inode behind `path` (lstat). Call right after bind(2). It is found again
  // whatever the working directory is by then.
  [[nodiscard]] static Result<SocketFile> Remember(
      std::string path, std::shared_ptr<const WorkingDirectory> origin = nullptr);

  // Adds `bits` to the file's mode, as `readableAll` and `writableAll` ask.
  [[nodiscard]] Status AddMode(mode_t bits) const;

  // The same, taking away what is not in `bits`.
  [[nodiscard]] Status SetMode(mode_t bits) const;

  // Gives it to `uid` and `gid`; −1 leaves one as it is. EPERM.
  [[nodiscard]] Status SetOwner(uid_t uid, gid_t gid) const;

  // A socket, and `uid`'s, when it was remembered.
  [[nodiscard]] bool IsSocketOf(uid_t uid) const { return is_socket_ && uid_ == uid; }

  // It was renamed.
  void MovedTo(std::string path) { path_ = std::move(path); }

  // Remove() keeps starters away that lock "<path>.lock", see SocketPlace: between looking and
  // unlinking a successor could take the path.
  void RemoveUnderLock() { under_lock_ = true; }

  // Unlinks it if the inode is still ours. Call before the socket is closed: the open socket pins
  // the inode number, so that it can't have been given to another file.
  void Remove();

 private:
  [[nodiscard]] Status ChangeMode(mode_t keep, mode_t bits) const;
  [[nodiscard]] Result<Fd> Pin(struct stat& status) const;
  // For openat(2) and the like.
  [[nodiscard]] int From() const;

  std::string path_;
  std::shared_ptr<const WorkingDirectory> origin_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  uid_t uid_ = 0;
  bool is_socket_ = false;
  bool under_lock_ = false;
};

}  // namespace afunix::posix
