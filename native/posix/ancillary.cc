#include "posix/ancillary.h"

#include <cstring>
#include <utility>

#include "posix/kernel_constants.h"
#include "posix/socket.h"

namespace afunix::posix {
namespace {

template <typename T>
T Load(std::span<const std::byte> bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// Calls `visit(part header, its data)` for every whole control message. Reads by memcpy, so that
// the memory needs no particular alignment, and checks every length.
template <typename Visit>
void ForEachPart(std::span<const std::byte> control, Visit visit) {
  while (control.size() >= sizeof(cmsghdr)) {
    const auto header = Load<cmsghdr>(control, 0);
    const size_t length = header.cmsg_len;
    if (length < CMSG_LEN(0) || length > control.size()) return;
    visit(header, control.subspan(CMSG_LEN(0), length - CMSG_LEN(0)));
    // The last part may come without its padding.
    const size_t step = CMSG_ALIGN(length);
    if (step >= control.size()) return;
    control = control.subspan(step);
  }
}

}  // namespace

Status AncillaryWriter::AddDescriptors(std::span<const int> descriptors) {
  if (descriptors.size() > kMaximumDescriptors) return Error{EINVAL};
  if (!descriptors.empty()) Append(SCM_RIGHTS, descriptors.data(), descriptors.size_bytes());
  return {};
}

void AncillaryWriter::AddCredentials(const Credentials& credentials) {
  const ucred data{.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
  Append(SCM_CREDENTIALS, &data, sizeof(data));
}

void AncillaryWriter::Append(int type, const void* data, size_t size) {
  cmsghdr header{};
  header.cmsg_len = static_cast<decltype(header.cmsg_len)>(CMSG_LEN(size));
  header.cmsg_level = SOL_SOCKET;
  header.cmsg_type = type;

  const size_t start = buffer_.size();
  buffer_.resize(start + CMSG_SPACE(size));
  std::memcpy(buffer_.data() + start, &header, sizeof(header));
  std::memcpy(buffer_.data() + start + CMSG_LEN(0), data, size);
}

size_t ControlBufferSize(size_t descriptors, bool credentials) {
  // The kernel writes the credentials first.
  if (descriptors == 0) return credentials ? CMSG_LEN(sizeof(ucred)) : 0;
  return (credentials ? CMSG_SPACE(sizeof(ucred)) : 0) + CMSG_LEN(descriptors * sizeof(int));
}

AncillaryReader::AncillaryReader(std::span<const std::byte> control) {
  ForEachPart(control, [this](const cmsghdr& header, std::span<const std::byte> data) {
    if (header.cmsg_level != SOL_SOCKET) return;
    if (header.cmsg_type == SCM_RIGHTS) {
      descriptors_.reserve(descriptors_.size() + data.size() / sizeof(int));
      for (size_t at = 0; at + sizeof(int) <= data.size(); at += sizeof(int)) {
        descriptors_.emplace_back(Load<int>(data, at));
      }
    } else if (header.cmsg_type == SCM_CREDENTIALS && data.size() >= sizeof(ucred)) {
      const auto from = Load<ucred>(data, 0);
      credentials_ = Credentials{.pid = from.pid, .uid = from.uid, .gid = from.gid};
    } else if (header.cmsg_type == kScmPidFd && data.size() >= sizeof(int)) {
      // Nobody here asks for SO_PASSPIDFD, but an inherited socket may have it on, and then every
      // message brings a descriptor. A negative number is an errno.
      if (const int pidfd = Load<int>(data, 0); pidfd >= 0) Fd(pidfd).Reset();
    }
  });
}

Status RefuseDescriptors(int fd) { return SetIntOption(fd, SOL_SOCKET, kPassRights, 0); }

}  // namespace afunix::posix
