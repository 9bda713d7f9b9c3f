#include "binding/raw.h"

#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "binding/napi_util.h"
#include "binding/raw_state.h"
#include "binding/transit_functions.h"
#include "posix/ancillary.h"
#include "posix/message.h"
#include "posix/socket.h"

namespace afunix::binding {
namespace {

// The limit of sendmmsg(2) and recvmmsg(2).
constexpr size_t kMaximumBatch = UIO_MAXIOV;

// A row of a batch: offset, length, full length, flags.
struct Row {
  int32_t offset;
  int32_t length;
  int32_t full_length;
  int32_t flags;
};

int64_t CodeOf(const posix::Status& status) { return status.error().Negative(); }

template <typename T>
int64_t CountOr(const posix::Result<T>& result) {
  return result.ok() ? static_cast<int64_t>(result.value()) : result.error().Negative();
}

// Owned by this environment from its first moment: a worker can be terminated before JavaScript has
// made an object of the number.
int OwnNew(RawState& state, posix::Fd& fd) {
  state.descriptors.Add(fd.get());
  return fd.Release();
}

int64_t DescriptorOr(RawState& state, posix::Result<posix::Fd> result) {
  return result.ok() ? OwnNew(state, result.value()) : result.error().Negative();
}

template <int64_t (*function)(const Arguments&)>
napi_value Plain(napi_env env, napi_callback_info info) {
  return Number(env, function(Arguments(env, info)));
}

// A part of an argument's memory; false if there is no such part.
bool PartOf(const Arguments& arguments, size_t index, size_t offset, size_t length,
            std::span<std::byte>& part) {
  const auto memory = arguments.Memory(index);
  if (offset > memory.size() || length > memory.size() - offset) return false;
  part = memory.subspan(offset, length);
  return true;
}

std::span<int32_t> IntegersOf(const Arguments& arguments, size_t index) {
  const auto bytes = arguments.Memory(index);
  return {reinterpret_cast<int32_t*>(bytes.data()), bytes.size() / sizeof(int32_t)};
}

// own(fd): it is closed with this environment, unless it is closed or disowned before. 1 if it was
// not owned.
int64_t Own(RawState& state, const Arguments& arguments) {
  const int fd = arguments.Int(0);
  const posix::Status open = posix::CheckOpen(fd);
  if (!open.ok()) return CodeOf(open);
  return state.descriptors.Add(fd) ? 1 : 0;
}

// disown(fd)
int64_t Disown(RawState& state, const Arguments& arguments) {
  return state.descriptors.Remove(arguments.Int(0)) ? 0 : -EBADF;
}

// lend(fd): an owned one, to somebody who closes it with the environment once he has it.
int64_t Lend(RawState& state, const Arguments& arguments) {
  return CodeOf(state.descriptors.Lend(arguments.Int(0)));
}

// closeOwned(fd)
int64_t CloseOwned(RawState& state, const Arguments& arguments) {
  const int fd = arguments.Int(0);
  if (!state.descriptors.Remove(fd)) return -EBADF;
  posix::Fd(fd).Reset();
  return 0;
}

posix::SocketType TypeOf(const Arguments& arguments, size_t index) {
  return static_cast<posix::SocketType>(arguments.Int(index));
}

// rawSocket(type)
int64_t Socket(RawState& state, const Arguments& arguments) {
  return DescriptorOr(state, posix::OpenSocket(TypeOf(arguments, 0)));
}

// rawSocketPair(type, descriptors)
int64_t SocketPair(RawState& state, const Arguments& arguments) {
  const auto descriptors = IntegersOf(arguments, 1);
  if (descriptors.size() < 2) return -EINVAL;
  auto pair = posix::SocketPair(TypeOf(arguments, 0));
  if (!pair.ok()) return pair.error().Negative();
  descriptors[0] = OwnNew(state, pair.value()[0]);
  descriptors[1] = OwnNew(state, pair.value()[1]);
  return 0;
}

// rawMakeOurs(fd): non-blocking and close-on-exec.
int64_t MakeOurs(const Arguments& arguments) {
  return CodeOf(posix::MakeNonBlockingCloseOnExec(arguments.Int(0)));
}

using AddressedCall = posix::Status (*)(int, const posix::UnixAddress&);

// rawBind, rawConnect(fd, address, padded): no bytes are the unnamed address.
template <AddressedCall call>
int64_t WithAddress(const Arguments& arguments) {
  const auto bytes = arguments.Bytes(1);
  if (bytes.empty()) return CodeOf(call(arguments.Int(0), posix::UnixAddress()));
  const auto address = ParseAddress(bytes, arguments.Bool(2));
  if (!address.ok()) return address.error().Negative();
  return CodeOf(call(arguments.Int(0), address.value()));
}

// rawListen(fd, backlog)
int64_t Listen(const Arguments& arguments) {
  return CodeOf(posix::Listen(arguments.Int(0), arguments.Int(1, 511)));
}

// rawAccept(fd)
int64_t Accept(RawState& state, const Arguments& arguments) {
  return DescriptorOr(state, posix::Accept(arguments.Int(0)));
}

// rawShutdown(fd, how)
int64_t Shutdown(const Arguments& arguments) {
  return CodeOf(posix::Shutdown(arguments.Int(0), arguments.Int(1)));
}

// rawName(fd, ofPeer, into): how many bytes, an abstract name with its leading NUL.
int64_t Name(const Arguments& arguments) {
  const auto into = arguments.Memory(2);
  const int fd = arguments.Int(0);
  const auto address = arguments.Bool(1) ? posix::PeerAddress(fd) : posix::LocalAddress(fd);
  if (!address.ok()) return address.error().Negative();
  const auto name = address.value().name();
  const size_t nul = address.value().kind() == posix::UnixAddress::Kind::kAbstract ? 1 : 0;
  if (into.size() < nul + name.size()) return -EINVAL;
  if (nul == 1) into[0] = std::byte{0};
  std::ranges::copy(std::as_bytes(std::span(name)), into.begin() + static_cast<ptrdiff_t>(nul));
  return static_cast<int64_t>(nul + name.size());
}

// rawSend(fd, memory, offset, length, flags)
int64_t Send(const Arguments& arguments) {
  std::span<std::byte> part;
  if (!PartOf(arguments, 1, arguments.Size(2), arguments.Size(3), part)) return -EFAULT;
  return CountOr(posix::Send(arguments.Int(0), part, arguments.Int(4, 0) | MSG_DONTWAIT));
}

// rawReceive(fd, memory, offset, length, flags)
int64_t Receive(const Arguments& arguments) {
  std::span<std::byte> part;
  if (!PartOf(arguments, 1, arguments.Size(2), arguments.Size(3), part)) return -EFAULT;
  return CountOr(posix::Receive(arguments.Int(0), part, arguments.Int(4, 0) | MSG_DONTWAIT));
}

// The memory of a JavaScript array of typed arrays. False: more of them than there is room for.
bool GatherParts(const Arguments& arguments, size_t index, std::array<iovec, IOV_MAX>& places,
                 std::span<const iovec>& parts) {
  uint32_t count = 0;
  const napi_value array = arguments.Value(index);
  if (array == nullptr || napi_get_array_length(arguments.env(), array, &count) != napi_ok ||
      count > places.size()) {
    return false;
  }
  for (uint32_t at = 0; at < count; ++at) {
    napi_value element = nullptr;
    if (napi_get_element(arguments.env(), array, at, &element) != napi_ok) return false;
    const auto bytes = BytesOf(arguments.env(), element);
    places[at] = {bytes.data(), bytes.size()};
  }
  parts = std::span(places).first(count);
  return true;
}

// rawSendMessage(fd, parts, descriptors, credentials, flags); without credentials an empty array.
int64_t SendMessage(const Arguments& arguments) {
  std::array<iovec, IOV_MAX> places;
  std::span<const iovec> parts;
  if (!GatherParts(arguments, 1, places, parts)) return -EINVAL;

  posix::AncillaryWriter control;
  if (const auto added = control.AddDescriptors(IntegersOf(arguments, 2)); !added.ok()) {
    return CodeOf(added);
  }
  if (const auto given = IntegersOf(arguments, 3); given.size() == 3) {
    control.AddCredentials({.pid = given[0],
                            .uid = static_cast<uid_t>(given[1]),
                            .gid = static_cast<gid_t>(given[2])});
  }
  return CountOr(posix::SendMessage(arguments.Int(0), parts, control.bytes(),
                                    arguments.Int(4, 0) | MSG_DONTWAIT));
}

// What rawReceiveMessage tells beside its result; the descriptors follow.
struct Outcome {
  int32_t flags;
  int32_t descriptors;
  int32_t has_credentials;
  int32_t pid;
  int32_t uid;
  int32_t gid;
  int32_t end;
};
constexpr size_t kOutcomeFields = sizeof(Outcome) / sizeof(int32_t);

// rawReceiveMessage(fd, parts, outcome, maximumDescriptors, flags): the message's full length.
// With a maximum of −1 no control message is taken in, and the kernel closes what came with them.
int64_t ReceiveMessage(RawState& state, const Arguments& arguments) {
  std::array<iovec, IOV_MAX> places;
  std::span<const iovec> parts;
  const auto told = IntegersOf(arguments, 2);
  if (!GatherParts(arguments, 1, places, parts) ||
      told.size() < kOutcomeFields + posix::kMaximumDescriptors) {
    return -EINVAL;
  }
  const int maximum = std::min(arguments.Int(3), static_cast<int>(posix::kMaximumDescriptors));
  std::array<std::byte, 2048> control;
  const size_t control_size =
      maximum < 0 ? 0 : posix::ControlBufferSize(static_cast<size_t>(maximum), true);
  const int fd = arguments.Int(0);
  const int flags = arguments.Int(4, 0);
  const auto received = posix::ReceiveMessage(fd, parts, std::span(control).first(control_size),
                                              flags | MSG_DONTWAIT);
  if (!received.ok()) return received.error().Negative();

  Outcome outcome{};
  const std::span<const std::byte> taken(control.data(), received.value().control_bytes);
  posix::AncillaryReader reader(taken);
  std::vector<posix::Fd> descriptors = reader.TakeDescriptors();
  // Where no credentials came, their room was room for more descriptors than were asked for.
  const bool too_many = static_cast<int>(descriptors.size()) > std::max(maximum, 0);
  const bool control_truncated = received.value().control_truncated || too_many;
  if (control_truncated) descriptors.clear();

  outcome.flags =
      (received.value().truncated ? MSG_TRUNC : 0) | (control_truncated ? MSG_CTRUNC : 0);
  outcome.descriptors = static_cast<int32_t>(descriptors.size());
  if (const auto& credentials = reader.credentials(); credentials.has_value()) {
    outcome.has_credentials = 1;
    outcome.pid = credentials->pid;
    outcome.uid = static_cast<int32_t>(credentials->uid);
    outcome.gid = static_cast<int32_t>(credentials->gid);
  }
  const bool empty = received.value().bytes == 0 && received.value().control_bytes == 0 &&
                     !received.value().control_truncated;
  outcome.end = empty && posix::WasEndOfInput(fd) ? 1 : 0;
  std::memcpy(told.data(), &outcome, sizeof(outcome));
  for (size_t at = 0; at < descriptors.size(); ++at) {
    told[kOutcomeFields + at] = OwnNew(state, descriptors[at]);
  }
  return static_cast<int64_t>(received.value().bytes);
}

// The headers of a batch, one part each. Left as they are beyond what a call needs.
struct Batch {
  std::array<iovec, kMaximumBatch> parts;
  std::array<mmsghdr, kMaximumBatch> headers;

  void Set(size_t at, std::span<std::byte> bytes) {
    parts[at] = {bytes.data(), bytes.size()};
    headers[at] = {};
    headers[at].msg_hdr.msg_iov = &parts[at];
    headers[at].msg_hdr.msg_iovlen = 1;
  }
};

Row ReadRow(std::span<const std::byte> table, size_t at) {
  Row row;
  std::memcpy(&row, table.data() + at * sizeof(Row), sizeof(row));
  return row;
}

void WriteRow(std::span<std::byte> table, size_t at, const Row& row) {
  std::memcpy(table.data() + at * sizeof(Row), &row, sizeof(row));
}

// rawSendBatch(fd, memory, table, count, flags): how many messages went; each row's full length is
// then what the kernel took of it. −ERANGE: a row is outside of the memory.
int64_t SendBatch(const Arguments& arguments) {
  const auto memory = arguments.Memory(1);
  const auto table = arguments.Memory(2);
  const size_t count = arguments.Size(3);
  if (count > kMaximumBatch || count > table.size() / sizeof(Row)) return -EINVAL;

  Batch batch;
  for (size_t at = 0; at < count; ++at) {
    // Copied first: the table may lie in memory that another thread writes to.
    const Row row = ReadRow(table, at);
    const auto offset = static_cast<size_t>(row.offset);
    const auto length = static_cast<size_t>(row.length);
    if (row.offset < 0 || row.length < 0 || offset > memory.size() ||
        length > memory.size() - offset) {
      return -ERANGE;
    }
    batch.Set(at, memory.subspan(offset, length));
  }
  const auto sent = posix::SendMessages(arguments.Int(0), std::span(batch.headers).first(count),
                                        arguments.Int(4, 0) | MSG_DONTWAIT);
  if (!sent.ok()) return sent.error().Negative();
  for (size_t at = 0; at < sent.value(); ++at) {
    Row row = ReadRow(table, at);
    row.full_length = static_cast<int32_t>(batch.headers[at].msg_len);
    WriteRow(table, at, row);
  }
  return static_cast<int64_t>(sent.value());
}

// At end of input recvmmsg fills what is left of the batch with length 0, as it does for empty
// messages. How many of the batch were messages.
size_t CountMessages(int fd, std::span<const mmsghdr> received) {
  size_t count = received.size();
  const auto brought_something = [](const mmsghdr& header) {
    return header.msg_len > 0 || (header.msg_hdr.msg_flags & MSG_CTRUNC) != 0;
  };
  while (count > 0 && !brought_something(received[count - 1])) --count;
  if (count == received.size() || posix::WasEndOfInput(fd)) return count;
  return received.size();
}

// rawReceiveBatch(fd, memory, table, slotSize, flags): how many messages came, 0 at end of input.
int64_t ReceiveBatch(const Arguments& arguments) {
  const auto memory = arguments.Memory(1);
  const auto table = arguments.Memory(2);
  const size_t slot = arguments.Size(3);
  if (slot == 0 || slot > INT32_MAX) return -EINVAL;
  const size_t count = std::min({memory.size() / slot, table.size() / sizeof(Row), kMaximumBatch});
  // An offset is an int32.
  if (count == 0 || (count - 1) * slot > INT32_MAX) return -EINVAL;

  Batch batch;
  for (size_t at = 0; at < count; ++at) batch.Set(at, memory.subspan(at * slot, slot));
  const int fd = arguments.Int(0);
  const auto received = posix::ReceiveMessages(fd, std::span(batch.headers).first(count),
                                               arguments.Int(4, 0) | MSG_DONTWAIT);
  if (!received.ok()) return received.error().Negative();
  const size_t messages =
      CountMessages(fd, std::span<const mmsghdr>(batch.headers).first(received.value()));
  for (size_t at = 0; at < messages; ++at) {
    const size_t full_length = batch.headers[at].msg_len;
    WriteRow(table, at,
             {.offset = static_cast<int32_t>(at * slot),
              .length = static_cast<int32_t>(std::min(full_length, slot)),
              .full_length = static_cast<int32_t>(full_length),
              .flags = batch.headers[at].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)});
  }
  return static_cast<int64_t>(messages);
}

// rawGetOption(fd, level, name, into): how many bytes.
int64_t GetOption(const Arguments& arguments) {
  return CountOr(
      posix::GetOption(arguments.Int(0), arguments.Int(1), arguments.Int(2), arguments.Memory(3)));
}

// rawOptionSize(fd, level, name): how many bytes there are of one that had no room for them.
int64_t OptionSize(const Arguments& arguments) {
  return CountOr(posix::OptionSize(arguments.Int(0), arguments.Int(1), arguments.Int(2)));
}

// rawSetOption(fd, level, name, value)
int64_t SetOption(const Arguments& arguments) {
  return CodeOf(
      posix::SetOption(arguments.Int(0), arguments.Int(1), arguments.Int(2), arguments.Memory(3)));
}

// rawQueued(fd, outgoing): SIOCINQ or SIOCOUTQ.
int64_t Queued(const Arguments& arguments) {
  const int fd = arguments.Int(0);
  return CountOr(arguments.Bool(1) ? posix::UnreadByPeer(fd) : posix::Unread(fd));
}

// rawPollNow(fd, events): what is there of them, without waiting.
int64_t PollNow(const Arguments& arguments) {
  return CountOr(posix::PollNow(arguments.Int(0), static_cast<short>(arguments.Int(1, 0))));
}

// rawPollStart(table, dispatch)
int64_t PollStart(RawState& state, const Arguments& arguments) {
  return state.poller.Start(arguments.env(), arguments.Value(0), arguments.Value(1));
}

// rawPollArm(fd, events, tag, known)
int64_t PollArm(RawState& state, const Arguments& arguments) {
  return state.poller.Arm(arguments.Int(0), static_cast<uint32_t>(arguments.Int(1, 0)),
                          static_cast<uint32_t>(arguments.Int(2)), arguments.Bool(3));
}

// rawPollDisarm(fd)
int64_t PollDisarm(RawState& state, const Arguments& arguments) {
  return state.poller.Disarm(arguments.Int(0));
}

// rawPollReference(referenced)
int64_t PollReference(RawState& state, const Arguments& arguments) {
  state.poller.SetReferenced(arguments.Bool(0));
  return 0;
}

void OnCleanup(napi_async_cleanup_hook_handle /*hook*/, void* data) {
  static_cast<RawState*>(data)->poller.Stop(
      [](void* stopped) {
        // Closes the descriptors too: nothing polls them any more.
        const std::unique_ptr<RawState> state(static_cast<RawState*>(stopped));
        napi_remove_async_cleanup_hook(state->hook);
      },
      data);
}

}  // namespace

bool ExportRaw(napi_env env, napi_value exports) {
  auto made = std::make_unique<RawState>();
  RawState* state = made.get();
  if (napi_add_async_cleanup_hook(env, OnCleanup, state, &state->hook) != napi_ok) return false;
  (void)made.release();
  if (Environment* environment = Environment::Of(env)) environment->SetOwned(&state->descriptors);
  return ExportTransit(env, exports, state) && Export(env, exports, "own", WithState<Own>, state) &&
         Export(env, exports, "disown", WithState<Disown>, state) &&
         Export(env, exports, "lend", WithState<Lend>, state) &&
         Export(env, exports, "closeOwned", WithState<CloseOwned>, state) &&
         Export(env, exports, "rawSocket", WithState<Socket>, state) &&
         Export(env, exports, "rawSocketPair", WithState<SocketPair>, state) &&
         Export(env, exports, "rawMakeOurs", Plain<MakeOurs>) &&
         Export(env, exports, "rawBind", Plain<WithAddress<posix::Bind>>) &&
         Export(env, exports, "rawConnect", Plain<WithAddress<posix::Connect>>) &&
         Export(env, exports, "rawListen", Plain<Listen>) &&
         Export(env, exports, "rawAccept", WithState<Accept>, state) &&
         Export(env, exports, "rawShutdown", Plain<Shutdown>) &&
         Export(env, exports, "rawName", Plain<Name>) &&
         Export(env, exports, "rawSend", Plain<Send>) &&
         Export(env, exports, "rawReceive", Plain<Receive>) &&
         Export(env, exports, "rawSendMessage", Plain<SendMessage>) &&
         Export(env, exports, "rawReceiveMessage", WithState<ReceiveMessage>, state) &&
         Export(env, exports, "rawSendBatch", Plain<SendBatch>) &&
         Export(env, exports, "rawReceiveBatch", Plain<ReceiveBatch>) &&
         Export(env, exports, "rawGetOption", Plain<GetOption>) &&
         Export(env, exports, "rawOptionSize", Plain<OptionSize>) &&
         Export(env, exports, "rawSetOption", Plain<SetOption>) &&
         Export(env, exports, "rawQueued", Plain<Queued>) &&
         Export(env, exports, "rawPollNow", Plain<PollNow>) &&
         Export(env, exports, "rawPollStart", WithState<PollStart>, state) &&
         Export(env, exports, "rawPollArm", WithState<PollArm>, state) &&
         Export(env, exports, "rawPollDisarm", WithState<PollDisarm>, state) &&
         Export(env, exports, "rawPollReference", WithState<PollReference>, state);
}

}  // namespace afunix::binding
