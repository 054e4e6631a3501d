// One keyspace of a running node: the replica and what it needs of the real world.
//
// All calls are made on the node's reactor thread, and so are all completions. A call made from within a
// completion is carried out after it, since a replica is never entered twice.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/ids.h"
#include "core/replicated_log.h"
#include "core/rng.h"
#include "models/model.h"
#include "replica/replica.h"
#include "storage/engine.h"
#include "storage/rocks_engine.h"

namespace quorate::runtime {

class Node;

struct KeyspaceConfig {
  std::string name;           // the same at every node; its hash identifies the keyspace to peers
  std::string protocol_name;  // for status and logs
  replicated_log::Factory protocol;
  replicated_log::Rejoin rejoin = nullptr;  // the protocol's, if it can go on without its log
  std::function<std::unique_ptr<models::Model>()> model;
  replicated_log::Settings settings;  // self and initial are the node's to fill in
  replica::Config replica;            // self and incarnation likewise
  storage::RocksConfig storage;
};

// Never zero: zero is the links' own.
[[nodiscard]] KeyspaceId keyspace_id(const std::string& name);

class Keyspace final : private replica::Host {
 public:
  Keyspace(Node& node, KeyspaceConfig config, std::unique_ptr<storage::EngineHome> home,
           std::unique_ptr<storage::Engine> live, Recovered recovered, std::uint64_t seed);

  void propose(Bytes command, replica::Done done);
  void read(replicated_log::ReadMode mode, replica::ReadDone done);
  void reconfigure(std::vector<Member> base, std::vector<Member> members, replica::Done done);
  void transfer(NodeId to, replica::Done done);

  [[nodiscard]] const std::string& name() const { return config_.name; }
  [[nodiscard]] const std::string& protocol_name() const { return config_.protocol_name; }
  [[nodiscard]] KeyspaceId id() const { return id_; }
  [[nodiscard]] replica::Replica::Status status() const { return replica_->status(); }
  [[nodiscard]] models::Model& model() { return replica_->model(); }
  [[nodiscard]] storage::Engine& engine() { return replica_->engine(); }
  // False while a command is half done: see replica::Replica.
  [[nodiscard]] bool settled() const { return replica_->settled(); }
  void when_settled(std::move_only_function<void()> call) { replica_->when_settled(std::move(call)); }
  // As last told by the protocol; cheaper than status().
  [[nodiscard]] NodeId leader() const { return leader_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] bool learner() const { return learner_; }
  [[nodiscard]] bool removed(NodeId node) const { return replica_->removed(node); }
  [[nodiscard]] bool once_removed(NodeId node) const { return replica_->once_removed(node); }
  // A command of that node was executed, ever.
  [[nodiscard]] bool has_session(NodeId node) const { return replica_->has_session(node); }

  // Called on each change of leader, from within the replica: it must not wait for anything.
  void on_leader_changed(std::function<void()> call) { leader_observer_ = std::move(call); }

  // For the node.
  void start();
  void receive(NodeId from, const Bytes& frame);
  void timer(TimerId id);
  void persisted(Ticket upto);
  void tend();        // now and then
  void checkpoint();  // what this keyspace holds of the log is to be cut
  bool turn();        // proposes what came in; true if there is more to do at once
  void close();

 private:
  template <class F>
  void enter(F&& call);  // with the Env of the moment, or later if within the replica

  void send(NodeId to, Bytes frame) override;
  void persist(Ticket ticket, std::vector<Write> writes) override;
  void applying() override;
  void set_timer(TimerId id, Instant at) override;
  void cancel_timer(TimerId id) override;
  void flush_state(Index upto) override;
  void await_flush() override;
  void flush_later(Index upto);
  void halt(const std::string& reason) override;
  void warn(const std::string& what) override;
  void leader_changed(NodeId leader, Epoch epoch) override;
  void membership_changed(const Membership& membership) override;

  Node& node_;
  KeyspaceConfig config_;
  KeyspaceId id_;
  std::unique_ptr<storage::EngineHome> home_;
  Rng rng_;
  std::unique_ptr<replica::Replica> replica_;
  bool inside_ = false;
  bool dirty_ = false;  // something happened since the last turn
  std::deque<std::move_only_function<void(Env&)>> deferred_;
  std::function<void()> leader_observer_;
  NodeId leader_;
  Epoch epoch_;
  std::optional<Index> flush_due_;  // put off, for lack of space
  bool flush_waits_ = false;
  bool learner_ = false;
};

}  // namespace quorate::runtime
