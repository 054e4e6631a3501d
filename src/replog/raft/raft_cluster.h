// A deterministic cluster for tests: Raft nodes joined by a queue of messages, with disks whose writes become
// durable when the test says so, and a host that keeps the applied entries as its state.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replog/raft/raft.h"

namespace quorate::raft::test {

namespace rl = replicated_log;

struct Packet {
  NodeId from;
  NodeId to;
  Message message;
};
BOOST_DESCRIBE_STRUCT(Packet, (), (from, to, message))

// What durable writes amount to (entry.h), as the write-ahead log would recover it.
void apply_write(Recovered& disk, const Write& write);

Membership voters(std::vector<std::uint64_t> ids);
std::vector<Member> members(std::vector<std::uint64_t> voters, std::vector<std::uint64_t> learners = {});
Entry entry(std::uint64_t term, std::uint64_t index, std::string payload = "x");
// A log whose entry i has the i-th term, and a recovered node that was in `term`.
Recovered recovered_with(std::vector<std::uint64_t> terms, std::uint64_t term);

struct Node {
  NodeId id;
  rl::Settings settings;
  std::unique_ptr<Raft> raft;
  std::unique_ptr<Raft::Out> out;
  Recovered disk;
  std::deque<Persist> unsynced;
  std::vector<Effect<Bytes, rl::Event>> gated;
  std::map<TimerId, Instant> timers;
  std::vector<rl::Event> events;
  std::vector<Entry> state;                      // applied entries, from index 1
  std::map<Index, std::vector<Entry>> received;  // states brought by SendSnapshot, durable
  Membership membership;                         // as last told
  bool disk_works = true;                        // settle() makes its writes durable
};

class Cluster {
 public:
  explicit Cluster(std::size_t nodes, std::uint64_t seed = 1,
                   std::function<void(rl::Settings&)> configure = {});

  // Nodes.
  Node& node(std::uint64_t id) { return *nodes_.at(NodeId(id)); }
  Raft& raft(std::uint64_t id) { return *node(id).raft; }
  [[nodiscard]] bool up(std::uint64_t id) { return node(id).raft != nullptr; }
  [[nodiscard]] std::vector<std::uint64_t> ids() const;
  Node& add(std::uint64_t id, Membership initial);  // not started
  void start(std::uint64_t id);                     // from what its disk holds
  void start_all();
  void crash(std::uint64_t id);  // what is not durable, and effects gated on it, are gone
  void restart(std::uint64_t id);
  // Its log is damaged while it is down: it rejoins with its records and the state of its last snapshot, if
  // it keeps that. False, and nothing happened, where that is refused.
  [[nodiscard]] bool damage(std::uint64_t id, bool keeps_state = true);

  // Inputs.
  void ask(std::uint64_t id, rl::Request request);
  void propose(std::uint64_t id, const std::string& payload, std::uint64_t request = 0);
  void inject(std::uint64_t from, std::uint64_t to, Message message);  // at once, past every filter
  void fire(std::uint64_t id, TimerId timer);
  bool sync_one(std::uint64_t id);  // the oldest write becomes durable
  void sync(std::uint64_t id);

  // The network: what `passes` refuses is lost. Queued messages are delivered by settle(), or by hand.
  std::function<bool(const Packet&)> passes;
  std::deque<Packet> wire;
  void deliver(std::size_t at);
  template <class M>
  std::vector<M> take(std::uint64_t from, std::uint64_t to) {  // removes those from the wire
    std::vector<M> taken;
    std::erase_if(wire, [&](const Packet& p) {
      if (p.from != NodeId(from) || p.to != NodeId(to) || !std::holds_alternative<M>(p.message)) return false;
      taken.push_back(std::get<M>(p.message));
      return true;
    });
    return taken;
  }
  void cut(std::uint64_t a, std::uint64_t b);  // both ways
  void cut_one_way(std::uint64_t from, std::uint64_t to);
  void heal() { cut_.clear(); }
  void only(std::vector<std::pair<std::uint64_t, std::uint64_t>> links);  // cuts all others

  // Time.
  Instant now{std::chrono::hours(1)};
  void settle();                    // deliver and sync until nothing is left to do
  void advance(Duration duration);  // timers fire in order, each followed by settle()
  void elect(std::uint64_t id);     // lets every promise lapse, then times `id` out, and settles
  [[nodiscard]] std::optional<std::uint64_t> leader();  // of the highest term, if it is up

  template <class E>
  std::vector<E> events(std::uint64_t id) {
    std::vector<E> found;
    for (const auto& event : node(id).events) {
      if (const auto* e = std::get_if<E>(&event)) found.push_back(*e);
    }
    return found;
  }
  void forget_events();
  std::vector<std::string> payloads(std::uint64_t id);  // of the applied entries that have one
  std::vector<std::uint64_t> log_terms(std::uint64_t id);

  Rng rng;
  bool auto_snapshots = true;           // SendSnapshot brings the sender's state at once
  std::vector<std::string> violations;  // of safety, between nodes or within one
  void check_logs();                    // Log Matching between every pair; slow

 private:
  void step(Node& node, Raft::In input);
  void perform(Node& node);
  void handle(Node& node, Effect<Bytes, rl::Event> effect);
  void happened(Node& node, rl::Event event);
  void apply(Node& node, const std::vector<Entry>& entries);
  void bring_snapshot(Node& from, NodeId to, Epoch epoch);
  void check(Node& node);

  std::map<NodeId, std::unique_ptr<Node>> nodes_;
  std::vector<std::pair<NodeId, NodeId>> cut_;
  std::deque<std::function<void()>> later_;  // host work that must not run within a step
  std::vector<Entry> committed_;             // by anyone
  std::map<Epoch, NodeId> leaders_;
};

}  // namespace quorate::raft::test
