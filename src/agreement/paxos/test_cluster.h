// For tests: a few nodes of any Driver on a simulated network, disk and clock. A run is a function of its
// seed. Crashes lose what was not durable and every effect that waited for it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/effects.h"
#include "core/protocol.h"

namespace quorate::test {

struct Faults {
  double loss = 0;
  double duplication = 0;
  Duration min_delay = 1ms;
  Duration max_delay = 1ms;  // wider than min_delay: reordering
  Duration min_sync = 1ms;
  Duration max_sync = 1ms;
};

inline void apply(Recovered& disk, const Write& write) {
  if (const auto* put = std::get_if<PutRecord>(&write)) {
    if (put->value.empty()) {
      disk.records.erase(put->key);
    } else {
      disk.records[put->key] = put->value;
    }
  } else if (const auto* append = std::get_if<AppendEntries>(&write)) {
    disk.log.insert(disk.log.end(), append->entries.begin(), append->entries.end());
  } else if (const auto* truncate = std::get_if<TruncateFrom>(&write)) {
    std::erase_if(disk.log, [&](const Entry& e) { return e.index >= truncate->index; });
  } else {
    const auto& meta = std::get<SnapshotTaken>(write).meta;
    disk.snapshot = meta;
    std::erase_if(disk.log, [&](const Entry& e) { return e.index <= meta.index; });
  }
}

template <class Request, class Event>
class Cluster {
 public:
  using Protocol = Driver<Request, Event>;
  using Factory = std::function<std::unique_ptr<Protocol>(NodeId, Recovered)>;
  using OnEvent = std::function<void(NodeId, const Event&)>;

  Cluster(std::uint64_t seed, Faults with, Factory factory, OnEvent on_event)
      : faults(with), factory_(std::move(factory)), on_event_(std::move(on_event)), rng_(seed) {}

  Faults faults;
  std::set<std::pair<NodeId, NodeId>> cut;                       // links that lose everything, one way
  std::function<void(NodeId, NodeId, const Bytes&)> on_message;  // told of every delivery
  std::function<bool(NodeId, NodeId, const Bytes&)> drop;        // what it says is lost
  std::function<Duration(const Bytes&)> delay;                   // where set, instead of a random one
  std::optional<std::string> broken;                             // the first violated invariant

  void start(NodeId id) {
    auto& node = nodes_[id];
    ++node.life;
    node.durable = {};
    node.disk_free = now_;
    node.rng.emplace(rng_.fork());
    node.protocol = factory_(id, node.disk);
    Env env{now_, *node.rng};
    node.protocol->start(env);
    perform(id);
  }
  // Of the writes under way, some may have reached the disk without the node hearing of it.
  void crash(NodeId id) {
    auto& node = nodes_[id];
    for (auto n = rng_.below(node.unsynced.size() + 1); n > 0; --n) {
      for (const auto& write : node.unsynced.front().second) apply(node.disk, write);
      node.unsynced.erase(node.unsynced.begin());
    }
    node.protocol.reset();
    ++node.life;
    node.timers.clear();
    node.waiting.clear();
    node.unsynced.clear();
  }
  void ask(NodeId id, Request request) {
    if (alive(id)) step(id, Ask<Request>{std::move(request)});
  }
  void inject(NodeId from, NodeId to, const Bytes& message) {
    if (alive(to)) step(to, Receive<Bytes>{from, message});
  }
  [[nodiscard]] bool alive(NodeId id) { return nodes_[id].protocol != nullptr; }
  [[nodiscard]] Protocol& protocol(NodeId id) { return *nodes_[id].protocol; }
  [[nodiscard]] Recovered& disk(NodeId id) { return nodes_[id].disk; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] Rng& rng() { return rng_; }

  void at(Duration after, std::function<void()> act) {
    agenda_.emplace(std::pair(now_ + after, ++sequence_), std::move(act));
  }
  // The next thing that happens; false when nothing is left.
  bool next() {
    if (agenda_.empty()) return false;
    auto happening = agenda_.extract(agenda_.begin());
    now_ = happening.key().first;
    happening.mapped()();
    return true;
  }
  void run_for(Duration duration) {
    const Instant end = now_ + duration;
    while (!agenda_.empty() && agenda_.begin()->first.first <= end) next();
    now_ = end;
  }
  // Nothing happens for so long, and then all that is late at once: a machine with all of them was paused.
  void stand_still(Duration duration) {
    now_ += duration;
    while (!agenda_.empty() && agenda_.begin()->first.first < now_) {
      auto late = agenda_.extract(agenda_.begin());
      late.key().first = now_;
      agenda_.insert(std::move(late));
    }
  }
  bool run_until(const std::function<bool()>& done, Duration limit) {
    const Instant end = now_ + limit;
    while (!done()) {
      if (agenda_.empty() || agenda_.begin()->first.first > end) return false;
      next();
    }
    return true;
  }

 private:
  struct Node {
    std::unique_ptr<Protocol> protocol;
    std::optional<Rng> rng;
    Recovered disk;
    std::uint64_t life = 0;
    Ticket durable;
    std::vector<std::pair<Ticket, std::vector<Write>>> unsynced;
    std::vector<std::pair<Ticket, std::function<void()>>> waiting;
    std::map<TimerId, std::uint64_t> timers;  // the sequence of the latest setting
    Instant disk_free;
  };

  void step(NodeId id, typename Protocol::In input) {
    auto& node = nodes_[id];
    Env env{now_, *node.rng};
    node.protocol->step(env, std::move(input));
    perform(id);
  }

  void perform(NodeId id) {
    auto& node = nodes_[id];
    auto effects = node.protocol->take();
    if (!broken) {
      if (auto violation = node.protocol->check_invariants())
        broken = "node " + to_string(id) + ": " + *violation;
    }
    for (auto& effect : effects) {
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        gate(node, send->after,
             [this, id, to = send->to, message = send->message] { transmit(id, to, message); });
      } else if (auto* emit = std::get_if<Emit<Event>>(&effect)) {
        gate(node, emit->after, [this, id, event = emit->event] { on_event_(id, event); });
      } else if (auto* persist = std::get_if<Persist>(&effect)) {
        sync(id, node, *persist);
      } else if (auto* set = std::get_if<SetTimer>(&effect)) {
        set_timer(id, node, *set);
      } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
        node.timers.erase(cancel->id);
      }
    }
  }

  void gate(Node& node, Ticket after, std::function<void()> act) {
    if (after.none() || after <= node.durable) {
      at(Duration::zero(), [act = std::move(act), life = node.life, &node] {
        if (node.life == life) act();
      });
    } else {
      node.waiting.emplace_back(after, std::move(act));
    }
  }

  void sync(NodeId id, Node& node, const Persist& persist) {
    node.unsynced.emplace_back(persist.ticket, persist.writes);
    node.disk_free = std::max(node.disk_free, now_) + rng_.between(faults.min_sync, faults.max_sync);
    agenda_.emplace(std::pair(node.disk_free, ++sequence_),
                    [this, id, &node, ticket = persist.ticket, life = node.life] {
                      if (node.life != life) return;
                      while (!node.unsynced.empty() && node.unsynced.front().first <= ticket) {
                        for (const auto& write : node.unsynced.front().second) apply(node.disk, write);
                        node.unsynced.erase(node.unsynced.begin());
                      }
                      node.durable = ticket;
                      std::vector<std::function<void()>> ready;
                      std::erase_if(node.waiting, [&](auto& waiting) {
                        if (waiting.first > ticket) return false;
                        ready.push_back(std::move(waiting.second));
                        return true;
                      });
                      for (const auto& act : ready) act();
                      if (node.life == life) step(id, Persisted{ticket});
                    });
  }

  void set_timer(NodeId id, Node& node, const SetTimer& set) {
    const auto mine = ++sequence_;
    node.timers[set.id] = mine;
    agenda_.emplace(std::pair(std::max(set.at, now_), mine),
                    [this, id, &node, timer = set.id, mine, life = node.life] {
                      const auto it = node.timers.find(timer);
                      if (node.life != life || it == node.timers.end() || it->second != mine) return;
                      node.timers.erase(it);
                      step(id, TimerFired{timer});
                    });
  }

  void transmit(NodeId from, NodeId to, const Bytes& message) {
    if (cut.contains({from, to}) || rng_.chance(faults.loss) || (drop && drop(from, to, message))) return;
    const int copies = rng_.chance(faults.duplication) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      const auto after = delay ? delay(message) : rng_.between(faults.min_delay, faults.max_delay);
      at(after, [this, from, to, message] {
        if (!nodes_.contains(to) || !alive(to) || cut.contains({from, to})) return;
        if (on_message) on_message(from, to, message);
        step(to, Receive<Bytes>{from, message});
      });
    }
  }

  Factory factory_;
  OnEvent on_event_;
  Rng rng_;
  Instant now_{1s};
  std::uint64_t sequence_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> agenda_;
  std::map<NodeId, Node> nodes_;
};

}  // namespace quorate::test
