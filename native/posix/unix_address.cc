#include "posix/unix_address.h"

#include <algorithm>
#include <cstring>

namespace afunix::posix {
namespace {

constexpr socklen_t kPathOffset = offsetof(sockaddr_un, sun_path);

}  // namespace

UnixAddress::UnixAddress() : address_{}, length_(kPathOffset) { address_.sun_family = AF_UNIX; }

Result<UnixAddress> UnixAddress::Pathname(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return Error{EINVAL};
  if (path.size() > kMaximumName) return Error{ENAMETOOLONG};
  UnixAddress result;
  std::memcpy(result.address_.sun_path, path.data(), path.size());
  result.length_ = kPathOffset + static_cast<socklen_t>(path.size() + 1);
  return result;
}

Result<UnixAddress> UnixAddress::Abstract(std::string_view name) {
  if (name.size() > kMaximumName) return Error{ENAMETOOLONG};
  UnixAddress result;
  // An empty view may have no memory behind it, and memcpy must not be given a null pointer.
  if (!name.empty()) std::memcpy(result.address_.sun_path + 1, name.data(), name.size());
  result.length_ = kPathOffset + static_cast<socklen_t>(1 + name.size());
  return result;
}

Result<UnixAddress> UnixAddress::AbstractPadded(std::string_view name) {
  Result<UnixAddress> result = Abstract(name);
  if (result.ok()) result.value().length_ = sizeof(sockaddr_un);
  return result;
}

UnixAddress UnixAddress::FromKernel(const sockaddr_un& address, socklen_t length) {
  UnixAddress result;
  if (length <= kPathOffset) return result;
  // The kernel reports 111 for a 108-byte pathname: it counts the NUL that had no room.
  result.length_ = std::min<socklen_t>(length, sizeof(sockaddr_un));
  std::memcpy(&result.address_, &address, result.length_);
  return result;
}

UnixAddress::Kind UnixAddress::kind() const {
  if (length_ <= kPathOffset) return Kind::kUnnamed;
  return address_.sun_path[0] == '\0' ? Kind::kAbstract : Kind::kPathname;
}

std::string_view UnixAddress::name() const {
  const size_t size = length_ - kPathOffset;
  switch (kind()) {
    case Kind::kUnnamed:
      return {};
    case Kind::kAbstract:
      return {address_.sun_path + 1, size - 1};
    case Kind::kPathname:
      return {address_.sun_path, ::strnlen(address_.sun_path, size)};
  }
  return {};
}

}  // namespace afunix::posix
