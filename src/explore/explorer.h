// Breadth first over all worlds within the bounds, so that the first violation has a shortest trace.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "explore/catalog.h"

namespace quorate::explore {

template <class S>
class Explorer {
 public:
  explicit Explorer(const Bounds& bounds) : bounds_(bounds), catalog_(bounds) {}

  Report run() {
    World first;
    for (std::uint64_t i = 1; i <= bounds_.nodes; ++i) {
      std::vector<std::uint32_t> sent;
      first.nodes.push_back(catalog_.begin(NodeId(i), sent));
      insert(first.messages, sent);
    }
    seen_.insert(fingerprint(first));
    steps_.push_back({});
    frontier_.push_back(std::move(first));
    while (!frontier_.empty() && !done()) next_level();
    report_.states = seen_.size();
    report_.node_states = catalog_.nodes();
    return std::move(report_);
  }

 private:
  using Numbers = std::vector<std::uint32_t>;
  struct World {
    Numbers nodes;
    Numbers messages;  // sorted: a set
    Numbers facts;     // in the order they came up; one a key
    std::uint32_t step = 0;
    std::uint8_t commands = 0;
    std::uint8_t crashes = 0;
    std::uint8_t timers = 0;
  };
  struct Step {  // how a state was first reached
    std::uint32_t parent = 0;
    Action action;
  };

  [[nodiscard]] bool done() const { return report_.violation || !report_.stopped.empty(); }

  void next_level() {
    if (bounds_.max_depth != 0 && report_.depth >= bounds_.max_depth) {
      report_.stopped = "max-depth";
      return;
    }
    next_.clear();
    for (const World& world : frontier_) {
      expand(world);
      if (done()) break;
    }
    frontier_.swap(next_);
    if (!frontier_.empty()) ++report_.depth;
  }

  void expand(const World& world) {
    for (std::uint8_t i = 0; i < world.nodes.size() && !done(); ++i) {
      const auto& local = catalog_.node(world.nodes[i]).local;
      if (local.writes()) follow(world, {Kind::sync, i, 0});
      if (world.commands < bounds_.commands) follow(world, {Kind::propose, i, world.commands});
      if (world.crashes < bounds_.crashes) follow(world, {Kind::crash, i, 0});
      if (world.timers == bounds_.timers) continue;
      for (const auto& [timer, at] : local.timers())
        follow(world, {Kind::fire, i, static_cast<std::uint32_t>(timer.value)});
    }
    for (const std::uint32_t id : world.messages) {
      if (done()) return;
      follow(world, {Kind::deliver, static_cast<std::uint8_t>(catalog_.packet(id).to.value - 1), id});
    }
  }

  void follow(const World& from, const Action& action) {
    if (done()) return;
    const auto& outcome = catalog_.act(from.nodes[action.node], action);
    ++report_.transitions;
    if (!catalog_.node(outcome.node).within) {
      ++report_.beyond;
      return;
    }
    const bool changed = outcome.node != from.nodes[action.node];
    // Refused, or heard before: the same world with less left to happen.
    if (!changed && outcome.sent.empty() && (action.kind != Kind::deliver || bounds_.duplicates)) return;
    World world = from;
    if (action.kind == Kind::propose) ++world.commands;
    if (action.kind == Kind::crash) ++world.crashes;
    if (action.kind == Kind::fire) ++world.timers;
    if (action.kind == Kind::deliver && !bounds_.duplicates)
      world.messages.erase(std::ranges::lower_bound(world.messages, action.what));
    world.nodes[action.node] = outcome.node;
    insert(world.messages, outcome.sent);
    auto broken = changed ? judge(world, action.node) : std::nullopt;
    if (!seen_.insert(fingerprint(world)) && !broken) return;
    world.step = static_cast<std::uint32_t>(steps_.size());
    steps_.push_back({from.step, action});
    if (broken) {
      ++report_.depth;
      report_.violation = Violation{std::move(*broken), trace(world.step)};
      return;
    }
    if (seen_.size() >= bounds_.max_states) report_.stopped = "max-states";
    next_.push_back(std::move(world));
  }

  // What the changed node asserts, against what was ever asserted, and against the other nodes.
  std::optional<std::string> judge(World& world, std::uint8_t changed) {
    const auto& node = catalog_.node(world.nodes[changed]);
    if (node.broken) return node.broken;
    for (const std::uint32_t id : node.facts) {
      const Fact& fact = catalog_.fact(id);
      const auto same = std::ranges::find_if(
          world.facts, [&](std::uint32_t old) { return catalog_.fact(old).key == fact.key; });
      if (same == world.facts.end()) {
        world.facts.push_back(id);
      } else if (!catalog_.fact(*same).agrees(fact)) {
        return catalog_.fact(*same).text() + ", and then " + fact.text();
      }
    }
    const auto& protocol = node.local.protocol();
    for (const std::uint32_t id : world.facts) {
      if (auto broken = S::contradicts(protocol, catalog_.fact(id))) return broken;
    }
    for (std::size_t i = 0; i < world.nodes.size(); ++i) {
      if (i == changed) continue;
      if (auto broken = S::differ(protocol, catalog_.node(world.nodes[i]).local.protocol())) return broken;
    }
    return std::nullopt;
  }

  // The least over all renamings of the nodes: worlds that are the same but for names are one.
  Hash fingerprint(const World& world) const {
    Hash least{~std::uint64_t{0}, ~std::uint64_t{0}};
    for (std::size_t way = 0; way < catalog_.renamings(); ++way) {
      Hash sum{world.commands + 256ULL * world.crashes + 65536ULL * world.timers, 0};
      for (const auto id : world.nodes) sum += catalog_.node_hash(id, way);
      for (const auto id : world.messages) sum += catalog_.packet_hash(id, way);
      for (const auto id : world.facts) sum += catalog_.fact_hash(id, way);
      least = std::min(least, sum);
    }
    return least;
  }

  static void insert(Numbers& messages, const Numbers& sent) {
    for (const std::uint32_t id : sent) {
      const auto at = std::ranges::lower_bound(messages, id);
      if (at == messages.end() || *at != id) messages.insert(at, id);
    }
  }

  std::vector<std::string> trace(std::uint32_t step) const {
    std::vector<std::string> lines;
    for (; step != 0; step = steps_[step].parent) lines.push_back(line(steps_[step].action));
    std::ranges::reverse(lines);
    return lines;
  }

  std::string line(const Action& action) const {
    const std::string node = "node " + std::to_string(action.node + 1);
    switch (action.kind) {
      case Kind::deliver: {
        const auto& packet = catalog_.packet(action.what);
        return node + " hears from " + to_string(packet.from) + ": " + codec::to_json(packet.message);
      }
      case Kind::sync: return node + ": its oldest write is durable";
      case Kind::crash: return node + " crashes and restarts";
      case Kind::fire: return node + ": timer " + std::to_string(action.what) + " fires";
      case Kind::propose: return node + " is asked to propose v" + std::to_string(action.what);
    }
    return node;
  }

  Bounds bounds_;
  Catalog<S> catalog_;
  HashSet seen_;
  std::vector<Step> steps_;
  std::vector<World> frontier_;
  std::vector<World> next_;
  Report report_;
};

}  // namespace quorate::explore
