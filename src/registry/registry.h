// Every protocol that can carry a keyspace, by name. Server, simulator, lab and command line find protocols
// here alone: adding one is a folder and a line in registry.cc.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "core/replicated_log.h"

namespace quorate::registry {

enum class Family : std::uint8_t {
  replicated_log,  // by nature
  agreement,       // as a replicated log, slot by slot (replog/slots)
};

enum class FaultModel : std::uint8_t {
  crash,      // nodes stop and recover with what they made durable
  byzantine,  // nodes do anything
};

struct Descriptor {
  std::string_view name;  // as in `protocol = "raft"` and `--protocol raft`
  std::string_view title;
  std::string_view paper;
  Family family = Family::replicated_log;
  FaultModel faults = FaultModel::crash;
  std::size_t (*nodes_for)(std::size_t f) = nullptr;  // the fewest voters that survive f faulty ones
  replicated_log::Factory make;
  replicated_log::Begin begin_with = nullptr;
  replicated_log::Rejoin rejoin = nullptr;  // none: a node whose log was damaged can not go on
};

[[nodiscard]] std::span<const Descriptor> all();

// An error names the protocols there are.
[[nodiscard]] std::expected<const Descriptor*, std::string> find(std::string_view name);

const char* to_string(Family family);
const char* to_string(FaultModel faults);

}  // namespace quorate::registry
