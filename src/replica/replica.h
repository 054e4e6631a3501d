// A replica: one node's share of one keyspace. It joins a replicated-log protocol, its durable writes, a
// state machine and its clients, and is itself deterministic and free of I/O: what it wants done goes to a
// Host, what was done comes back as calls. Simulator and runtime are two Hosts.
//
// Every call takes the Env of the moment. Calls are never made from within a Host call.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/replicated_log.h"
#include "models/model.h"
#include "replica/messages.h"
#include "replica/sessions.h"
#include "storage/engine.h"

namespace quorate::replica {

// What a replica needs done.
class Host {
 public:
  Host() = default;
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  virtual ~Host() = default;

  virtual void send(NodeId to, Bytes frame) = 0;                       // may be lost
  virtual void persist(Ticket ticket, std::vector<Write> writes) = 0;  // answered by persisted(), in order
  virtual void set_timer(TimerId id, Instant at) = 0;                  // replaces one of the same id
  virtual void cancel_timer(TimerId id) = 0;
  virtual void flush_state(Index upto) = 0;   // make the engine durable off-thread; answered by flushed(upto)
  // Nothing more can be done safely: stop the node with this reason.
  virtual void halt(const std::string& reason) = 0;
  // Observed changes, for routing, status and traces.
  virtual void leader_changed(NodeId leader, Epoch epoch) = 0;
  virtual void membership_changed(const Membership& membership) = 0;
};

enum class Failure : std::uint8_t {
  no_leader,       // nobody to ask within the deadline; nothing happened
  overloaded,      // a bound was reached; nothing happened
  change_pending,  // another membership change or transfer is under way
  invalid,         // can never succeed as asked
  timed_out,       // the outcome is unknown: it may have happened or may still happen
  stopping,        // the replica is closed; the outcome is unknown
};
const char* to_string(Failure failure);

template <class T>
using Outcome = std::expected<T, Failure>;
using Done = std::move_only_function<void(Outcome<Bytes>)>;  // a command's result
using ReadDone = std::move_only_function<void(Outcome<Index>)>;  // the applied index at which to read

struct Config {
  NodeId self;
  std::uint64_t incarnation = 1;           // greater at every start of the process; from durable storage
  Duration request_timeout = 5s;           // when an operation without an outcome is given up
  Duration retry_interval = 100ms;         // between attempts to find a leader
  Duration periodic_interval = 250ms;      // how often the leader's model is asked for a command
  std::size_t max_pending = 65'536;        // operations without an outcome
  std::size_t max_pending_bytes = 256U << 20U;
  std::size_t max_batch_bytes = 256U << 10U;   // of one log entry's commands
  std::uint64_t flush_after_entries = 100'000;  // applied since the last flush of the state
  std::uint64_t flush_after_bytes = 64U << 20U;
  std::size_t snapshot_chunk_bytes = 256U << 10U;
  Duration snapshot_timeout = 10s;         // without progress, a transfer is given up
};

class Replica {
 public:
  // `home` must have been brought to the recovered log's point by recover_state().
  Replica(Config config, Host& host, std::unique_ptr<replicated_log::Protocol> protocol,
          storage::EngineHome& home, std::unique_ptr<storage::Engine> live, std::unique_ptr<models::Model> model);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Finishes a snapshot installation that a crash interrupted and opens the live engine. Fails when the log
  // was cut in front of a state that is not there: the node has lost data it had promised to keep.
  static std::expected<std::unique_ptr<storage::Engine>, std::string> recover_state(storage::EngineHome& home,
                                                                                  const Recovered& recovered);

  void start(Env& env);
  void receive(Env& env, NodeId from, const Bytes& frame);
  void timer(Env& env, TimerId id);
  void persisted(Env& env, Ticket upto);
  void flushed(Env& env, Index upto);

  // Client operations. Each `done` is called exactly once, possibly before the call returns.
  void propose(Env& env, Bytes command, Done done);
  void read(Env& env, replicated_log::ReadMode mode, ReadDone done);
  void reconfigure(Env& env, std::vector<Member> members, Done done);
  void transfer(Env& env, NodeId to, Done done);

  // Proposes what was queued since the last call as one batch. The driver calls it once per drain of its
  // input queues: that is the batching.
  void pump(Env& env);

  // Calls every outstanding `done` with `stopping`.
  void close();

  struct Status {
    NodeId self;
    NodeId leader;
    Epoch epoch;
    Index applied;
    Index committed;
    Index flushed;
    Membership membership;
    bool is_leader = false;
    std::size_t pending = 0;
  };
  [[nodiscard]] Status status() const;
  [[nodiscard]] models::Model& model() { return *model_; }
  [[nodiscard]] storage::Engine& engine() { return *live_; }
  [[nodiscard]] replicated_log::Protocol& protocol() { return *protocol_; }
  [[nodiscard]] std::optional<std::string> check_invariants() const;

 private:
  struct Pending;
  class SnapshotSender;
  class SnapshotReceiver;

  Config config_;
  Host* host_;
  std::unique_ptr<replicated_log::Protocol> protocol_;
  storage::EngineHome* home_;
  std::unique_ptr<storage::Engine> live_;
  std::unique_ptr<models::Model> model_;
};

}  // namespace quorate::replica
