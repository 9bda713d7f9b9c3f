#include "binding/name_request.h"

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "binding/arguments.h"
#include "binding/napi_util.h"
#include "posix/user_database.h"

namespace afunix::binding {

namespace {

enum class Kind : int32_t { kUserName, kGroupName, kUserId, kGroupId };

struct NameRequest {
  Kind kind = Kind::kUserName;
  uint32_t id = 0;
  std::string name;
  int64_t status = 0;
  std::optional<std::string> found_name;
  std::optional<uint32_t> found_id;
  Reference callback;
  napi_async_work work = nullptr;
};

template <typename T, typename U>
void Store(NameRequest& request, const posix::Result<std::optional<T>>& result,
           std::optional<U>& into) {
  if (!result.ok()) {
    request.status = result.error().Negative();
  } else if (result.value()) {
    into = *result.value();
  }
}

// On another thread.
void Execute(napi_env /*env*/, void* data) {
  auto& request = *static_cast<NameRequest*>(data);
  switch (request.kind) {
    case Kind::kUserName:
      return Store(request, posix::UserName(request.id), request.found_name);
    case Kind::kGroupName:
      return Store(request, posix::GroupName(request.id), request.found_name);
    case Kind::kUserId:
      return Store(request, posix::UserId(request.name), request.found_id);
    case Kind::kGroupId:
      return Store(request, posix::GroupId(request.name), request.found_id);
  }
}

void Complete(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<NameRequest> request(static_cast<NameRequest*>(data));
  napi_delete_async_work(env, request->work);
  if (status != napi_ok) return;
  const HandleScope scope(env);
  const napi_value callback = request->callback.Get();
  napi_value receiver = nullptr;
  std::array<napi_value, 2> arguments = {Number(env, request->status), nullptr};
  bool made = napi_get_undefined(env, &receiver) == napi_ok &&
              napi_get_undefined(env, &arguments[1]) == napi_ok;
  if (request->found_name) {
    // Names of users have no encoding; those in use are ASCII.
    const std::string& name = *request->found_name;
    made = made && napi_create_string_utf8(env, name.data(), name.size(), &arguments[1]) == napi_ok;
  } else if (request->found_id) {
    made = made && napi_create_uint32(env, *request->found_id, &arguments[1]) == napi_ok;
  }
  // A worker may be ending: then there is nobody to tell. What the callback throws, Node reports.
  if (made && callback != nullptr) {
    (void)napi_call_function(env, receiver, callback, arguments.size(), arguments.data(), nullptr);
  }
}

}  // namespace

napi_value LookUp(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto request = std::make_unique<NameRequest>();
  request->kind = static_cast<Kind>(arguments.Int(0));
  if (request->kind == Kind::kUserName || request->kind == Kind::kGroupName) {
    if (napi_get_value_uint32(env, arguments.Value(1), &request->id) != napi_ok) {
      return Number(env, -EINVAL);
    }
  } else {
    const std::string_view name = arguments.Bytes(1);
    request->name.assign(name.data(), name.size());
  }
  napi_value title = nullptr;
  if (!request->callback.Set(env, arguments.Value(2)) ||
      napi_create_string_utf8(env, "AFUNIXLOOKUP", NAPI_AUTO_LENGTH, &title) != napi_ok ||
      napi_create_async_work(env, nullptr, title, Execute, Complete, request.get(),
                             &request->work) != napi_ok) {
    return Number(env, -ENOMEM);
  }
  if (napi_queue_async_work(env, request->work) != napi_ok) {
    napi_delete_async_work(env, request->work);
    return Number(env, -ENOMEM);
  }
  (void)request.release();
  return Number(env, 0);
}

}  // namespace afunix::binding
