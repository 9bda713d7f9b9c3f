// Anticipation: whether looking for more after a busy batch has paid lately. It has to succeed once
// in three times; when it does not, it is tried only now and then.
#pragma once

#include <algorithm>

namespace afunix::binding {

class Anticipation {
 public:
  // Asked before each wait.
  [[nodiscard]] bool Pays() {
    if (credit_ > 0) return true;
    if (++skipped_ < kPause) return false;
    skipped_ = 0;
    credit_ = 1;
    return true;
  }
  void Hit() { credit_ = std::min(credit_ + kGain, kMost); }
  void Miss() { --credit_; }

 private:
  static constexpr int kGain = 2;
  static constexpr int kMost = 16;
  // Busy batches without looking before it is tried again.
  static constexpr int kPause = 64;

  int credit_ = kMost;
  int skipped_ = 0;
};

}  // namespace afunix::binding
