// UnixAddress: a sockaddr_un together with the length that makes it mean what it means. unix(7).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <span>
#include <string_view>

#include "posix/result.h"

namespace afunix::posix {

class UnixAddress {
 public:
  enum class Kind { kUnnamed, kPathname, kAbstract };

  // Bytes in sun_path: 107 of a pathname and its NUL, or a NUL and 107 of an abstract name.
  static constexpr size_t kCapacity = sizeof(sockaddr_un::sun_path);
  static constexpr size_t kMaximumName = kCapacity - 1;

  // The unnamed address; as an argument of bind(2) it asks the kernel for an abstract name
  // (autobind).
  UnixAddress();

  // `path` is bytes, in no particular encoding. ENAMETOOLONG over 107, EINVAL when empty or
  // when it holds a NUL (the kernel would bind the part before it).
  [[nodiscard]] static Result<UnixAddress> Pathname(std::string_view path);

  // `name` is what follows the leading NUL; it may be empty and may hold NULs. ENAMETOOLONG over
  // 107. The length is exact, as unix(7) describes it.
  [[nodiscard]] static Result<UnixAddress> Abstract(std::string_view name);

  // The same, NUL-padded to all 108 bytes: the name that libuv before 1.51 binds and connects to.
  [[nodiscard]] static Result<UnixAddress> AbstractPadded(std::string_view name);

  // What the kernel filled in. A pathname of 108 bytes may lack its NUL (BUGS in unix(7)).
  [[nodiscard]] static UnixAddress FromKernel(const sockaddr_un& address, socklen_t length);

  [[nodiscard]] Kind kind() const;
  // The pathname without its NUL, or the abstract name without the leading NUL; empty if unnamed.
  [[nodiscard]] std::string_view name() const;

  [[nodiscard]] const sockaddr* data() const {
    return reinterpret_cast<const sockaddr*>(&address_);
  }
  [[nodiscard]] socklen_t length() const { return length_; }

 private:
  sockaddr_un address_;
  socklen_t length_;
};

}  // namespace afunix::posix
