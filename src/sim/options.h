// What a run is made of. Together with the seed it decides everything that happens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/replicated_log.h"
#include "sim/clock.h"
#include "sim/coverage.h"
#include "sim/faults.h"

namespace quorate::sim {

struct Options {
  std::string protocol = "raft";
  std::string model = "register";
  replicated_log::Factory factory;
  bool leaders = true;      // its leaders are of epochs, and its log its own: judge them too
  std::uint32_t nodes = 0;  // at the beginning; 0: the seed draws 3 to 5
  std::uint32_t keys = 0;   // 0: the seed draws 1 to 4
  std::uint32_t operations = 500;
  FaultSet faults = FaultSet::usual();
  std::optional<std::vector<std::uint32_t>> keep;  // of the planned faults only these, by their number
  // After healing, each member must serve a write and a read within this time.
  Duration recovery_bound = 10s;
};

struct Result {
  std::uint64_t seed = 0;
  bool ok = false;
  std::string property;    // that was violated
  std::string failure;     // in words
  std::uint64_t hash = 0;  // of everything that happened: equal for equal runs
  std::uint64_t events = 0;
  Moment simulated{};
  Duration recovery{};  // from healing until every member served
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
  std::uint64_t epochs = 0;
  std::vector<Fault> plan;
  Overlaps faults;
};

}  // namespace quorate::sim
