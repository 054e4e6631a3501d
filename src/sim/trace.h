// A record of everything that happened in one run, as a JSON array of objects. Each has "t" (nanoseconds of
// virtual time) and "event"; the rest depends on the event:
//
//   send      node, to, arrives (list; empty: lost), message
//   deliver   node, from, message, state
//   timer     node, timer, state
//   persist   node, ticket, writes      sync, flushed: node
//   start     node, recovered           down: node, reason
//   invoke, return                      client, node, operation
//   fault, heal                         what
//   leader    node, leader, epoch       membership: node, members
//   phase     what                      failure: property, what
#pragma once

#include <string>
#include <string_view>

#include "core/codec.h"
#include "sim/clock.h"

namespace quorate::sim {

class Trace {
 public:
  class Line {  // one object, finished when it goes out of scope
   public:
    Line(Trace& trace, Moment at, std::string_view event);
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    Line& field(std::string_view name, std::uint64_t number);
    Line& field(std::string_view name, std::string_view text);
    Line& json(std::string_view name, std::string_view value);

   private:
    Trace* trace_;
  };
  [[nodiscard]] std::string finish();

 private:
  std::string out_ = "[";
};

}  // namespace quorate::sim
