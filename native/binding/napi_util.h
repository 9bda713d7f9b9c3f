// Small helpers over raw Node-API, for the calls that run once per batch or per socket.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace afunix::binding {

// Handles made inside a libuv callback need a scope of their own.
class HandleScope {
 public:
  explicit HandleScope(napi_env env) : env_(env) { napi_open_handle_scope(env, &scope_); }
  ~HandleScope() { napi_close_handle_scope(env_, scope_); }
  HandleScope(const HandleScope&) = delete;
  HandleScope& operator=(const HandleScope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

// A strong reference to an object, for as long as its owner lives.
class Reference {
 public:
  Reference() = default;
  ~Reference() { Reset(); }
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  [[nodiscard]] bool Set(napi_env env, napi_value value) {
    Reset();
    env_ = env;
    return napi_create_reference(env, value, 1, &reference_) == napi_ok;
  }
  void Reset() {
    if (reference_ != nullptr) napi_delete_reference(env_, reference_);
    reference_ = nullptr;
  }
  // Null if JavaScript may no longer run.
  [[nodiscard]] napi_value Get() const {
    napi_value value = nullptr;
    if (reference_ == nullptr || napi_get_reference_value(env_, reference_, &value) != napi_ok) {
      return nullptr;
    }
    return value;
  }

 private:
  napi_env env_ = nullptr;
  napi_ref reference_ = nullptr;
};

// The memory behind a typed array right now: empty when it is none, or detached.
[[nodiscard]] inline std::span<std::byte> BytesOf(napi_env env, napi_value value) {
  bool is_typed_array = false;
  if (value == nullptr || napi_is_typedarray(env, value, &is_typed_array) != napi_ok ||
      !is_typed_array) {
    return {};
  }
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      data == nullptr) {
    return {};
  }
  const size_t width =
      type == napi_int32_array || type == napi_uint32_array || type == napi_float32_array ? 4
      : type == napi_float64_array || type == napi_bigint64_array || type == napi_biguint64_array
          ? 8
      : type == napi_int16_array || type == napi_uint16_array ? 2
                                                              : 1;
  return {static_cast<std::byte*>(data), length * width};
}

[[nodiscard]] inline napi_value Number(napi_env env, int64_t value) {
  napi_value result = nullptr;
  napi_create_int64(env, value, &result);
  return result;
}

// Puts a function into the addon's exports; `data` comes back with every call.
[[nodiscard]] inline bool Export(napi_env env, napi_value exports, const char* name,
                                 napi_callback function, void* data = nullptr) {
  napi_value value = nullptr;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value) == napi_ok &&
         napi_set_named_property(env, exports, name, value) == napi_ok;
}

}  // namespace afunix::binding
