// A cluster of every protocol of the registry under a schedule chosen byte by byte: which message is
// delivered, lost or repeated, damaged in transit, when a disk is done, who crashes. Unlike in the simulator
// nothing is random: coverage drives the search for the schedule.
#include <map>

#include "choices.h"
#include "core/codec.h"
#include "fuzz.h"
#include "one_node.h"
#include "registry/registry.h"

namespace quorate::fuzz {
namespace {

namespace rl = replicated_log;

struct Packet {
  NodeId from;
  NodeId to;
  Bytes message;
};

class Cluster {
 public:
  Cluster(const registry::Descriptor& protocol, std::size_t nodes, std::uint64_t seed)
      : protocol_(&protocol), rng_(seed) {
    for (std::uint64_t id = 1; id <= nodes; ++id) initial_.members.push_back({NodeId(id), Role::voter, {}});
    for (const auto& member : initial_.members) start(nodes_[member.id], member.id);
  }

  void run(Choices& choices) {
    for (int steps = 0; steps < 400 && !choices.empty(); ++steps) {
      const auto action = choices.byte();
      const auto detail = choices.byte();
      Node& node = nodes_.at(NodeId(1 + detail % nodes_.size()));
      switch (action % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5: deliver(detail, false); break;
        case 6: deliver(detail, true); break;
        case 7: lose(detail); break;
        case 8: garble(detail, choices); break;
        case 9:
        case 10: fire(); break;
        case 11: sync(node); break;
        case 12: settle(); break;
        case 13: node.protocol ? crash(node) : start(node, NodeId(1 + detail % nodes_.size())); break;
        case 14: ask(node, rl::Propose{++requests_, {Bytes::copy(choices.text(8))}}); break;
        default: ask(node, rl::ReadBarrier{++requests_, rl::ReadMode::quorum}); break;
      }
    }
  }

 private:
  struct Node {
    NodeId id;
    std::unique_ptr<rl::Protocol> protocol;
    Recovered disk;
    std::deque<Persist> unsynced;
    std::vector<Effect<Bytes, rl::Event>> gated;
    std::map<TimerId, Instant> timers;
    Index applied;
  };

  void start(Node& node, NodeId id) {
    node.id = id;
    rl::Settings settings;
    settings.self = id;
    settings.initial = initial_;
    node.protocol = protocol_->make(settings, node.disk);
    node.applied = node.disk.snapshot ? node.disk.snapshot->index : Index();
    Env env{now_, rng_};
    node.protocol->start(env);
    perform(node);
  }
  void crash(Node& node) {
    node.protocol.reset();
    node.unsynced.clear();
    node.gated.clear();
    node.timers.clear();
  }
  void step(Node& node, rl::Protocol::In input) {
    if (!node.protocol) return;
    Env env{now_, rng_};
    node.protocol->step(env, std::move(input));
    perform(node);
  }
  void perform(Node& node) {
    for (auto& effect : node.protocol->take()) handle(node, std::move(effect));
    const auto broken = node.protocol->check_invariants();
    require(!broken, broken.value_or(""));
  }
  void handle(Node& node, Effect<Bytes, rl::Event> effect) {
    const auto waits = [&](Ticket after) {
      return !node.unsynced.empty() && after >= node.unsynced.front().ticket;
    };
    if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
      if (waits(send->after)) return node.gated.push_back(std::move(effect));
      if (wire_.size() < 256) wire_.push_back({node.id, send->to, std::move(send->message)});
    } else if (auto* persist = std::get_if<Persist>(&effect)) {
      node.unsynced.push_back(std::move(*persist));
    } else if (auto* set = std::get_if<SetTimer>(&effect)) {
      node.timers[set->id] = set->at;
    } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
      node.timers.erase(cancel->id);
    } else if (auto* emit = std::get_if<Emit<rl::Event>>(&effect)) {
      if (waits(emit->after)) return node.gated.push_back(std::move(effect));
      happened(node, emit->event);
    }
  }
  void happened(Node& node, const rl::Event& event) {
    if (const auto* committed = std::get_if<rl::Committed>(&event)) {
      for (const auto& entry : committed->entries) {
        require(entry.index == node.applied.next(), "committed out of order");
        node.applied = entry.index;
        const auto [known, fresh] = decided_.try_emplace(entry.index, entry);
        require(fresh || known->second == entry, "two nodes committed different entries at one index");
      }
    } else if (const auto* leads = std::get_if<rl::LeaderChanged>(&event);
               leads != nullptr && leads->leader == node.id && protocol_->name == "raft") {
      const auto [known, fresh] = leaders_.try_emplace(leads->epoch, node.id);
      require(fresh || known->second == node.id, "two leaders in one term");
    } else if (const auto* halt = std::get_if<rl::Halt>(&event)) {
      require(false, "halted among honest nodes: " + halt->reason);
    }
  }
  void deliver(std::uint8_t which, bool keep) {
    if (wire_.empty()) return;
    const auto at = wire_.begin() + static_cast<std::ptrdiff_t>(which % wire_.size());
    Packet packet = *at;
    if (!keep) wire_.erase(at);
    if (const auto to = nodes_.find(packet.to); to != nodes_.end())
      step(to->second, Receive<Bytes>{packet.from, std::move(packet.message)});
  }
  void lose(std::uint8_t which) {
    if (!wire_.empty()) wire_.erase(wire_.begin() + static_cast<std::ptrdiff_t>(which % wire_.size()));
  }
  // Cut short: the frame's checksum catches any other damage before a protocol sees it.
  void garble(std::uint8_t which, Choices& choices) {
    if (wire_.empty()) return;
    const Packet& packet = wire_[which % wire_.size()];
    const Bytes part = packet.message.slice(0, choices.below(1 + packet.message.size()));
    if (part.size() == packet.message.size()) return;
    if (const auto to = nodes_.find(packet.to); to != nodes_.end())
      step(to->second, Receive<Bytes>{packet.from, part});
  }
  void fire() {
    Node* next = nullptr;
    TimerId timer;
    for (auto& [id, node] : nodes_) {
      for (const auto& [candidate, at] : node.timers) {
        if (next == nullptr || at < next->timers.at(timer)) {
          next = &node;
          timer = candidate;
        }
      }
    }
    if (next == nullptr) return;
    now_ = std::max(now_, next->timers.at(timer));
    next->timers.erase(timer);
    step(*next, TimerFired{timer});
  }
  void sync(Node& node) {
    if (!node.protocol || node.unsynced.empty()) return;
    const Persist oldest = std::move(node.unsynced.front());
    node.unsynced.pop_front();
    for (const auto& write : oldest.writes) apply_write(node.disk, write);
    for (auto& effect : std::exchange(node.gated, {})) handle(node, std::move(effect));
    step(node, Persisted{oldest.ticket});
  }
  void settle() {
    for (int i = 0; i < 200; ++i) {
      bool idle = wire_.empty();
      deliver(0, false);
      for (auto& [id, node] : nodes_) {
        idle = idle && node.unsynced.empty();
        sync(node);
      }
      if (idle) return;
    }
  }
  void ask(Node& node, rl::Request request) { step(node, Ask<rl::Request>{std::move(request)}); }

  const registry::Descriptor* protocol_;
  Rng rng_;
  Membership initial_;
  Instant now_{std::chrono::hours(1)};
  std::map<NodeId, Node> nodes_;
  std::deque<Packet> wire_;
  std::map<Index, Entry> decided_;
  std::map<Epoch, NodeId> leaders_;
  std::uint64_t requests_ = 0;
};

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(schedule) {
  using namespace quorate;
  fuzz::Choices choices(input);
  const auto protocols = registry::all();
  const auto& protocol = protocols[choices.below(protocols.size())];
  if (protocol.faults != registry::FaultModel::crash) return;
  const auto nodes = 3 + choices.below(2);
  fuzz::Cluster(protocol, nodes, choices.byte()).run(choices);
}
