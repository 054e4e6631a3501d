// Nodes, messages, what is in flight of one sender, and facts, by number. Worlds differ mostly in how the
// same few of these combine, so each is kept once, and what an action makes of a node is computed once.
#pragma once

#include <deque>
#include <numeric>
#include <unordered_map>

#include "explore/facts.h"
#include "explore/local.h"
#include "explore/tables.h"

namespace quorate::explore {

enum class Kind : std::uint8_t {
  deliver,
  persist,
  crash,
  fire,
  propose,
  read,
  change,
  refuse,
  transfer,
  snapshot,
  damage,
  pass  // of all nodes: time passes
};

struct Action {
  Kind kind = Kind::persist;
  std::uint8_t node = 0;          // its position
  std::uint8_t cut = whole_step;  // else: it crashes when so many of the writes of this step are durable
  // The message, the timer, the command, the index a read must see, who refuses, or who is to lead.
  std::uint32_t what = 0;

  static constexpr std::uint8_t whole_step = 15;
  [[nodiscard]] std::uint32_t packed() const {
    return static_cast<std::uint32_t>(kind) | (std::uint32_t{node} << 4U) | (std::uint32_t{cut} << 7U) |
           (what << 11U);
  }
  static Action unpacked(std::uint32_t p) {
    return {static_cast<Kind>(p & 15U), static_cast<std::uint8_t>((p >> 4U) & 7U),
            static_cast<std::uint8_t>((p >> 7U) & 15U), p >> 11U};
  }
};

template <class S>
class Catalog {
 public:
  using Message = typename S::Message;
  using Numbers = std::vector<std::uint32_t>;
  using Hashes = std::vector<Hash>;  // one for each way to rename the nodes
  using Glance = typename S::Glance;
  using Note = typename S::Note;

  static constexpr std::uint32_t impossible = ~0U;  // there is no such crash

  struct Node {
    Local<S> local;
    Numbers facts;
    std::optional<std::string> broken;
    std::uint32_t shape = 0;  // what of it is compared with other nodes
  };
  struct Outcome {
    std::uint32_t node = 0;
    Numbers sent;  // sorted
  };
  struct Flight {  // messages of one sender, sorted
    Numbers messages;
  };
  struct Known {  // facts, in the order they came up; one a key
    Numbers facts;
  };

  explicit Catalog(const Bounds& bounds) : bounds_(bounds) {
    std::vector<std::uint64_t> names(bounds.nodes);
    std::iota(names.begin(), names.end(), 1);
    const bool alike = S::symmetric && bounds.candidates.empty() && bounds.readers.empty() &&
                       bounds.voters.empty() && bounds.change.empty();
    do {
      renamings_.push_back(names);
    } while (alike && std::ranges::next_permutation(names).found);
  }
  Catalog(const Catalog&) = delete;  // locals refer to the bounds
  Catalog& operator=(const Catalog&) = delete;

  [[nodiscard]] const Node& node(std::uint32_t id) const { return nodes_.things[id]; }
  [[nodiscard]] bool within(std::uint32_t id) const { return within_[id]; }
  [[nodiscard]] const Glance& glance(std::uint32_t id) const { return glances_[id]; }
  [[nodiscard]] const Packet<Message>& packet(std::uint32_t id) const { return packets_.things[id]; }
  [[nodiscard]] std::uint8_t receiver(std::uint32_t id) const { return receivers_[id]; }
  [[nodiscard]] const Note& note(std::uint32_t id) const { return notes_[id]; }
  [[nodiscard]] const Numbers& flight(std::uint32_t id) const { return flights_.things[id].messages; }
  [[nodiscard]] const Fact& fact(std::uint32_t id) const { return facts_.things[id]; }
  [[nodiscard]] const Numbers& known(std::uint32_t id) const { return known_.things[id].facts; }
  [[nodiscard]] std::size_t nodes() const { return nodes_.things.size(); }
  [[nodiscard]] std::size_t packets() const { return packets_.things.size(); }
  [[nodiscard]] std::size_t renamings() const { return renamings_.size(); }
  [[nodiscard]] const Hash* node_hashes(std::uint32_t id) const { return nodes_.of(id, renamings()); }
  [[nodiscard]] const Hash* flight_hashes(std::uint32_t id) const { return flights_.of(id, renamings()); }
  [[nodiscard]] const Hash* known_hashes(std::uint32_t id) const { return known_.of(id, renamings()); }

  // A node as it is once started, its first writes durable.
  std::uint32_t begin(NodeId self, Numbers& sent) {
    Local<S> local(bounds_, self);
    typename Local<S>::Sent packets;
    local.start(packets);
    for (auto& packet : packets) sent.push_back(add(std::move(packet)));
    std::ranges::sort(sent);
    return add(std::move(local));
  }

  // The node `impossible`: nothing comes of it. Otherwise valid until the next call.
  const Outcome& act(std::uint32_t id, const Action& action) {
    const std::uint64_t key = (std::uint64_t{id} << 32U) | action.packed();
    if (const auto known = outcome_of_.find(key)) return outcomes_[*known];
    Outcome outcome = compute(id, action);
    std::uint32_t number = 0;  // the first is that nothing is sent, nothing changes, or it is impossible
    if (outcome.node == impossible) {
      number = 0;
    } else {
      number = static_cast<std::uint32_t>(outcomes_.size());
      outcomes_.push_back(std::move(outcome));
    }
    outcome_of_.add(key, number);
    return outcomes_[number];
  }

  std::uint32_t add_flight(Numbers messages) {
    return flights_.add_sum(messages, packets_, renamings(), [&] { return Flight{messages}; });
  }
  std::uint32_t add_known(Numbers facts) {
    return known_.add_sum(facts, facts_, renamings(), [&] { return Known{facts}; });
  }

  [[nodiscard]] const NumberMap& outcomes() const { return outcome_of_; }
  [[nodiscard]] const Outcome& outcome(std::uint32_t number) const { return outcomes_[number]; }

 private:
  template <class T>
  struct Table {  // things by number, with their hashes
    std::deque<T> things;
    std::vector<Hash> hashes;
    std::unordered_map<Hash, std::uint32_t, HashOfHash> numbers;

    [[nodiscard]] const Hash* of(std::uint32_t id, std::size_t ways) const { return &hashes[id * ways]; }
    std::optional<std::uint32_t> find(const Hash& hash) const {
      const auto at = numbers.find(hash);
      return at == numbers.end() ? std::nullopt : std::optional(at->second);
    }
    std::uint32_t add(T thing, const Hashes& all) {
      const auto id = static_cast<std::uint32_t>(things.size());
      numbers.emplace(all.front(), id);
      hashes.insert(hashes.end(), all.begin(), all.end());
      things.push_back(std::move(thing));
      return id;
    }
    // A set, whose hashes are the sums of those of its elements.
    template <class E, class Make>
    std::uint32_t add_sum(const Numbers& set, const Table<E>& elements, std::size_t ways, Make&& make) {
      Hash first;
      for (const auto id : set) first += *elements.of(id, ways);
      if (const auto known = find(first)) return *known;
      Hashes all(ways);
      for (const auto id : set) {
        for (std::size_t way = 0; way < ways; ++way) all[way] += elements.of(id, ways)[way];
      }
      return add(make(), all);
    }
  };

  Outcome compute(std::uint32_t id, const Action& action) {
    Local<S> local = nodes_.things[id].local;
    typename Local<S>::Sent sent;
    switch (action.kind) {
      case Kind::deliver: {
        const auto& packet = packets_.things[action.what];
        local.receive(packet.from, packet.message, sent);
        break;
      }
      case Kind::persist: local.persist(sent); break;
      case Kind::crash: local.crash(sent); break;
      case Kind::fire: local.fire(TimerId(action.what), sent); break;
      case Kind::propose: local.ask(S::propose(action.what), sent); break;
      case Kind::read: local.ask(S::read(bounds_, action.what), sent); break;
      case Kind::refuse: local.be_refused(NodeId(action.what), sent); break;
      case Kind::change: local.ask(S::change(bounds_), sent); break;
      case Kind::transfer: local.ask(S::transfer(NodeId(action.what)), sent); break;
      case Kind::snapshot: local.ask(S::checkpoint(local.host()), sent); break;
      case Kind::pass: local.pass(); break;
      case Kind::damage:
        if (!local.damage(sent)) return {impossible, {}};
        break;
    }
    const bool possible = local.settle(action.cut == Action::whole_step ? Local<S>::whole : action.cut, sent);
    Outcome outcome{impossible, {}};
    if (!possible) return outcome;
    for (auto& packet : sent) outcome.sent.push_back(add(std::move(packet)));
    std::ranges::sort(outcome.sent);
    outcome.sent.erase(std::ranges::unique(outcome.sent).begin(), outcome.sent.end());
    outcome.node = add(std::move(local));
    // Refused, or heard before. (A crash is told apart by its count.)
    if (outcome.node == id && outcome.sent.empty()) outcome.node = impossible;
    return outcome;
  }

  template <class Write>  // writes the thing under a renaming
  Hashes hashes(std::uint64_t kind, Write&& write) const {
    Hashes all;
    for (const auto& names : renamings_) all.push_back(hash_of(write(names), kind));
    return all;
  }

  std::uint32_t add(Local<S> local) {
    const auto write = [&](const auto& names) { return local.canonical(names); };
    if (const auto known = nodes_.find(hash_of(write(renamings_.front()), 1))) return *known;
    auto all = hashes(1, write);
    Node node{std::move(local), {}, {}, 0};
    for (Fact& fact : S::facts(node.local.protocol(), node.local.host()))
      node.facts.push_back(add(std::move(fact)));
    node.broken = node.local.broken();
    node.shape = shapes_.try_emplace(S::shape(node.local.protocol()), shapes_.size()).first->second;
    within_.push_back(S::within(bounds_, node.local.protocol(), NodeId(node.local.self() + 1U)));
    glances_.push_back(S::glance(node.local.protocol(), node.local.disk()));
    return nodes_.add(std::move(node), all);
  }

  std::uint32_t add(Packet<Message> packet) {
    auto all = hashes(2, [&](const auto& names) {
      Canonical to({}, names);
      to.node(packet.from);
      to.node(packet.to);
      to.encoded(packet.message);
      return to.text();
    });
    if (const auto known = packets_.find(all.front())) return *known;
    receivers_.push_back(static_cast<std::uint8_t>(packet.to.value - 1));
    notes_.push_back(S::note(packet.message));
    return packets_.add(std::move(packet), all);
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
    const auto known = facts_.find(all.front());
    return known ? *known : facts_.add(std::move(fact), all);
  }

  Bounds bounds_;
  std::vector<std::vector<std::uint64_t>> renamings_;  // the first renames nothing
  Table<Node> nodes_;
  std::vector<bool> within_;
  std::vector<Glance> glances_;
  std::unordered_map<std::string, std::uint32_t> shapes_;
  Table<Packet<Message>> packets_;
  std::vector<std::uint8_t> receivers_;
  std::vector<Note> notes_;
  Table<Flight> flights_;
  Table<Fact> facts_;
  Table<Known> known_;
  std::deque<Outcome> outcomes_{{impossible, {}}};
  NumberMap outcome_of_;
};

}  // namespace quorate::explore
