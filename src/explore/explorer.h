// Breadth first over all worlds within the bounds, so that the first violation has a shortest trace.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "explore/catalog.h"

namespace quorate::explore {

// For at most N nodes: what a world takes of memory is mostly their numbers.
template <class S, std::size_t N = 3>
class Explorer {
 public:
  static constexpr std::size_t most_nodes = N;
  explicit Explorer(const Bounds& bounds)
      : bounds_(bounds), nodes_(static_cast<std::uint8_t>(bounds.nodes)), catalog_(bounds) {}

  Report run() {
    World first;
    for (std::size_t i = 0; i < bounds_.nodes; ++i) {
      Numbers sent;
      first.nodes[i] = catalog_.begin(NodeId(i + 1), sent);
      first.flights[i] = catalog_.add_flight(sent);
    }
    first.known = catalog_.add_known({});
    seen_.insert(fingerprint(first));
    steps_.push_back({});
    frontier_.push_back(first);
    while (!frontier_.empty() && !done()) next_level();
    report_.bounds = bounds_;
    report_.states = seen_.size();
    report_.node_states = catalog_.nodes();
    report_.bytes = seen_.bytes() + steps_.capacity() * sizeof(Step) +
                    (frontier_.capacity() + next_.capacity()) * sizeof(World) + joins_.bytes() +
                    catalog_.outcomes().bytes();
    return std::move(report_);
  }

  [[nodiscard]] Catalog<S>& catalog() { return catalog_; }

 private:
  static constexpr std::uint32_t violated = 1U << 31U;
  using Numbers = std::vector<std::uint32_t>;

  struct World {
    std::array<std::uint32_t, most_nodes> nodes{};
    std::array<std::uint32_t, most_nodes> flights{};  // what each has sent and may still be delivered
    std::uint32_t known = 0;                          // facts
    std::uint32_t timers : 8 = 0;                     // how many have fired
    std::uint32_t commands : 4 = 0;
    std::uint32_t crashes : 4 = 0;
    std::uint32_t heartbeats : 4 = 0;
    std::uint32_t reads : 4 = 0;
    std::uint32_t changes : 4 = 0;
    std::uint32_t catch_ups : 4 = 0;
    std::uint8_t transfers = 0;
    std::uint8_t snapshots = 0;
    std::uint8_t ticks = 0;
    std::uint8_t damages = 0;
  };
  struct Step {  // how a state was first reached
    std::uint32_t parent = 0;
    std::uint32_t action = 0;
  };

  [[nodiscard]] bool done() const { return report_.violation || !report_.stopped.empty(); }

  void next_level() {
    if (bounds_.max_depth != 0 && report_.depth >= bounds_.max_depth) {
      report_.stopped = "max-depth";
      return;
    }
    next_.clear();
    parent_ = static_cast<std::uint32_t>(steps_.size() - frontier_.size());
    for (const World& world : frontier_) {
      expand(world);
      if (done()) break;
      ++parent_;
    }
    frontier_.swap(next_);
    if (!frontier_.empty() && !report_.violation) ++report_.depth;
  }

  void expand(const World& world) {
    if (world.ticks < bounds_.ticks) let_time_pass(world);
    for (std::uint8_t i = 0; i < nodes_; ++i) {
      const auto& local = catalog_.node(world.nodes[i]).local;
      if (local.writes()) follow(world, {Kind::persist, i, Action::whole_step, 0});
      if (world.crashes < bounds_.crashes) follow(world, {Kind::crash, i, Action::whole_step, 0});
      if (world.commands < bounds_.commands) try_all(world, {Kind::propose, i, 0, world.commands});
      if (world.reads < bounds_.reads && reads(i)) try_all(world, {Kind::read, i, 0, highest_known(world)});
      if (world.changes == 0 && !bounds_.change.empty()) try_all(world, {Kind::change, i, 0, 0});
      if (world.snapshots < bounds_.snapshots) try_all(world, {Kind::snapshot, i, 0, 0});
      if (world.damages < bounds_.damages) try_all(world, {Kind::damage, i, 0, 0});
      if (world.transfers < bounds_.transfers) {
        for (std::uint32_t to = 1; to <= bounds_.nodes; ++to) {
          if (to != i + 1U) try_all(world, {Kind::transfer, i, 0, to});
        }
      }
      if (world.catch_ups < bounds_.catch_ups && S::fires(local.protocol(), S::campaign_timer)) {
        for (std::uint32_t by = 1; by <= bounds_.nodes; ++by) {
          if (by != i + 1U) try_all(world, {Kind::refuse, i, 0, by});
        }
      }
      for (const auto& [timer, at] : local.timers()) {
        const bool heartbeat = S::heartbeat(timer);
        const auto used = heartbeat ? world.heartbeats : world.timers;
        const auto limit = heartbeat ? bounds_.heartbeats : bounds_.timers;
        if (used < limit && S::fires(local.protocol(), timer) && local.due(timer))
          try_all(world, {Kind::fire, i, 0, static_cast<std::uint32_t>(timer.value)});
      }
      for (const std::uint32_t id : catalog_.flight(world.flights[i]))
        try_all(world, {Kind::deliver, catalog_.receiver(id), 0, id});
    }
  }

  [[nodiscard]] bool reads(std::uint8_t node) const {
    return bounds_.readers.empty() || std::ranges::count(bounds_.readers, node + 1U) != 0;
  }

  // The step, and all crashes within it.
  void try_all(const World& world, Action action) {
    action.cut = Action::whole_step;
    follow(world, action);
    if (world.crashes == bounds_.crashes) return;
    for (action.cut = 0; action.cut < Action::whole_step && follow(world, action);) ++action.cut;
  }

  // For all nodes alike.
  void let_time_pass(const World& from) {
    const Action pass{Kind::pass, 0, Action::whole_step, 0};
    World world = from;
    ++world.ticks;
    for (std::uint8_t i = 0; i < nodes_; ++i) {
      const std::uint32_t later = catalog_.act(from.nodes[i], {Kind::pass, i, Action::whole_step, 0}).node;
      if (later != Catalog<S>::impossible) world.nodes[i] = later;  // else nothing in it tells the time
    }
    ++report_.transitions;
    if (seen_.insert(fingerprint(world))) add(world, pass);
  }

  void add(const World& world, const Action& action) {
    steps_.push_back({parent_, action.packed()});
    if (seen_.size() >= bounds_.max_states) report_.stopped = "max-states";
    next_.push_back(world);
  }

  // False if nothing can come of it.
  bool follow(const World& from, const Action& action) {
    if (done()) return false;
    const auto& outcome = catalog_.act(from.nodes[action.node], action);
    if (outcome.node == Catalog<S>::impossible) return false;
    ++report_.transitions;
    if (!catalog_.within(outcome.node)) {
      ++report_.beyond;
      return true;
    }
    World world = from;
    count(world, action);
    const bool changed = outcome.node != from.nodes[action.node];
    world.nodes[action.node] = outcome.node;
    update_flights(world, action.node, outcome.sent,
                   world.crashes != from.crashes && world.crashes == bounds_.crashes);
    auto broken = changed ? assert_facts(world, action.node) : std::nullopt;
    if (!seen_.insert(fingerprint(world)) && !broken) return true;
    if (!broken && changed) broken = compare(world, action.node);
    if (broken) {
      steps_.push_back({parent_, action.packed()});
      ++report_.depth;
      report_.violation = Violation{std::move(*broken), trace(static_cast<std::uint32_t>(steps_.size() - 1))};
      return true;
    }
    add(world, action);
    return true;
  }

  void count(World& world, const Action& action) const {
    const bool crashed = action.kind == Kind::crash || action.cut != Action::whole_step;
    if (crashed) ++world.crashes;
    if (action.kind == Kind::propose) ++world.commands;
    if (action.kind == Kind::read) ++world.reads;
    if (action.kind == Kind::change) ++world.changes;
    if (action.kind == Kind::refuse) ++world.catch_ups;
    if (action.kind == Kind::transfer) ++world.transfers;
    if (action.kind == Kind::snapshot) ++world.snapshots;
    if (action.kind == Kind::damage) ++world.damages;
    if (action.kind != Kind::fire) return;
    if (S::heartbeat(TimerId(action.what))) {
      if (bounds_.heartbeats != Bounds::any) ++world.heartbeats;
    } else if (bounds_.timers != Bounds::any) {
      ++world.timers;
    }
  }

  // Adds what `changed` sent, and takes away what can have no effect any more.
  void update_flights(World& world, std::uint8_t changed, const Numbers& sent, bool last_crash) {
    for (std::uint8_t i = 0; i < nodes_; ++i) {
      const Numbers* now = &catalog_.flight(world.flights[i]);
      if (i == changed && !sent.empty()) {
        scratch_.clear();
        std::ranges::set_union(*now, sent, std::back_inserter(scratch_));
        now = &scratch_;
      }
      const auto gone = [&](std::uint32_t id) {
        const std::uint8_t to = catalog_.receiver(id);
        if (i != changed && to != changed && !last_crash) return false;
        return S::dead({bounds_, catalog_.note(id), i, world.crashes < bounds_.crashes},
                       S::as_sender(catalog_.glance(world.nodes[i])), catalog_.glance(world.nodes[to]));
      };
      if (now == &scratch_ || std::ranges::any_of(*now, gone)) {
        if (now != &scratch_) scratch_ = *now;
        std::erase_if(scratch_, gone);
        world.flights[i] = catalog_.add_flight(scratch_);
      }
    }
  }

  [[nodiscard]] std::uint32_t highest_known(const World& world) const {
    Index highest;
    for (const auto id : catalog_.known(world.known)) highest = std::max(highest, catalog_.fact(id).index);
    return static_cast<std::uint32_t>(highest.value);
  }

  // What the changed node asserts, against what was ever asserted; what all assert, against what is new.
  std::optional<std::string> assert_facts(World& world, std::uint8_t changed) {
    const std::uint32_t before = world.known;
    if (auto broken = assert_facts(world, world.nodes[changed])) return broken;
    if (world.known == before) return std::nullopt;
    for (std::uint8_t i = 0; i < nodes_; ++i) {
      if (auto broken = assert_facts(world, world.nodes[i])) return broken;
    }
    return std::nullopt;
  }

  std::optional<std::string> assert_facts(World& world, std::uint32_t node) {
    const std::uint64_t key = (std::uint64_t{world.known} << 32U) | node;
    auto joined = joins_.find(key);
    if (!joined) {
      joined = join(world.known, node);
      joins_.add(key, *joined);
    }
    if (*joined >= violated) return violations_[*joined - violated];
    world.known = *joined;
    return std::nullopt;
  }

  std::uint32_t join(std::uint32_t known, std::uint32_t id) {
    const auto& node = catalog_.node(id);
    const auto broken = [&](std::string what) {
      violations_.push_back(std::move(what));
      return violated + static_cast<std::uint32_t>(violations_.size() - 1);
    };
    if (node.broken) return broken(*node.broken);
    Numbers facts = catalog_.known(known);
    for (const std::uint32_t added : node.facts) {
      const Fact& fact = catalog_.fact(added);
      const auto same =
          std::ranges::find_if(facts, [&](std::uint32_t old) { return catalog_.fact(old).key == fact.key; });
      if (same == facts.end()) {
        facts.push_back(added);
      } else if (!catalog_.fact(*same).agrees(fact)) {
        return broken(catalog_.fact(*same).text() + ", and then " + fact.text());
      }
    }
    for (const std::uint32_t fact : facts) {
      if (auto what = S::contradicts(node.local.protocol(), catalog_.fact(fact), node.local.time()))
        return broken(*what);
    }
    return catalog_.add_known(std::move(facts));
  }

  std::optional<std::string> compare(const World& world, std::uint8_t changed) {
    const auto& one = catalog_.node(world.nodes[changed]);
    for (std::uint8_t i = 0; i < nodes_; ++i) {
      if (i == changed) continue;
      const auto& other = catalog_.node(world.nodes[i]);
      const std::uint64_t pair = (std::uint64_t{one.shape} << 32U) | other.shape;
      if (compared_.find(pair)) continue;
      if (auto broken = S::differ(one.local.protocol(), other.local.protocol())) return broken;
      compared_.add(pair, 0);
    }
    return std::nullopt;
  }

  // The least over all renamings of the nodes: worlds that are the same but for names are one.
  Hash fingerprint(const World& world) const {
    Hash least{~std::uint64_t{0}, ~std::uint64_t{0}};
    const std::uint64_t counts = world.commands + 16ULL * world.crashes + 256ULL * world.reads +
                                 4096ULL * world.changes + 65536ULL * world.timers +
                                 (1ULL << 24U) * world.heartbeats + (1ULL << 28U) * world.catch_ups +
                                 (1ULL << 32U) * world.transfers + (1ULL << 40U) * world.snapshots +
                                 (1ULL << 48U) * world.ticks + (1ULL << 56U) * world.damages;
    for (std::size_t way = 0; way < catalog_.renamings(); ++way) {
      Hash sum{counts, 0};
      for (std::size_t i = 0; i < bounds_.nodes; ++i) {
        sum += catalog_.node_hashes(world.nodes[i])[way];
        sum += catalog_.flight_hashes(world.flights[i])[way];
      }
      sum += catalog_.known_hashes(world.known)[way];
      least = std::min(least, sum);
    }
    return least;
  }

  std::vector<std::string> trace(std::uint32_t step) const {
    std::vector<std::string> lines;
    for (; step != 0; step = steps_[step].parent)
      lines.push_back(line(Action::unpacked(steps_[step].action)));
    std::ranges::reverse(lines);
    return lines;
  }

  std::string line(const Action& action) const {
    if (action.kind == Kind::pass) return "time passes";
    std::string text = "node " + std::to_string(action.node + 1);
    switch (action.kind) {
      case Kind::deliver: {
        const auto& packet = catalog_.packet(action.what);
        text += " hears from " + to_string(packet.from) + ": " + codec::to_json(packet.message);
        break;
      }
      case Kind::persist: text += ": its oldest write is durable"; break;
      case Kind::crash: text += " crashes and restarts"; break;
      case Kind::fire: text += ": " + S::timer_name(TimerId(action.what)) + " fires"; break;
      case Kind::propose: text += " is asked to propose v" + std::to_string(action.what); break;
      case Kind::read: text += " is asked for a read, to see index " + std::to_string(action.what); break;
      case Kind::refuse:
        text +=
            " campaigns in vain, and node " + std::to_string(action.what) + " tells it that its log is ahead";
        break;
      case Kind::change: text += " is asked to change the membership"; break;
      case Kind::transfer: text += " is asked to let node " + std::to_string(action.what) + " lead"; break;
      case Kind::snapshot: text += " may cut its log behind its state"; break;
      case Kind::damage: text += " finds its log damaged, and starts without it"; break;
      case Kind::pass: break;
    }
    if (action.cut != Action::whole_step) {
      text += action.cut == 0 ? "; it crashes before anything of this is durable, and restarts"
                              : "; it crashes when " + std::to_string(action.cut) +
                                    " of the writes are durable, and restarts";
    }
    return text;
  }

  Bounds bounds_;
  std::uint8_t nodes_;
  Catalog<S> catalog_;
  HashSet seen_;
  std::vector<Step> steps_;
  std::vector<World> frontier_;
  std::vector<World> next_;
  std::uint32_t parent_ = 0;  // of the worlds that are found
  Numbers scratch_;
  NumberMap joins_;
  NumberMap compared_;
  std::vector<std::string> violations_;
  Report report_;
};

}  // namespace quorate::explore
