// Arguments: what JavaScript passed to a function of the addon, read without a throw.
#pragma once

#include <node_api.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string_view>

#include "binding/napi_util.h"
#include "posix/unix_address.h"

namespace afunix::binding {

class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    napi_get_cb_info(env, info, &count_, values_.data(), nullptr, &data_);
  }
  [[nodiscard]] napi_env env() const { return env_; }
  // What the function was exported with.
  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] napi_value Value(size_t index) const {
    return index < count_ ? values_[index] : nullptr;
  }
  [[nodiscard]] int32_t Int(size_t index, int32_t otherwise = -1) const {
    int32_t value = otherwise;
    if (index < count_) napi_get_value_int32(env_, values_[index], &value);
    return value;
  }
  // A place in memory, which may have more than 2 GiB.
  [[nodiscard]] size_t Size(size_t index) const {
    int64_t value = 0;
    if (index < count_) napi_get_value_int64(env_, values_[index], &value);
    return value < 0 ? SIZE_MAX : static_cast<size_t>(value);
  }
  [[nodiscard]] double Double(size_t index) const {
    double value = 0;
    if (index < count_) napi_get_value_double(env_, values_[index], &value);
    return value;
  }
  [[nodiscard]] bool Bool(size_t index) const {
    bool value = false;
    if (index < count_) napi_get_value_bool(env_, values_[index], &value);
    return value;
  }
  [[nodiscard]] std::span<std::byte> Memory(size_t index) const {
    return BytesOf(env_, Value(index));
  }
  [[nodiscard]] std::string_view Bytes(size_t index) const {
    const auto bytes = Memory(index);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  napi_env env_;
  size_t count_ = 8;
  std::array<napi_value, 8> values_{};
  void* data_ = nullptr;
};

// A name as JavaScript has it: bytes, an abstract one with its leading NUL.
[[nodiscard]] inline posix::Result<posix::UnixAddress> ParseAddress(std::string_view bytes,
                                                                    bool padded) {
  const bool abstract = !bytes.empty() && bytes.front() == '\0';
  auto address = !abstract ? posix::UnixAddress::Pathname(bytes)
                 : padded  ? posix::UnixAddress::AbstractPadded(bytes.substr(1))
                           : posix::UnixAddress::Abstract(bytes.substr(1));
  // libuv, and so `net`, says EINVAL of a name that is too long.
  if (!address.ok() && address.error().code == ENAMETOOLONG) return posix::Error{EINVAL};
  return address;
}

}  // namespace afunix::binding
