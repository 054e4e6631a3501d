// Asks whoever still believes to lead when another was elected: at that moment, again and again while it
// believes, and when it wakes from a pause, before it looks at anything else. What it answers is judged by
// the ReadJudge. Clients that read now and then hardly ever meet those moments.
#pragma once

#include <cstdint>

#include "core/rng.h"
#include "sim/stage.h"

namespace quorate::sim {

class Powers;

class Skeptic {
 public:
  Skeptic(Stage& stage, Powers& powers, Rng rng) : stage_(&stage), powers_(&powers), rng_(rng) {}

  void elected();
  void due();  // an event of kind `skeptic`
  void woke(Node& node);

 private:
  [[nodiscard]] bool doubtful(Node& node) const;
  void ask(Node& node);
  void again(Duration after);

  Stage* stage_;
  Powers* powers_;
  Rng rng_;
  unsigned left_ = 0;
  bool waiting_ = false;
};

}  // namespace quorate::sim
