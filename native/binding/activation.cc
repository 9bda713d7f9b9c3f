#include "binding/activation.h"

#include <cstdint>
#include <span>

#include "binding/arguments.h"
#include "binding/napi_util.h"
#include "posix/fd.h"
#include "posix/notification.h"

namespace afunix::binding {

namespace {

// closeOnExec(fd)
napi_value CloseOnExec(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  return Number(env, posix::SetCloseOnExec(arguments.Int(0)).error().Negative());
}

// sendNotification(address, text, descriptors, patienceMilliseconds)
napi_value SendNotification(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto address = ParseAddress(arguments.Bytes(0), false);
  if (!address.ok()) return Number(env, address.error().Negative());
  const auto given = arguments.Memory(2);
  const std::span<const int> descriptors{reinterpret_cast<const int*>(given.data()),
                                         given.size() / sizeof(int)};
  const auto sent = posix::SendNotification(address.value(), arguments.Memory(1), descriptors,
                                            static_cast<int64_t>(arguments.Double(3) * 1e6));
  return Number(env, sent.error().Negative());
}

}  // namespace

bool ExportActivation(napi_env env, napi_value exports) {
  return Export(env, exports, "closeOnExec", CloseOnExec) &&
         Export(env, exports, "sendNotification", SendNotification);
}

}  // namespace afunix::binding
