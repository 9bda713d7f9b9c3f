#include "engine/pending_write.h"

#include <cstring>
#include <utility>

namespace afunix::engine {

void PendingWrite::KeepCopy(std::span<const std::byte> rest) {
  auto joined = std::make_unique_for_overwrite<std::byte[]>(remaining_ + rest.size());
  if (remaining_ > 0) std::memcpy(joined.get(), copy_.get() + position_, remaining_);
  std::memcpy(joined.get() + remaining_, rest.data(), rest.size());
  copy_ = std::move(joined);
  position_ = 0;
  remaining_ += rest.size();
}

}  // namespace afunix::engine
