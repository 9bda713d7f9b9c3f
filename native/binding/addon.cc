// The addon's functions, as src/binding.ts declares them. Arguments are checked there; here a wrong
// one gives −EINVAL. Every function returns a number: a handle, 0, or −errno.
#include <node_api.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "binding/activation.h"
#include "binding/arguments.h"
#include "binding/credentials.h"
#include "binding/descriptors.h"
#include "binding/engine_function.h"
#include "binding/environment.h"
#include "binding/napi_util.h"
#include "binding/raw.h"
#include "posix/socket.h"
#include "posix/uring.h"

namespace afunix::binding {

namespace {

int64_t HandleOrError(posix::Result<int32_t> opened) {
  return opened.ok() ? opened.value() : opened.error().Negative();
}

// SOCK_STREAM unless it is SOCK_SEQPACKET.
posix::SocketType TypeOf(int32_t number) {
  return number == SOCK_SEQPACKET ? posix::SocketType::kSeqpacket : posix::SocketType::kStream;
}

// connect(address, padded, patienceMilliseconds, type, descriptors)
int64_t Connect(Environment& environment, const Arguments& arguments) {
  auto address = ParseAddress(arguments.Bytes(0), arguments.Bool(1));
  if (!address.ok()) return address.error().Negative();
  return HandleOrError(environment.engine()->Connect(
      address.value(), static_cast<int64_t>(arguments.Double(2) * 1e6), TypeOf(arguments.Int(3)),
      arguments.Bool(4)));
}

// connectAgain(handle, address, padded, patienceMilliseconds)
int64_t ConnectAgain(Environment& environment, const Arguments& arguments) {
  auto address = ParseAddress(arguments.Bytes(1), arguments.Bool(2));
  if (!address.ok()) return address.error().Negative();
  const auto begun = environment.engine()->ConnectAgain(
      arguments.Int(0), address.value(), static_cast<int64_t>(arguments.Double(3) * 1e6));
  return begun.ok() ? 0 : begun.error().Negative();
}

// The descriptor is the engine's from here on, whether or not it was this environment's.
posix::Fd TakeOver(Environment& environment, int fd) {
  if (environment.owned() != nullptr) (void)environment.owned()->Remove(fd);
  return posix::Fd(fd);
}

// adopt(fd)
int64_t Adopt(Environment& environment, const Arguments& arguments) {
  return HandleOrError(environment.engine()->Adopt(TakeOver(environment, arguments.Int(0))));
}

void CloseHandle(Environment& environment, int32_t handle) {
  engine::Submission close{handle, static_cast<int32_t>(engine::SubmissionKind::kClose), 0, 0};
  environment.engine()->Submit({&close, 1}, false);
}

// socketpair(Int32Array of two, type)
int64_t SocketPair(Environment& environment, const Arguments& arguments) {
  const std::string_view bytes = arguments.Bytes(0);
  std::array<int32_t, 2> handles;
  if (bytes.size() < sizeof(handles)) return -EINVAL;
  auto pair = posix::SocketPair(TypeOf(arguments.Int(1)));
  if (!pair.ok()) return pair.error().Negative();
  for (size_t i = 0; i < handles.size(); ++i) {
    auto adopted = environment.engine()->Adopt(std::move(pair.value()[i]));
    if (!adopted.ok()) {
      if (i > 0) CloseHandle(environment, handles[0]);
      return adopted.error().Negative();
    }
    handles[i] = adopted.value();
  }
  __builtin_memcpy(const_cast<char*>(bytes.data()), handles.data(), sizeof(handles));
  return 0;
}

// What the peers of a listener can pass, as bits; src/server/passing.ts has the same.
constexpr int32_t kPassDescriptors = 1;
constexpr int32_t kPassCredentials = 2;
constexpr int32_t kPassPidfds = 4;

void SetPassing(engine::ListenOptions& options, int32_t passing) {
  options.descriptors = (passing & kPassDescriptors) != 0;
  options.credentials = (passing & kPassCredentials) != 0;
  options.pidfds = (passing & kPassPidfds) != 0;
}

// listen(address, padded, backlog, mode, whole, type, passing)
int64_t Listen(Environment& environment, const Arguments& arguments) {
  auto address = ParseAddress(arguments.Bytes(0), arguments.Bool(1));
  if (!address.ok()) return address.error().Negative();
  engine::ListenOptions options;
  options.backlog = arguments.Int(2, options.backlog);
  options.add_mode = static_cast<unsigned>(arguments.Int(3, 0));
  options.whole_mode = arguments.Bool(4);
  options.type = TypeOf(arguments.Int(5));
  SetPassing(options, arguments.Int(6, 0));
  return HandleOrError(environment.engine()->Listen(address.value(), options));
}

// Fields of the Int32Array that listenAtPlace() takes; src/server/place.ts has the same.
enum PlaceField : size_t { kMode, kUid, kGid, kStale, kStep, kOccupant, kOwner, kPlaceFields };

// listenAtPlace(path, backlog, type, passing, place)
int64_t ListenAtPlace(Environment& environment, const Arguments& arguments) {
  auto address = ParseAddress(arguments.Bytes(0), false);
  if (!address.ok()) return address.error().Negative();
  const auto memory = arguments.Memory(4);
  std::array<int32_t, kPlaceFields> fields;
  if (address.value().kind() != posix::UnixAddress::Kind::kPathname ||
      memory.size() != sizeof(fields)) {
    return -EINVAL;
  }
  __builtin_memcpy(fields.data(), memory.data(), sizeof(fields));
  const posix::PlaceOptions place{.mode = static_cast<mode_t>(fields[kMode]),
                                  .uid = static_cast<uid_t>(fields[kUid]),
                                  .gid = static_cast<gid_t>(fields[kGid]),
                                  .stale = static_cast<posix::Stale>(fields[kStale])};
  posix::PlaceTrouble trouble;
  engine::ListenOptions options;
  options.backlog = arguments.Int(1, options.backlog);
  options.type = TypeOf(arguments.Int(2));
  SetPassing(options, arguments.Int(3, 0));
  options.place = &place;
  options.trouble = &trouble;
  const auto opened = environment.engine()->Listen(address.value(), options);
  fields[kStep] = static_cast<int32_t>(trouble.step);
  fields[kOccupant] = static_cast<int32_t>(trouble.occupant);
  fields[kOwner] = static_cast<int32_t>(trouble.owner);
  __builtin_memcpy(memory.data(), fields.data(), sizeof(fields));
  return HandleOrError(opened);
}

// adoptListener(fd, backlog, passing)
int64_t AdoptListener(Environment& environment, const Arguments& arguments) {
  engine::ListenOptions options;
  SetPassing(options, arguments.Int(2, 0));
  return HandleOrError(environment.engine()->AdoptListener(TakeOver(environment, arguments.Int(0)),
                                                           arguments.Int(1, 511),
                                                           options.credentials, options.pidfds));
}

// share(listener)
int64_t Share(Environment& environment, const Arguments& arguments) {
  const auto shared = environment.engine()->Share(arguments.Int(0));
  return shared.ok() ? 0 : shared.error().Negative();
}

// setMessageMemory(memory)
int64_t SetMessageMemory(Environment& environment, const Arguments& arguments) {
  const auto memory = environment.memory().AttachMessages(arguments.Value(0));
  const auto set = environment.engine()->SetMessageMemory(memory);
  return set.ok() ? 0 : set.error().Negative();
}

// setMessageLimits(handle, longest, batchSize, sendBuffer, receiveBuffer)
int64_t SetMessageLimits(Environment& environment, const Arguments& arguments) {
  engine::MessageLimits limits;
  limits.longest = static_cast<size_t>(arguments.Int(1, 0));
  limits.batch_size = static_cast<size_t>(arguments.Int(2, 0));
  limits.send_buffer = arguments.Int(3, 0);
  limits.receive_buffer = arguments.Int(4, 0);
  const auto sendable = environment.engine()->SetMessageLimits(arguments.Int(0), limits);
  return sendable.ok() ? static_cast<int64_t>(sendable.value()) : sendable.error().Negative();
}

// flush(count, more): carries out the first `count` rows of the submission table.
int64_t Flush(Environment& environment, const Arguments& arguments) {
  const auto rows = environment.memory().submissions();
  const auto count = static_cast<size_t>(arguments.Int(0, 0));
  if (count > rows.size()) return -EINVAL;
  environment.engine()->Submit(rows.first(count), arguments.Bool(1));
  return 0;
}

// setReferenced(handle, referenced)
int64_t SetReferenced(Environment& environment, const Arguments& arguments) {
  environment.engine()->SetReferenced(arguments.Int(0), arguments.Bool(1));
  return 0;
}

// setBusyPoll(handle, microseconds); handle −1 means every socket of this environment.
int64_t SetBusyPoll(Environment& environment, const Arguments& arguments) {
  const auto nanoseconds = static_cast<int64_t>(arguments.Double(1) * 1e3);
  if (arguments.Int(0) < 0) {
    environment.driver().SetBusyPoll(nanoseconds);
  } else {
    environment.engine()->SetBusyPoll(arguments.Int(0), nanoseconds);
  }
  return 0;
}

// descriptor(handle)
int64_t Descriptor(Environment& environment, const Arguments& arguments) {
  return environment.engine()->DescriptorOf(arguments.Int(0));
}

// pendingBytes(handle)
int64_t PendingBytes(Environment& environment, const Arguments& arguments) {
  return static_cast<int64_t>(environment.engine()->PendingBytes(arguments.Int(0)));
}

// counters(Float64Array of eight)
int64_t CountersInto(Environment& environment, const Arguments& arguments) {
  const std::string_view bytes = arguments.Bytes(0);
  const engine::Counters& counters = environment.engine()->counters();
  const std::array<double, 8> values = {
      static_cast<double>(counters.connected),  static_cast<double>(counters.accepted),
      static_cast<double>(counters.bytes_read), static_cast<double>(counters.bytes_written),
      static_cast<double>(counters.wakeups),    static_cast<double>(counters.completions),
      static_cast<double>(counters.flushes),    static_cast<double>(counters.syscalls)};
  if (bytes.size() < sizeof(values)) return -EINVAL;
  __builtin_memcpy(const_cast<char*>(bytes.data()), values.data(), sizeof(values));
  return 0;
}

// attach(memory, dispatch, uring)
napi_value Attach(napi_env env, napi_callback_info info) {
  Environment* environment = Environment::Of(env);
  if (environment == nullptr) return Number(env, -ENXIO);
  const Arguments arguments(env, info);
  return Number(env,
                environment->Attach(arguments.Value(0), arguments.Value(1), arguments.Bool(2)));
}

// probeUring(): 0 if an io_uring can be had here and does all we need; −errno.
napi_value ProbeUring(napi_env env, napi_callback_info /*info*/) {
  auto ring = posix::Uring::Open(1, 2);
  return Number(env, ring.ok() ? 0 : ring.error().Negative());
}

// describe(fd): SOCK_* of an AF_UNIX socket, plus 0x100 if it listens; −errno.
napi_value Describe(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto kind = posix::DescribeSocket(arguments.Int(0));
  if (!kind.ok()) return Number(env, kind.error().Negative());
  return Number(env, kind.value().type + (kind.value().listening ? 0x100 : 0));
}

bool ExportDebug(napi_env env, napi_value exports) {
#ifdef DEBUG
  constexpr bool kDebug = true;
#else
  constexpr bool kDebug = false;
#endif
  napi_value value = nullptr;
  return napi_get_boolean(env, kDebug, &value) == napi_ok &&
         napi_set_named_property(env, exports, "debug", value) == napi_ok;
}

}  // namespace

napi_value Initialize(napi_env env, napi_value exports) {
  const bool ready = Environment::Install(env) && ExportDebug(env, exports) &&
                     Export(env, exports, "attach", Attach) &&
                     Export(env, exports, "describe", Describe) &&
                     Export(env, exports, "probeUring", ProbeUring) &&
                     Export(env, exports, "connect", WithEngine<Connect>) &&
                     Export(env, exports, "connectAgain", WithEngine<ConnectAgain>) &&
                     Export(env, exports, "adopt", WithEngine<Adopt>) &&
                     Export(env, exports, "socketpair", WithEngine<SocketPair>) &&
                     Export(env, exports, "listen", WithEngine<Listen>) &&
                     Export(env, exports, "listenAtPlace", WithEngine<ListenAtPlace>) &&
                     Export(env, exports, "adoptListener", WithEngine<AdoptListener>) &&
                     Export(env, exports, "share", WithEngine<Share>) &&
                     Export(env, exports, "setMessageMemory", WithEngine<SetMessageMemory>) &&
                     Export(env, exports, "setMessageLimits", WithEngine<SetMessageLimits>) &&
                     Export(env, exports, "flush", WithEngine<Flush>) &&
                     Export(env, exports, "setReferenced", WithEngine<SetReferenced>) &&
                     Export(env, exports, "setBusyPoll", WithEngine<SetBusyPoll>) &&
                     Export(env, exports, "descriptor", WithEngine<Descriptor>) &&
                     Export(env, exports, "pendingBytes", WithEngine<PendingBytes>) &&
                     Export(env, exports, "counters", WithEngine<CountersInto>) &&
                     ExportRaw(env, exports) && ExportActivation(env, exports) &&
                     ExportDescriptors(env, exports) && ExportCredentials(env, exports);
  if (!ready) napi_throw_error(env, "ERR_AFUNIX_ADDON", "afunix: the addon could not be set up");
  return exports;
}

}  // namespace afunix::binding

NAPI_MODULE_INIT() { return afunix::binding::Initialize(env, exports); }
