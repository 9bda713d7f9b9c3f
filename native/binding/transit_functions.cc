#include "binding/transit_functions.h"

#include <cerrno>
#include <utility>

#include "binding/arguments.h"
#include "binding/napi_util.h"
#include "binding/transit.h"
#include "posix/fd.h"

namespace afunix::binding {
namespace {

// A ticket or a recipient; what is none names nobody.
Transit::Key KeyOf(const Arguments& arguments, size_t index) {
  return static_cast<Transit::Key>(arguments.Double(index));
}

int64_t Send(RawState& state, Transit::Key ticket, int fd, Transit::Stage stage) {
  if (!state.descriptors.Remove(fd)) return -EBADF;
  const posix::Status added = Transit::OfProcess().Add(ticket, fd, state.key, stage);
  // Not open any more, so there is nothing to close.
  return added.ok() ? ticket : added.error().Negative();
}

// depart(fd): a ticket for an owned descriptor.
int64_t Depart(RawState& state, const Arguments& arguments) {
  return Send(state, Transit::OfProcess().NewKey(), arguments.Int(0), Transit::Stage::kUnposted);
}

// departAgain(ticket, fd, posted): it could not be used where it arrived.
int64_t DepartAgain(RawState& state, const Arguments& arguments) {
  return Send(state, KeyOf(arguments, 0), arguments.Int(1),
              arguments.Bool(2) ? Transit::Stage::kReturned : Transit::Stage::kUnposted);
}

// posted(ticket)
int64_t Posted(RawState& /*state*/, const Arguments& arguments) {
  Transit::OfProcess().SetPosted(KeyOf(arguments, 0));
  return 0;
}

// arrive(ticket): the descriptor, owned.
int64_t Arrive(RawState& state, const Arguments& arguments) {
  posix::Fd arrived = Transit::OfProcess().Take(KeyOf(arguments, 0));
  if (!arrived.valid()) return -EBADF;
  const int fd = arrived.Release();
  state.descriptors.Add(fd);
  return fd;
}

// recall(ticket): closes it.
int64_t Recall(RawState& /*state*/, const Arguments& arguments) {
  return Transit::OfProcess().Take(KeyOf(arguments, 0)).valid() ? 0 : -EBADF;
}

// recallUnposted(ticket)
int64_t RecallUnposted(RawState& /*state*/, const Arguments& arguments) {
  return Transit::OfProcess().CloseUnposted(KeyOf(arguments, 0)) ? 0 : -EBADF;
}

// newRecipient()
int64_t NewRecipient(RawState& /*state*/, const Arguments& /*arguments*/) {
  return Transit::OfProcess().NewKey();
}

// departTo(ticket, recipient)
int64_t DepartTo(RawState& state, const Arguments& arguments) {
  return Transit::OfProcess()
      .SetRecipient(KeyOf(arguments, 0), state.key, KeyOf(arguments, 1))
      .error()
      .Negative();
}

// recipientEnded(recipient)
int64_t RecipientEnded(RawState& /*state*/, const Arguments& arguments) {
  const Transit::Key recipient = KeyOf(arguments, 0);
  if (recipient == Transit::kNobody) return -EINVAL;
  Transit::OfProcess().End(recipient);
  return 0;
}

// environmentKey(): this thread's, for shared memory.
int64_t EnvironmentKey(RawState& state, const Arguments& /*arguments*/) {
  return Transit::ShortOf(state.key);
}

// environmentLives(key): 1, or 0 once it has ended.
int64_t EnvironmentLives(RawState& /*state*/, const Arguments& arguments) {
  return Transit::OfProcess().Lives(arguments.Int(0)) ? 1 : 0;
}

}  // namespace

bool ExportTransit(napi_env env, napi_value exports, RawState* state) {
  return Export(env, exports, "depart", WithState<Depart>, state) &&
         Export(env, exports, "departAgain", WithState<DepartAgain>, state) &&
         Export(env, exports, "posted", WithState<Posted>, state) &&
         Export(env, exports, "arrive", WithState<Arrive>, state) &&
         Export(env, exports, "recall", WithState<Recall>, state) &&
         Export(env, exports, "recallUnposted", WithState<RecallUnposted>, state) &&
         Export(env, exports, "newRecipient", WithState<NewRecipient>, state) &&
         Export(env, exports, "departTo", WithState<DepartTo>, state) &&
         Export(env, exports, "recipientEnded", WithState<RecipientEnded>, state) &&
         Export(env, exports, "environmentKey", WithState<EnvironmentKey>, state) &&
         Export(env, exports, "environmentLives", WithState<EnvironmentLives>, state);
}

}  // namespace afunix::binding
