#include "engine/pending_messages.h"

#include "engine/budgets.h"

namespace afunix::engine {

void PendingMessages::Append(std::span<const std::byte> part) {
  // What was taken makes room for what comes, once it is the larger half.
  if (position_ > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(position_));
    lengths_.erase(lengths_.begin(), lengths_.begin() + static_cast<ptrdiff_t>(next_));
    for (Laden& laden : loads_) laden.message -= next_;
    position_ = 0;
    next_ = 0;
  }
  bytes_.insert(bytes_.end(), part.begin(), part.end());
  lengths_.back() += static_cast<uint32_t>(part.size());
}

size_t PendingMessages::Consume(size_t count) {
  size_t taken = 0;
  for (size_t i = 0; i < count; ++i) taken += lengths_[next_++];
  position_ += taken;
  while (!loads_.empty() && loads_.front().message < next_) loads_.pop_front();
  if (empty()) Discard();
  return taken;
}

void PendingMessages::Discard() {
  bytes_.clear();
  lengths_.clear();
  loads_.clear();
  position_ = 0;
  next_ = 0;
  // A queue that was long once shall not be kept for ever.
  if (bytes_.capacity() > kPendingKept) {
    bytes_.shrink_to_fit();
    lengths_.shrink_to_fit();
  }
}

}  // namespace afunix::engine
