// Asks whoever still believes to lead when another was elected: at that moment, again and again while it
// believes, and when it wakes from a pause, before it looks at anything else. The new leader is asked a few
// times too. What they answer is judged by the ReadJudge. Clients that read now and then hardly ever meet
// those moments.
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
  [[nodiscard]] static bool leads(Node& node);
  [[nodiscard]] bool doubtful(Node& node) const;
  void ask(Node& node);
  void again(Duration after);

  Stage* stage_;
  Powers* powers_;
  Rng rng_;
  unsigned left_ = 0;   // times to ask those of earlier epochs
  unsigned fresh_ = 0;  // and that of the latest
  bool waiting_ = false;
};

}  // namespace quorate::sim
