#include "binding/shared_memory.h"

#include <algorithm>

namespace afunix::binding {

namespace {

[[nodiscard]] napi_value Field(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  return napi_get_named_property(env, object, name, &value) == napi_ok ? value : nullptr;
}

template <typename Row>
[[nodiscard]] std::span<Row> RowsOf(napi_env env, napi_value value) {
  const auto bytes = BytesOf(env, value);
  return {reinterpret_cast<Row*>(bytes.data()), bytes.size() / sizeof(Row)};
}

}  // namespace

bool SharedMemory::Attach(napi_env env, napi_value layout) {
  env_ = env;
  completions_ = RowsOf<engine::Completion>(env, Field(env, layout, "completions"));
  submissions_ = RowsOf<engine::Submission>(env, Field(env, layout, "submissions"));
  send_area_ = BytesOf(env, Field(env, layout, "sendArea"));
  receive_area_ = BytesOf(env, Field(env, layout, "receiveArea"));
  descriptors_ = RowsOf<int32_t>(env, Field(env, layout, "descriptors"));
  peers_ = RowsOf<int32_t>(env, Field(env, layout, "peers"));
  const bool areas = !completions_.empty() && !submissions_.empty() && !send_area_.empty() &&
                     !receive_area_.empty() && !descriptors_.empty() && !peers_.empty();
  return areas && layout_.Set(env, layout) && targets_.Set(env, Field(env, layout, "targets")) &&
         slabs_.Set(env, Field(env, layout, "slabs")) &&
         payloads_.Set(env, Field(env, layout, "payloads"));
}

engine::MessageMemory SharedMemory::AttachMessages(napi_value layout) {
  if (layout == nullptr || !message_layout_.Set(env_, layout)) return {};
  return {BytesOf(env_, Field(env_, layout, "area")),
          RowsOf<int32_t>(env_, Field(env_, layout, "received")),
          RowsOf<int32_t>(env_, Field(env_, layout, "outgoing"))};
}

engine::EngineMemory SharedMemory::memory() {
  return {completions_, send_area_, receive_area_, descriptors_, peers_, this};
}

napi_value SharedMemory::Element(const Reference& array, int32_t index) const {
  const napi_value elements = array.Get();
  napi_value value = nullptr;
  if (elements == nullptr ||
      napi_get_element(env_, elements, static_cast<uint32_t>(index), &value) != napi_ok) {
    return nullptr;
  }
  return value;
}

std::span<std::byte> SharedMemory::ReceiveTarget(int32_t handle) {
  const HandleScope scope(env_);
  return BytesOf(env_, Element(targets_, handle));
}

std::span<std::byte> SharedMemory::Slab(int32_t index) {
  const HandleScope scope(env_);
  return BytesOf(env_, Element(slabs_, index));
}

size_t SharedMemory::Payload(int32_t handle, size_t skip, std::span<iovec> parts) {
  const HandleScope scope(env_);
  const napi_value payload = Element(payloads_, handle);
  bool is_list = false;
  if (payload == nullptr || napi_is_array(env_, payload, &is_list) != napi_ok) return 0;
  uint32_t length = 1;
  if (is_list && napi_get_array_length(env_, payload, &length) != napi_ok) return 0;
  size_t count = 0;
  for (uint32_t i = 0; i < length && count < parts.size(); ++i) {
    napi_value chunk = payload;
    if (is_list && napi_get_element(env_, payload, i, &chunk) != napi_ok) return 0;
    const auto bytes = BytesOf(env_, chunk);
    if (skip >= bytes.size()) {
      skip -= bytes.size();
      continue;
    }
    const auto rest = bytes.subspan(skip);
    skip = 0;
    parts[count++] = {rest.data(), rest.size()};
  }
  return count;
}

}  // namespace afunix::binding
