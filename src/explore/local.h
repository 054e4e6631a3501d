// One node of a world: a copy of the protocol object with what drives it (disk, timers, withheld effects),
// and what each input makes of it.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/mp11/algorithm.hpp>

#include "core/canonical.h"
#include "core/effects.h"
#include "core/entry.h"
#include "explore/bounds.h"

namespace quorate::explore {

template <class M>
struct Packet {
  NodeId from;
  NodeId to;
  M message;
};

// A message in flight, and what else decides whether it can still have an effect.
template <class Note>
struct Flying {
  const Bounds& bounds;
  const Note& note;
  std::uint8_t from;  // the position of its sender
  bool crashes_left;
};

template <class M, class Variant>
inline constexpr std::uint8_t place_of = boost::mp11::mp_find<Variant, M>::value;

// What durable writes amount to (core/entry.h).
inline void apply(Recovered& disk, const Write& write) {
  if (const auto* put = std::get_if<PutRecord>(&write)) {
    disk.records[put->key] = put->value;
  } else if (const auto* append = std::get_if<AppendEntries>(&write)) {
    disk.log.insert(disk.log.end(), append->entries.begin(), append->entries.end());
  } else if (const auto* truncate = std::get_if<TruncateFrom>(&write)) {
    std::erase_if(disk.log, [&](const Entry& e) { return e.index >= truncate->index; });
  } else {
    const SnapshotMeta& meta = std::get<SnapshotTaken>(write).meta;
    if (disk.snapshot && disk.snapshot->index >= meta.index) return;
    disk.snapshot = meta;
    std::erase_if(disk.log, [&](const Entry& e) { return e.index <= meta.index; });
  }
}

template <class S>
class Local {
 public:
  using Protocol = typename S::Protocol;
  using Message = typename S::Message;  // the protocol's, and what its host sends beside them
  using Host = typename S::Host;        // what the protocol's events make of the node's state
  using Request = typename Protocol::Request;
  using Inner = typename Protocol::Message;
  using In = Input<Inner, Request>;
  using Out = Outbox<Inner, typename Protocol::Event>;
  using Sent = std::vector<Packet<Message>>;

  static constexpr std::uint32_t whole = ~0U;  // no crash in between

  Local(const Bounds& bounds, NodeId self)
      : bounds_(&bounds),
        self_(self),
        protocol_(S::make(bounds, self, {})),
        host_(S::host(bounds, self, {})) {}

  void start(Sent& sent) {
    Rng rng = draws();
    Env env{now_, rng};
    protocol_.start(env, out_);
    perform(sent);
    while (!pending_.empty()) persist(sent);
  }
  void receive(NodeId from, const Message& message, Sent& sent) {
    if (!timed()) now_ += S::patience(protocol_, message, now_);
    if (auto input = S::input(host_, self_, from, message, sent)) step(std::move(*input), sent);
  }
  void pass() { now_ += S::tick; }
  void fire(TimerId timer, Sent& sent) {
    // One that only sets itself again was set for something earlier, or comes late (Raft then waits again).
    bool did = false;
    for (int i = 0; i < 3 && !did && timers_.contains(timer); ++i) {
      if (timed() && timers_.at(timer) > now_) break;
      now_ = std::max(now_, timers_.at(timer));
      timers_.erase(timer);
      did = step(TimerFired{timer}, sent);
    }
    for (const auto& packet : S::granted(*bounds_, self_, protocol_))
      step(Receive<Inner>{packet.from, packet.message}, sent);
  }
  // Its timer fires until it campaigns, and `by` refuses the pre-vote, with a log that is ahead.
  void be_refused(NodeId by, Sent& sent) {
    bool did = false;
    for (int i = 0; i < 3 && !did; ++i) {
      const auto due = timers_.extract(S::campaign_timer);
      if (due.empty()) break;
      now_ = std::max(now_, due.mapped());
      did = step(TimerFired{S::campaign_timer}, sent);
    }
    for (auto& packet : S::refused(by, self_, protocol_))
      step(Receive<Inner>{packet.from, std::move(packet.message)}, sent);
  }
  void ask(Request request, Sent& sent) { step(Ask<Request>{std::move(request)}, sent); }
  void persist(Sent& sent) {  // the oldest write becomes durable
    const Persist write = std::move(pending_.front());
    pending_.pop_front();
    for (const Write& w : write.writes) apply(disk_, w);
    durable_ = write.ticket;
    release(sent);
    step(Persisted{durable_}, sent);
  }
  // Writes beyond those that may be late become durable one after the other, with what comes of that; after
  // `cut` of them the node crashes. False: there are not so many.
  bool settle(std::uint32_t cut, Sent& sent) {
    for (std::uint32_t done = 0; pending_.size() > bounds_->late_writes; ++done) {
      if (done == cut) {
        crash(sent);
        return true;
      }
      persist(sent);
    }
    return cut == whole;
  }
  // Stops, losing what is not durable and what waits for it, and starts again.
  void crash(Sent& sent) {
    protocol_ = S::make(*bounds_, self_, disk_);
    host_ = S::host(*bounds_, self_, disk_);
    out_ = Out();
    pending_.clear();
    withheld_.clear();
    timers_.clear();
    durable_ = Ticket();
    if (bounds_->reads != 0) ++restarts_;
    start(sent);
  }

  // Of its log nothing is left but the records and the state behind which it was cut. False: it can not go
  // on.
  bool damage(Sent& sent) {
    const auto writes = S::rejoin(self_, disk_);
    if (!writes) return false;
    disk_ = {};
    for (const Write& write : *writes) apply(disk_, write);
    crash(sent);
    return true;
  }

  [[nodiscard]] std::uint8_t self() const {
    return static_cast<std::uint8_t>(self_.value - 1);
  }  // its position
  [[nodiscard]] bool writes() const { return !pending_.empty(); }
  [[nodiscard]] const std::map<TimerId, Instant>& timers() const { return timers_; }
  [[nodiscard]] bool due(TimerId timer) const { return !timed() || timers_.at(timer) <= now_; }
  // Where it is one for all nodes.
  [[nodiscard]] std::optional<Instant> time() const { return timed() ? std::optional(now_) : std::nullopt; }
  [[nodiscard]] const Protocol& protocol() const { return protocol_; }
  [[nodiscard]] const Host& host() const { return host_; }
  [[nodiscard]] const Recovered& disk() const { return disk_; }
  [[nodiscard]] std::optional<std::string> broken() const {
    return alarm_ ? alarm_ : protocol_.check_invariants();
  }

  [[nodiscard]] std::string canonical(std::span<const std::uint64_t> names) const {
    Canonical to(now_, names, timed());
    to.node(self_);
    protocol_.canonical(to);
    host_.canonical(to);
    for (const auto& [key, value] : disk_.records) S::record(to, key, value);
    if (disk_.snapshot) to.encoded(*disk_.snapshot);
    to.number(disk_.log.size());
    for (const Entry& entry : disk_.log) to.encoded(entry);
    to.number(pending_.size());
    for (const Persist& write : pending_) write_pending(to, write);
    to.number(withheld_.size());
    for (const auto& send : withheld_) {
      to.node(send.to);
      to.encoded(send.message);
      to.ticket(send.after, durable_);
    }
    for (const auto& [id, at] : timers_) {
      if (!S::fires(protocol_, id)) continue;
      to.add(id);
      if (timed()) to.until(at);
    }
    to.number(restarts_);
    return to.text();
  }

 private:
  [[nodiscard]] bool timed() const { return bounds_->ticks != 0; }

  // The draws are always the same: which timer fires first is the explorer's choice.
  [[nodiscard]] Rng draws() const { return Rng(timed() ? S::hasty_seed(restarts_) : 1 + restarts_); }

  bool step(In input, Sent& sent) {
    Rng rng = draws();
    Env env{now_, rng};
    protocol_.step(env, std::move(input), out_);
    return perform(sent);
  }

  bool perform(Sent& sent) {  // whether there was anything but timers to set
    bool did = false;
    for (auto& effect : out_.take()) {
      did = did || !std::holds_alternative<SetTimer>(effect);
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        Send<Inner> typed{send->to, codec::decode<Inner>(send->message).value(), send->after};
        if (!S::lost(*bounds_, typed.message)) withhold(std::move(typed));
      } else if (auto* write = std::get_if<Persist>(&effect)) {
        pending_.push_back(std::move(*write));
      } else if (auto* timer = std::get_if<SetTimer>(&effect)) {
        timers_[timer->id] = timer->at;
      } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
        timers_.erase(cancel->id);
      } else {
        const auto& event = std::get<Emit<typename Protocol::Event>>(effect).event;
        if (auto what = S::take(host_, self_, event, sent)) alarm_ = std::move(what);
      }
    }
    release(sent);
    return did;
  }

  // The same message for the same write is kept once, as on the network.
  void withhold(Send<Inner> send) {
    const auto bytes = codec::encode(send.message);
    for (const auto& other : withheld_) {
      if (other.to == send.to && other.after == send.after && codec::encode(other.message) == bytes) return;
    }
    withheld_.push_back(std::move(send));
  }

  void release(Sent& sent) {
    std::erase_if(withheld_, [&](Send<Inner>& send) {
      if (S::waits_for_disk && send.after > durable_) return false;
      if (send.to != self_)
        std::visit([&](auto& m) { sent.push_back({self_, send.to, std::move(m)}); }, send.message);
      return true;
    });
  }

  static void write_pending(Canonical& to, const Persist& write) {
    to.number(write.writes.size());
    for (const Write& w : write.writes) {
      to.number(w.index());
      if (const auto* put = std::get_if<PutRecord>(&w)) {
        S::record(to, put->key, put->value);
      } else {
        to.encoded(w);
      }
    }
  }

  const Bounds* bounds_;
  NodeId self_;
  std::uint64_t restarts_ = 0;  // counted only where the draws of a new life must differ
  Instant now_{std::chrono::hours(1)};
  Protocol protocol_;
  Host host_;
  Out out_;
  Recovered disk_;
  std::deque<Persist> pending_;        // not durable yet
  std::vector<Send<Inner>> withheld_;  // until their ticket is
  std::map<TimerId, Instant> timers_;
  Ticket durable_;
  std::optional<std::string> alarm_;
};

}  // namespace quorate::explore
