// Nodes, messages and facts by number. Worlds differ mostly in how the same few node states combine, so each
// is kept once, and what an input makes of a node is computed once.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "explore/facts.h"
#include "explore/hash.h"
#include "explore/local.h"

namespace quorate::explore {

enum class Kind : std::uint8_t { deliver, sync, crash, fire, propose };

struct Action {
  Kind kind = Kind::sync;
  std::uint8_t node = 0;   // its position
  std::uint32_t what = 0;  // the message, the timer, or the command
};

template <class S>
class Catalog {
 public:
  using Message = typename S::Protocol::Message;
  using Hashes = std::vector<Hash>;  // one for each way to rename the nodes

  struct Node {
    Local<S> local;
    Hashes hashes;
    std::vector<std::uint32_t> facts;
    std::optional<std::string> broken;
    bool within = true;
  };
  struct Outcome {
    std::uint32_t node = 0;
    std::vector<std::uint32_t> sent;
  };

  explicit Catalog(const Bounds& bounds) : bounds_(bounds) {
    std::vector<std::uint64_t> names(bounds.nodes);
    std::iota(names.begin(), names.end(), 1);
    do {
      renamings_.push_back(names);
    } while (S::symmetric && std::ranges::next_permutation(names).found);
  }

  [[nodiscard]] const Node& node(std::uint32_t id) const { return nodes_[id]; }
  [[nodiscard]] const Packet<Message>& packet(std::uint32_t id) const { return packets_[id].packet; }
  [[nodiscard]] const Fact& fact(std::uint32_t id) const { return facts_[id].fact; }
  [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }
  [[nodiscard]] std::size_t renamings() const { return renamings_.size(); }
  [[nodiscard]] const Hash& node_hash(std::uint32_t id, std::size_t way) const {
    return nodes_[id].hashes[way];
  }
  [[nodiscard]] const Hash& packet_hash(std::uint32_t id, std::size_t way) const {
    return packets_[id].hashes[way];
  }
  [[nodiscard]] const Hash& fact_hash(std::uint32_t id, std::size_t way) const {
    return facts_[id].hashes[way];
  }

  // A node as it is once started, its first writes durable.
  std::uint32_t begin(NodeId self, std::vector<std::uint32_t>& sent) {
    Local<S> local(bounds_, self);
    typename Local<S>::Sent packets;
    local.start(packets);
    while (local.writes()) local.sync(packets);
    for (auto& packet : packets) sent.push_back(add(std::move(packet)));
    return add(std::move(local));
  }

  const Outcome& act(std::uint32_t id, const Action& action) {
    const std::uint64_t key = (std::uint64_t{id} << 32U) | (std::uint64_t{action.what} << 3U) |
                              static_cast<std::uint64_t>(action.kind);
    const auto known = outcomes_.find(key);
    if (known != outcomes_.end()) return known->second;
    Local<S> local = nodes_[id].local;
    typename Local<S>::Sent sent;
    switch (action.kind) {
      case Kind::deliver: {
        const auto& packet = packets_[action.what].packet;
        local.receive(packet.from, packet.message, sent);
        break;
      }
      case Kind::sync: local.sync(sent); break;
      case Kind::crash: local.crash(bounds_, sent); break;
      case Kind::fire: local.fire(TimerId(action.what), sent); break;
      case Kind::propose: local.propose(action.what, sent); break;
    }
    Outcome outcome;
    for (auto& packet : sent) outcome.sent.push_back(add(std::move(packet)));
    outcome.node = add(std::move(local));
    return outcomes_.emplace(key, std::move(outcome)).first->second;
  }

 private:
  struct KnownPacket {
    Packet<Message> packet;
    Hashes hashes;
  };
  struct KnownFact {
    Fact fact;
    Hashes hashes;
  };
  using Numbers = std::unordered_map<Hash, std::uint32_t, HashOfHash>;

  template <class Write>  // writes the thing under a renaming
  Hashes hashes(std::uint64_t kind, Write&& write) const {
    Hashes all;
    for (const auto& names : renamings_) all.push_back(hash_of(write(names), kind));
    return all;
  }

  std::uint32_t add(Local<S> local) {
    auto all = hashes(1, [&](const auto& names) { return local.canonical(names); });
    const auto [at, fresh] =
        node_numbers_.try_emplace(all.front(), static_cast<std::uint32_t>(nodes_.size()));
    if (!fresh) return at->second;
    Node node{std::move(local), std::move(all), {}, {}, true};
    for (Fact& fact : S::facts(node.local.protocol())) node.facts.push_back(add(std::move(fact)));
    node.broken = node.local.broken();
    node.within = S::within(bounds_, node.local.protocol());
    nodes_.push_back(std::move(node));
    return at->second;
  }

  std::uint32_t add(Packet<Message> packet) {
    auto all = hashes(2, [&](const auto& names) {
      Canonical to({}, names);
      to.node(packet.from);
      to.node(packet.to);
      to.encoded(packet.message);
      return to.text();
    });
    const auto [at, fresh] =
        packet_numbers_.try_emplace(all.front(), static_cast<std::uint32_t>(packets_.size()));
    if (fresh) packets_.push_back({std::move(packet), std::move(all)});
    return at->second;
  }

  std::uint32_t add(Fact fact) {
    auto all = hashes(3, [&](const auto& names) {
      Canonical to({}, names);
      to.bytes(fact.key);
      to.bytes(fact.value);
      to.node(fact.node);
      to.add(fact.epoch);
      return to.text();
    });
    const auto [at, fresh] =
        fact_numbers_.try_emplace(all.front(), static_cast<std::uint32_t>(facts_.size()));
    if (fresh) facts_.push_back({std::move(fact), std::move(all)});
    return at->second;
  }

  Bounds bounds_;
  std::vector<std::vector<std::uint64_t>> renamings_;  // the first renames nothing
  std::deque<Node> nodes_;
  std::deque<KnownPacket> packets_;
  std::deque<KnownFact> facts_;
  Numbers node_numbers_;
  Numbers packet_numbers_;
  Numbers fact_numbers_;
  std::unordered_map<std::uint64_t, Outcome> outcomes_;
};

}  // namespace quorate::explore
