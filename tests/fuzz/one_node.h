// One node of a protocol among peers that say anything: forged but well-formed messages, time-outs at any
// time, writes that become durable late, crashes. The node must keep its invariants, its promises to the log
// (contiguous appends, no cut in what was committed), and never commit two different entries at one index;
// or stop and say why.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "choices.h"
#include "core/codec.h"
#include "core/effects.h"
#include "core/replicated_log.h"
#include "fuzz.h"
#include "generate.h"

namespace quorate::fuzz {

// The meaning of durable writes (storage/wal_state.h), refusing what the log would refuse.
inline Index last_index(const Recovered& disk) {
  if (!disk.log.empty()) return disk.log.back().index;
  return disk.snapshot ? disk.snapshot->index : Index();
}

inline void apply_write(Recovered& disk, const Write& write) {
  if (const auto* put = std::get_if<PutRecord>(&write)) {
    disk.records.erase(put->key);
    if (!put->value.empty()) disk.records[put->key] = put->value;
  } else if (const auto* append = std::get_if<AppendEntries>(&write)) {
    for (const auto& entry : append->entries) {
      require(entry.index == last_index(disk).next(), "an append that does not follow the log");
      require(entry.kind <= EntryKind::membership, "an entry of a kind that recovery refuses");
      disk.log.push_back(entry);
    }
  } else if (const auto* cut = std::get_if<TruncateFrom>(&write)) {
    require(!disk.snapshot || cut->index > disk.snapshot->index, "a cut into the snapshot");
    std::erase_if(disk.log, [&](const Entry& e) { return e.index >= cut->index; });
  } else {
    const auto& meta = std::get<SnapshotTaken>(write).meta;
    if (disk.snapshot && meta.index <= disk.snapshot->index) return;
    if (last_index(disk) < meta.index) disk.log.clear();
    std::erase_if(disk.log, [&](const Entry& e) { return e.index <= meta.index; });
    disk.snapshot = meta;
  }
}

template <class P>
class OneNode {
 public:
  using Make = std::function<std::unique_ptr<P>(const Recovered&)>;
  using Out = Outbox<typename P::Message, typename P::Event>;
  using In = Input<typename P::Message, typename P::Request>;

  OneNode(NodeId self, std::uint64_t seed, Make make) : rng(seed), self_(self), make_(std::move(make)) {
    start();
  }

  // What the target's own checks are told; nullopt from `event` when all is well.
  std::function<std::optional<std::string>(const typename P::Event&)> on_event;
  Rng rng;
  Instant now{std::chrono::hours(1)};
  Recovered disk;

  [[nodiscard]] P& protocol() { return *protocol_; }
  [[nodiscard]] const std::set<TimerId>& timers() const { return timers_; }
  [[nodiscard]] bool stopped() const { return stopped_; }

  void step(In input) {
    Env env{now, rng};
    protocol_->step(env, std::move(input), *out_);
    perform();
  }
  void sync_one() {
    if (unsynced_.empty()) return;
    const Persist oldest = std::move(unsynced_.front());
    unsynced_.pop_front();
    for (const auto& write : oldest.writes) apply_write(disk, write);
    step(Persisted{oldest.ticket});
  }
  void crash() {
    restarted();
    start();
  }
  // Called when the node starts again from `disk`.
  std::function<void()> restarted = [] {};

 private:
  void start() {
    unsynced_.clear();
    timers_.clear();
    protocol_ = make_(disk);
    out_ = std::make_unique<Out>();
    Env env{now, rng};
    protocol_->start(env, *out_);
    last_ticket_ = Ticket();
    perform();
  }
  void perform() {
    for (auto& effect : out_->take()) {
      if (auto* persist = std::get_if<Persist>(&effect)) {
        require(persist->ticket == last_ticket_.next(), "tickets out of order");
        last_ticket_ = persist->ticket;
        unsynced_.push_back(std::move(*persist));
      } else if (auto* set = std::get_if<SetTimer>(&effect)) {
        timers_.insert(set->id);
      } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
        timers_.erase(cancel->id);
      } else if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        const auto message = codec::decode<typename P::Message>(send->message);
        require(message.has_value(), "a message that can not be read");
        require(send->to != self_ && !send->to.none(),
                "a message to " + to_string(send->to) + ": " + codec::to_json(*message));
        require(send->after <= last_ticket_, "an effect that waits for a write never made");
      } else if (auto* emit = std::get_if<Emit<typename P::Event>>(&effect)) {
        require(emit->after <= last_ticket_, "an event that waits for a write never made");
        event(emit->event);
      }
    }
    if (const auto broken = protocol_->check_invariants(); broken && !stopped_) require(false, *broken);
    require(!protocol_->describe().empty(), "no description");
  }
  void event(const typename P::Event& happened) {
    if constexpr (std::is_same_v<typename P::Event, replicated_log::Event>) {
      if (std::holds_alternative<replicated_log::Halt>(happened)) stopped_ = true;
    }
    if (!on_event) return;
    if (const auto broken = on_event(happened)) require(false, *broken);
  }

  NodeId self_;
  Make make_;
  std::unique_ptr<P> protocol_;
  std::unique_ptr<Out> out_;
  std::deque<Persist> unsynced_;
  std::set<TimerId> timers_;
  Ticket last_ticket_;
  bool stopped_ = false;
};

// A replicated log's host under a OneNode: applies what is committed, keeps snapshots, asks for things.
template <class P>
class LogHost {
 public:
  explicit LogHost(OneNode<P>& node, Membership initial) : node_(&node), membership_(std::move(initial)) {
    node.on_event = [this](const replicated_log::Event& event) { return happened(event); };
    node.restarted = [this] { applied_ = node_->disk.snapshot ? node_->disk.snapshot->index : Index(); };
  }

  typename P::Request request(Choices& choices) {
    namespace rl = replicated_log;
    auto asked = generate<rl::Request>(choices);
    if (auto* available = std::get_if<rl::SnapshotAvailable>(&asked)) {
      if (applied_.none() || !applied_entry_) return rl::Propose{1, {Bytes::copy("x")}};
      available->meta = {applied_, applied_entry_->epoch, membership_, {}};
    }
    return asked;
  }

 private:
  std::optional<std::string> happened(const replicated_log::Event& event) {
    namespace rl = replicated_log;
    if (const auto* committed = std::get_if<rl::Committed>(&event)) {
      for (const auto& entry : committed->entries) {
        if (entry.index != applied_.next()) return "committed out of order";
        applied_ = entry.index;
        applied_entry_ = entry;
        const auto [known, fresh] = committed_.try_emplace(entry.index, entry);
        if (!fresh && known->second != entry) return "two entries committed at one index";
        if (entry.kind == EntryKind::membership) {
          if (const auto next = codec::decode<Membership>(entry.payload)) membership_ = *next;
        }
      }
    } else if (const auto* restore = std::get_if<rl::Restore>(&event)) {
      if (restore->meta.index < applied_) return "restored an older state";
      applied_ = restore->meta.index;
      applied_entry_ = Entry{restore->meta.epoch, restore->meta.index, EntryKind::noop, {}};
      membership_ = restore->meta.membership;
      committed_.clear();  // the forger's history now
    }
    return std::nullopt;
  }

  OneNode<P>* node_;
  Membership membership_;
  Index applied_;
  std::optional<Entry> applied_entry_;
  std::map<Index, Entry> committed_;
};

// `forge` makes a message out of choices.
template <class P, class Forge, class Request>
void drive(OneNode<P>& node, Choices& choices, Forge forge, Request ask) {
  for (int steps = 0; steps < 200 && !choices.empty() && !node.stopped(); ++steps) {
    switch (choices.below(10)) {
      case 0: {
        node.now += std::chrono::milliseconds(choices.below(400));
        if (!node.timers().empty()) {
          auto timer = node.timers().begin();
          std::advance(timer, choices.below(node.timers().size()));
          node.step(TimerFired{*timer});
        }
        break;
      }
      case 1: node.step(TimerFired{TimerId(choices.number())}); break;
      case 2:
      case 3: node.sync_one(); break;
      case 4: node.step(Ask<typename P::Request>{ask(choices)}); break;
      case 5:
        if (choices.below(8) == 0) {
          node.crash();
        } else {
          node.sync_one();
        }
        break;
      default: {
        const NodeId from(choices.below(5));
        node.step(Receive<typename P::Message>{from, forge(choices)});
      }
    }
  }
}

inline Membership three_voters() {
  Membership membership;
  for (std::uint64_t id = 1; id <= 3; ++id) membership.members.push_back({NodeId(id), Role::voter, {}});
  return membership;
}

}  // namespace quorate::fuzz
