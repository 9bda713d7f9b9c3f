// The file a pathname socket leaves in the file system.
#pragma once

#include <sys/types.h>

#include <string>

#include "posix/result.h"

namespace afunix::posix {

// The socket file as it was when we bound it: removed only while the path still leads to that
// inode, so that a successor's socket is left alone.
class SocketFile {
 public:
  SocketFile() = default;
  // Remembers device and inode behind `path` (lstat). Call right after bind(2).
  [[nodiscard]] static Result<SocketFile> Remember(std::string path);

  // Adds `bits` to the file's mode, as `readableAll` and `writableAll` ask.
  [[nodiscard]] Status AddMode(mode_t bits) const;

  // The same, taking away what is not in `bits`.
  [[nodiscard]] Status SetMode(mode_t bits) const;

  // Unlinks it if the inode is still ours. Call before the socket is closed: the open socket pins
  // the inode number, so that it can't have been given to another file.
  void Remove();

 private:
  [[nodiscard]] Status ChangeMode(mode_t keep, mode_t bits) const;

  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace afunix::posix
