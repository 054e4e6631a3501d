// A state machine behind a replicated log. Deterministic: the same commands in the same order give the same
// state, the same results and the same digest at every node. It knows nothing of protocols, peers or clocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/time.h"
#include "models/pace.h"
#include "storage/engine.h"
#include "storage/transaction.h"

namespace quorate::models {

// What the clock of a process shows. Only readings of one process can be compared.
struct ClockReading {
  NodeId node;
  std::uint64_t incarnation = 0;  // of the process
  Duration shown{};
  friend bool operator==(const ClockReading&, const ClockReading&) = default;
};
BOOST_DESCRIBE_STRUCT(ClockReading, (), (node, incarnation, shown))

class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  // The engine holds the state of a start or of a received snapshot: drop caches, load what is kept in
  // memory. `state` stays valid until the next call of open(). Called before anything else.
  virtual void open(storage::Engine& state) = 0;

  // Applies one command; all changes go to `txn`, all reads of state go through it. Malformed commands give
  // an error result, the same everywhere. The result goes to the client whose command it is.
  virtual Bytes apply(const Bytes& command, storage::Transaction& txn) = 0;

  // The same in steps, for a model that has commands which take long: nothing once `pace` is spent; then
  // go_on() is called, with the pace refilled, until there is the result. `command`, `txn` and `pace` stay
  // valid until then, unless open() comes first. In between nothing else is applied or committed, but queries
  // are made, and see nothing of it. Where the pauses are changes neither state nor result.
  virtual std::optional<Bytes> begin(const Bytes& command, storage::Transaction& txn, Pace& pace) {
    pace.spend(Pace::of_a_command);
    return apply(command, txn);
  }
  virtual std::optional<Bytes> go_on() { return Bytes(); }

  // After the last apply() of a batch: changes that need to be made only once for all of it.
  virtual void settle(storage::Transaction&) {}

  // The batch is through; `index` is applied.
  // Here watchers are told.
  virtual void committed(Index index) = 0;

  // Asked of the leader's model from time to time, with what the clock shows: a command it wants in the log,
  // such as the passing of time for its leases. Not again before that one has its outcome.
  virtual std::optional<Bytes> periodic(const ClockReading& now) = 0;

  // Asked of the leader's model when `member` holds another state than most replicas do, or NodeId() when
  // they differ and nobody knows who is right: a command that tells everybody, if the model has one and it is
  // not in force yet.
  virtual std::optional<Bytes> diverged(NodeId member) {
    (void)member;
    return std::nullopt;
  }

  // The state begins another cluster's, restored from a backup: what it tells of the nodes of the old one
  // goes.
  virtual void forget_nodes(storage::Transaction&) {}

  // A read that changes nothing, against the applied state.
  virtual Bytes query(const Bytes& request) = 0;

  // A digest of the state, equal at all nodes that applied the same commands.
  [[nodiscard]] virtual Bytes digest() const = 0;
  // Digests of different formats are not compared: a later version may keep its state in another way.
  [[nodiscard]] virtual std::uint32_t digest_format() const { return 1; }
};

}  // namespace quorate::models
