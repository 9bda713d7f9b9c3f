// Anticipation: whether looking for the next events before sleeping has paid lately. Falling asleep
// and being woken takes time of the processor, too, and looking pays while it finds something for
// less. When it does not, it is tried only now and then.
#pragma once

#include <algorithm>
#include <cstdint>

namespace afunix::binding {

class Anticipation {
 public:
  // How long to look, and what a find is worth, in nanoseconds.
  Anticipation(int64_t patience, int64_t worth) : patience_(patience), worth_(worth) {}

  // Nanoseconds to look for; 0: it does not pay. Asked before each wait.
  [[nodiscard]] int64_t Patience() {
    if (credit_ > 0) return patience_;
    if (++skipped_ < pause_) return 0;
    skipped_ = 0;
    pause_ = std::min(pause_ * 2, kLongestPause);
    credit_ = patience_;
    return patience_;
  }

  // Something came after so many nanoseconds.
  void Hit(int64_t waited) {
    credit_ = std::min(credit_ + worth_ - waited, kMostCredit);
    if (credit_ == kMostCredit) pause_ = kShortestPause;
  }
  // Nothing came.
  void Miss() { credit_ -= patience_; }

 private:
  static constexpr int64_t kMostCredit = 400'000;
  // Waits without looking before it is tried again.
  static constexpr int kShortestPause = 64;
  static constexpr int kLongestPause = 1024;

  int64_t patience_;
  int64_t worth_;
  int64_t credit_ = 0;
  int skipped_ = 0;
  int pause_ = kShortestPause;
};

}  // namespace afunix::binding
