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

size_t ControlBufferSize(size_t descriptors, bool credentials, bool pidfd) {
  // In the order in which the kernel writes them (scm_recv_unix() in net/core/scm.c).
  size_t size = 0;
  size_t padding = 0;
  const auto add = [&size, &padding](size_t data) {
    size += CMSG_SPACE(data);
    padding = CMSG_SPACE(data) - CMSG_LEN(data);
  };
  if (credentials) add(sizeof(ucred));
  if (descriptors > 0) add(descriptors * sizeof(int));
  if (pidfd) add(sizeof(int));
  return size - padding;
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
      // Nobody may have asked for it, but an inherited socket can have SO_PASSPIDFD on, and then
      // every message brings one. A negative number is an errno.
      const int pidfd = Load<int>(data, 0);
      pidfd_ = pidfd < 0 ? Result<Fd>(Error{-pidfd}) : Result<Fd>(Fd(pidfd));
    }
  });
}

Status RefuseDescriptors(int fd) { return SetIntOption(fd, SOL_SOCKET, kPassRights, 0); }

}  // namespace afunix::posix
