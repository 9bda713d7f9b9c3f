// Whether it pays to look for more before sleeping: counted, not timed.
#include "binding/anticipation.h"
#include "check.h"

namespace afunix::binding {
namespace {

constexpr int64_t kPatience = 50;
constexpr int64_t kWorth = 25;

// Waits until it is tried again; −1 after a long time.
int WaitsBeforeTrying(Anticipation& anticipation) {
  for (int waits = 0; waits < 10'000; ++waits) {
    if (anticipation.Patience() > 0) return waits;
  }
  return -1;
}

TEST("at first it is tried now and then, for as long as it was made for") {
  Anticipation anticipation(kPatience, kWorth);
  CHECK_EQ(WaitsBeforeTrying(anticipation), 63);
  anticipation.Miss();
  CHECK_EQ(anticipation.Patience(), 0);
}

TEST("finding sooner than a wake-up costs goes on for ever") {
  Anticipation anticipation(kPatience, kWorth);
  REQUIRE(WaitsBeforeTrying(anticipation) >= 0);
  for (int i = 0; i < 10'000; ++i) {
    anticipation.Hit(kWorth - 1);
    REQUIRE_EQ(anticipation.Patience(), kPatience);
  }
}

TEST("finding later than a wake-up costs does not go on for long") {
  Anticipation anticipation(kPatience, kWorth);
  REQUIRE(WaitsBeforeTrying(anticipation) >= 0);
  int hits = 0;
  for (; hits < 1000 && anticipation.Patience() > 0; ++hits) anticipation.Hit(kWorth + 10);
  CHECK_EQ(hits, 5);
}

TEST("one find in three is not enough when each is worth half of what two misses take") {
  Anticipation anticipation(kPatience, kWorth);
  REQUIRE(WaitsBeforeTrying(anticipation) >= 0);
  for (int i = 0; i < 1000; ++i) anticipation.Hit(0);
  int waits = 0;
  for (; waits < 1'000'000 && anticipation.Patience() > 0; ++waits) {
    if (waits % 3 == 0) {
      anticipation.Hit(0);
    } else {
      anticipation.Miss();
    }
  }
  CHECK(waits < 1'000'000);
}

TEST("each trial that fails makes the next one rarer, down to one in a thousand") {
  Anticipation anticipation(kPatience, kWorth);
  int last = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const int waits = WaitsBeforeTrying(anticipation);
    REQUIRE(waits >= last);
    last = waits;
    anticipation.Miss();
  }
  CHECK_EQ(last, 1023);
}

TEST("a long row of finds makes the next trial early again") {
  constexpr int kEnough = 1'000'000;
  Anticipation anticipation(kPatience, kWorth);
  for (int trial = 0; trial < 20; ++trial) {
    REQUIRE(WaitsBeforeTrying(anticipation) >= 0);
    anticipation.Miss();
  }
  REQUIRE(WaitsBeforeTrying(anticipation) >= 0);
  for (int i = 0; i < kEnough; ++i) anticipation.Hit(0);
  while (anticipation.Patience() > 0) anticipation.Miss();
  CHECK(WaitsBeforeTrying(anticipation) < 64);
}

}  // namespace
}  // namespace afunix::binding
