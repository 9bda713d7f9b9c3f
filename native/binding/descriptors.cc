#include "binding/descriptors.h"

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/engine_function.h"
#include "binding/napi_util.h"
#include "posix/fd.h"

namespace afunix::binding {

namespace {

std::span<int32_t> IntegersOf(const Arguments& arguments, size_t index) {
  const auto bytes = arguments.Memory(index);
  return {reinterpret_cast<int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};
}

// claimDescriptors(first, count): of the table; they belong to JavaScript now, and end with this
// environment.
int64_t Claim(Environment& environment, const Arguments& arguments) {
  OwnedDescriptors* owned = environment.owned();
  if (owned == nullptr) return -ENXIO;
  const size_t first = arguments.Size(0);
  for (size_t i = 0; i < arguments.Size(1); ++i) {
    posix::Fd claimed = environment.engine()->ClaimDescriptor(first + i);
    if (!claimed.valid()) return -EBADF;
    owned->Add(claimed.Release());
  }
  return 0;
}

// claimPidfd(place): of a row of the table of peers; owned as claimed descriptors are.
int64_t ClaimPidFd(Environment& environment, const Arguments& arguments) {
  OwnedDescriptors* owned = environment.owned();
  if (owned == nullptr) return -ENXIO;
  posix::Fd claimed = environment.engine()->ClaimPidFd(arguments.Size(0));
  if (!claimed.valid()) return -EBADF;
  const int fd = claimed.Release();
  owned->Add(fd);
  return fd;
}

// duplicate(fd): the same open file, close-on-exec, owned as claimed ones are.
int64_t Duplicate(Environment& environment, const Arguments& arguments) {
  OwnedDescriptors* owned = environment.owned();
  if (owned == nullptr) return -ENXIO;
  auto copy = posix::Duplicate(arguments.Int(0));
  if (!copy.ok()) return copy.error().Negative();
  const int fd = copy.value().Release();
  owned->Add(fd);
  return fd;
}

// setMaxDescriptors(handle, most, atOnce)
int64_t SetMax(Environment& environment, const Arguments& arguments) {
  const auto done = environment.engine()->SetMaxDescriptors(arguments.Int(0), arguments.Size(1),
                                                            arguments.Size(2));
  return done.ok() ? 0 : done.error().Negative();
}

// attachDescriptors(handle, Int32Array): they are the engine's from here on, and leave with the
// next payload.
int64_t Attach(Environment& environment, const Arguments& arguments) {
  OwnedDescriptors* owned = environment.owned();
  if (owned == nullptr) return -ENXIO;
  std::vector<posix::Fd> given;
  for (const int fd : IntegersOf(arguments, 1)) {
    // A number that this thread did not own is not ours to close.
    if (!owned->Remove(fd)) return -EBADF;
    given.emplace_back(fd);
  }
  const auto done = environment.engine()->AttachDescriptors(arguments.Int(0), std::move(given));
  return done.ok() ? 0 : done.error().Negative();
}

// detach(handle): the descriptor, owned as claimed ones are. What was received and not told is
// there for unread() until the next detach().
int64_t Detach(Environment& environment, const Arguments& arguments) {
  OwnedDescriptors* owned = environment.owned();
  if (owned == nullptr) return -ENXIO;
  environment.unread().clear();
  auto given = environment.engine()->Detach(arguments.Int(0), environment.unread());
  if (!given.ok()) return given.error().Negative();
  const int fd = given.value().Release();
  owned->Add(fd);
  return fd;
}

// unread(into): how many bytes there are; copied if there is room for all of them.
int64_t Unread(Environment& environment, const Arguments& arguments) {
  const auto& unread = environment.unread();
  const auto into = arguments.Memory(0);
  if (!unread.empty() && into.size() >= unread.size()) {
    std::memcpy(into.data(), unread.data(), unread.size());
  }
  return static_cast<int64_t>(unread.size());
}

}  // namespace

bool ExportDescriptors(napi_env env, napi_value exports) {
  return Export(env, exports, "claimDescriptors", WithEngine<Claim>) &&
         Export(env, exports, "claimPidfd", WithEngine<ClaimPidFd>) &&
         Export(env, exports, "duplicate", WithEngine<Duplicate>) &&
         Export(env, exports, "setMaxDescriptors", WithEngine<SetMax>) &&
         Export(env, exports, "attachDescriptors", WithEngine<Attach>) &&
         Export(env, exports, "detach", WithEngine<Detach>) &&
         Export(env, exports, "unread", WithEngine<Unread>);
}

}  // namespace afunix::binding
