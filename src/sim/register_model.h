// The simulator's own state machine: keys with put, compare-and-swap, erase and append. Small and fast, so
// that seeds are spent on the protocols. Its results say all that the linearizability check needs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <boost/describe.hpp>

#include "check/history.h"
#include "core/bytes.h"
#include "models/model.h"

namespace quorate::sim {

struct RegisterCommand {
  check::OpKind kind = check::OpKind::put;
  std::uint64_t id = 0;  // names the command, see check/durability.h
  Bytes key;
  Bytes argument;
  std::optional<Bytes> expected;
};
BOOST_DESCRIBE_STRUCT(RegisterCommand, (), (kind, id, key, argument, expected))

struct RegisterResult {
  bool malformed = false;
  bool succeeded = false;      // cas: swapped; erase: the key was there
  std::optional<Bytes> value;  // get
};
BOOST_DESCRIBE_STRUCT(RegisterResult, (), (malformed, succeeded, value))

// query() takes the key and gives a RegisterResult.
std::unique_ptr<models::Model> make_register_model();

}  // namespace quorate::sim
