// What happened in a scenario, in order: the matter of its trace and of its sequence diagram.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"

namespace quorate::sim {

struct Happening {
  enum class Kind {
    message,  // `at` sent it to `to`, where it arrives now
    lost,     // it never arrives
    event,    // at `at`
    state,    // what `at` looks like; part of traces only
    durable,  // `at` has it on its disk now; part of diagrams only
    chapter,  // a line of the scenario's own text
  };
  Kind kind = Kind::event;
  NodeId at;
  NodeId to;
  std::string text;
};

struct Story {
  std::vector<NodeId> cast;
  std::vector<Happening> happenings;
};

// As a line of the golden trace; empty for what is told in diagrams alone.
[[nodiscard]] std::string line(const Happening& happening);

// A sequence diagram, time downward: for a terminal, with a lane for each node; for Markdown, in Mermaid's
// language (without the fence).
[[nodiscard]] std::string draw_lanes(const Story& story);
[[nodiscard]] std::string draw_mermaid(const Story& story);

}  // namespace quorate::sim
