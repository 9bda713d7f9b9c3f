// MessageSocket: the state of one SOCK_SEQPACKET connection.
#pragma once

#include <cstddef>

#include "engine/budgets.h"
#include "engine/connection.h"
#include "engine/pending_messages.h"

namespace afunix::engine {

struct MessageSocket final : Connection {
  MessageSocket() : Connection(Kind::kMessages) {}

  [[nodiscard]] bool HasPending() const override { return !outgoing.empty(); }
  [[nodiscard]] size_t PendingSize() const override { return outgoing.size(); }
  void DiscardPending() override { outgoing.Discard(); }

  // A longer message is cut, and told to be.
  size_t longest = kLongestByDefault;
  // Messages told at once.
  size_t batch_size = kMessageBudget;
  // Descriptors that come with those.
  size_t batch_descriptors = kBatchDescriptors;
  PendingMessages outgoing;
  // Its messages bring more than bytes.
  [[nodiscard]] bool WantsControl() const { return max_descriptors > 0 || passes_credentials; }

  // What sending failed with: nothing behind a failure is sent.
  int send_error = 0;

  // E2BIG or EMFILE: a message in the batch under way had more descriptors than are taken.
  int too_many_descriptors = 0;
};

}  // namespace afunix::engine
