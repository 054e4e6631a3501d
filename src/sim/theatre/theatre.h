// The stage of a scenario: nodes that hold one protocol each, links that deliver when told to, disks and
// clocks that move when told to. What all families of protocols have in common; the family's own commands and
// events are its theatre's.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "core/protocol.h"
#include "sim/durable_shadow.h"
#include "sim/theatre/brief.h"
#include "sim/theatre/story.h"

namespace quorate::sim {

using Words = std::vector<std::string>;

struct Usage {  // thrown by commands, caught by the runner
  std::string what;
};

[[nodiscard]] std::uint64_t number(std::string_view text);
[[nodiscard]] NodeId node_id(std::string_view text);
[[nodiscard]] std::vector<NodeId> node_list(std::string_view text);  // "1,2,3"
[[nodiscard]] Duration duration(std::string_view text);              // "300ms"
[[nodiscard]] const std::string& word(const Words& words, std::size_t at);
[[nodiscard]] std::string joined(const Words& words, std::size_t from = 0);
[[nodiscard]] std::string told(const std::vector<Write>& writes, const ReadPayload& payload);

class Theatre {
 public:
  Theatre() = default;
  Theatre(const Theatre&) = delete;
  Theatre& operator=(const Theatre&) = delete;
  virtual ~Theatre() = default;

  // One command; what happens goes to the story. Throws Usage.
  virtual void run(const Words& words) = 0;
  [[nodiscard]] virtual std::vector<NodeId> cast() const = 0;

  // Since the last call.
  [[nodiscard]] std::vector<Happening> take() { return std::exchange(happenings_, {}); }
  [[nodiscard]] bool failed() const { return failed_; }

 protected:
  void tell(Happening::Kind kind, NodeId at, NodeId to, std::string text) {
    happenings_.push_back({kind, at, to, std::move(text)});
  }
  template <class... Args>
  void say(NodeId at, fmt::format_string<Args...> format, Args&&... args) {
    tell(Happening::Kind::event, at, {}, fmt::format(format, std::forward<Args>(args)...));
  }
  void check(bool holds, NodeId at, const std::string& what) {
    if (holds) return;
    failed_ = true;
    say(at, "FAILED {}", what);
  }

 private:
  std::vector<Happening> happenings_;
  bool failed_ = false;
};

[[nodiscard]] std::unique_ptr<Theatre> make_log_theatre(const Words& words);        // protocol NAME
[[nodiscard]] std::unique_ptr<Theatre> make_agreement_theatre(const Words& words);  // agreement NAME [OPTION]

// `Part` is what the family keeps for each node.
template <class Driver, class Part>
class Staged : public Theatre {
 public:
  using Event = typename Driver::Event;

  void run(const Words& words) override {
    const std::string& verb = words[0];
    if (verb == "timeout") return time_out(actor(word(words, 1)));
    if (verb == "campaign") return campaign(actor(word(words, 1)));
    if (verb == "advance") return advance(node_list(word(words, 1)), duration(word(words, 2)));
    if (verb == "deliver")
      return deliver(link(word(words, 1)), words.size() > 2 ? number(words[2]) : UINT64_MAX);
    if (verb == "drop") return drop(link(word(words, 1)), words.size() > 2 ? number(words[2]) : UINT64_MAX);
    if (verb == "overtake") return overtake(link(word(words, 1)));
    if (verb == "settle") return settle();
    if (verb == "partition") return partition(words);
    if (verb == "heal") return groups_.clear();
    if (verb == "hold") return void(actor(word(words, 1)).held = true);
    if (verb == "release") return release(actor(word(words, 1)));
    if (verb == "crash") return crash(actor(word(words, 1)));
    if (verb == "restart") return restart(actor(word(words, 1)));
    if (verb == "state") return state(words.size() > 1 ? std::optional(node_id(words[1])) : std::nullopt);
    throw Usage{"there is no command '" + verb + "'"};
  }

  std::vector<NodeId> cast() const override {
    std::vector<NodeId> ids;
    for (const auto& [id, a] : actors_) ids.push_back(id);
    return ids;
  }

 protected:
  using Link = std::pair<NodeId, NodeId>;
  struct Parcel {
    Bytes message;
    bool between_hosts = false;  // not the protocol's own
  };
  struct Actor {
    NodeId id;
    std::unique_ptr<Driver> protocol;  // none while it is down
    Rng rng{1};
    Instant now{1h};
    std::map<TimerId, Instant> timers;
    DurableShadow disk;
    std::vector<std::pair<Ticket, std::string>> writing;  // in flight
    Ticket durable;
    bool held = false;
    std::deque<std::pair<Ticket, std::variant<Send<Bytes>, Event>>> gated;
    Part part{};
  };

  // The family's part.
  [[nodiscard]] virtual std::unique_ptr<Driver> make(Actor& a) = 0;
  virtual void happened(Actor& a, const Event& event) = 0;
  virtual void crashed(Actor& /*a*/) {}
  virtual void received(Actor& /*to*/, NodeId /*from*/, const Parcel& /*parcel*/) {}
  [[nodiscard]] virtual std::string explain(const Parcel& parcel, const Driver& speaker) const {
    return brief(speaker.explain(parcel.message), payload_);
  }

  Actor& actor(std::string_view text) { return actor(node_id(text)); }
  Actor& actor(NodeId id) {
    auto [at, fresh] = actors_.try_emplace(id);
    if (fresh) {
      at->second.id = id;
      at->second.rng = Rng(id.value);
    }
    return at->second;
  }

  void start(Actor& a) {
    a.durable = {};
    a.protocol = make(a);
    Env env{a.now, a.rng};
    a.protocol->start(env);
    effects(a);
  }
  void ask(Actor& a, typename Driver::Request request) {
    input(a, Ask<typename Driver::Request>{std::move(request)});
  }
  void post(const Actor& a, NodeId to, Parcel parcel) {
    ++sent_;
    if (separated(a.id, to)) return tell(Happening::Kind::lost, a.id, to, explain(parcel, *a.protocol));
    wire_[{a.id, to}].push_back(std::move(parcel));
  }

  ReadPayload payload_;
  std::map<NodeId, Actor> actors_;

 private:
  static Link link(std::string_view text) {
    const std::size_t arrow = text.find("->");
    if (arrow == std::string_view::npos) throw Usage{"a link is written 1->2"};
    return {node_id(text.substr(0, arrow)), node_id(text.substr(arrow + 2))};
  }

  void input(Actor& a, typename Driver::In in) {
    if (!a.protocol) return;
    Env env{a.now, a.rng};
    a.protocol->step(env, std::move(in));
    effects(a);
  }

  void effects(Actor& a) {
    for (auto& effect : a.protocol->take()) {
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        send->after > a.durable ? void(a.gated.emplace_back(send->after, *send))
                                : post(a, send->to, {send->message});
      } else if (auto* persist = std::get_if<Persist>(&effect)) {
        a.disk.submitted(persist->writes);
        a.writing.emplace_back(persist->ticket, told(persist->writes, payload_));
      } else if (auto* set = std::get_if<SetTimer>(&effect)) {
        a.timers[set->id] = set->at;
      } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
        a.timers.erase(cancel->id);
      } else {
        auto& emit = std::get<Emit<Event>>(effect);
        emit.after > a.durable ? void(a.gated.emplace_back(emit.after, emit.event)) : happened(a, emit.event);
      }
    }
    if (!a.held && !a.writing.empty()) flush(a);
  }

  void flush(Actor& a) {
    a.durable = a.writing.back().first;
    a.disk.synced(a.writing.size());
    for (auto& [ticket, what] : std::exchange(a.writing, {}))
      tell(Happening::Kind::durable, a.id, {}, std::move(what));
    for (auto it = a.gated.begin(); it != a.gated.end();) {
      if (it->first > a.durable) {
        ++it;
        continue;
      }
      auto effect = std::move(it->second);
      it = a.gated.erase(it);
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        post(a, send->to, {send->message});
      } else {
        happened(a, std::get<Event>(effect));
      }
    }
    input(a, Persisted{a.durable});
  }

  [[nodiscard]] bool separated(NodeId a, NodeId b) const {
    const auto group = [&](NodeId id) { return groups_.contains(id) ? groups_.at(id) : -1; };
    return !groups_.empty() && group(a) != group(b);
  }

  // The clock moves on to the next timer, which fires.
  void time_out(Actor& a) {
    if (!a.protocol || a.timers.empty()) return say(a.id, "has no timer");
    const auto next = std::ranges::min_element(a.timers, {}, [](const auto& timer) { return timer.second; });
    const TimerId id = next->first;
    a.now = std::max(a.now, next->second);
    a.timers.erase(next);
    input(a, TimerFired{id});
  }

  void campaign(Actor& a) {
    const std::uint64_t before = sent_;
    for (int tries = 0; tries < 10 && sent_ == before; ++tries) time_out(a);
  }

  void advance(const std::vector<NodeId>& ids, Duration by) {
    for (const NodeId id : ids) actor(id).now += by;
  }

  bool deliver_one(const Link& on) {
    auto& queue = wire_[on];
    if (queue.empty()) return false;
    const Parcel parcel = std::move(queue.front());
    queue.pop_front();
    Actor& to = actor(on.second);
    const auto kind = to.protocol ? Happening::Kind::message : Happening::Kind::lost;
    tell(kind, on.first, on.second, in_words(on, parcel));
    if (!to.protocol) return true;
    parcel.between_hosts ? received(to, on.first, parcel)
                         : input(to, Receive<Bytes>{on.first, parcel.message});
    return true;
  }
  [[nodiscard]] std::string in_words(const Link& on, const Parcel& parcel) {
    const auto* speaker =
        actor(on.second).protocol ? actor(on.second).protocol.get() : actor(on.first).protocol.get();
    return speaker != nullptr ? explain(parcel, *speaker) : "something";
  }
  void deliver(const Link& on, std::uint64_t count) {
    for (count = std::min<std::uint64_t>(count, wire_[on].size()); count != 0; --count) deliver_one(on);
  }
  void drop(const Link& on, std::uint64_t count) {
    for (auto& queue = wire_[on]; !queue.empty() && count != 0; --count) {
      tell(Happening::Kind::lost, on.first, on.second, in_words(on, queue.front()));
      queue.pop_front();
    }
  }
  void overtake(const Link& on) {
    auto& queue = wire_[on];
    if (queue.size() > 1) std::rotate(queue.begin(), queue.begin() + 1, queue.end());
  }
  void settle() {
    for (int rounds = 0; rounds < 100; ++rounds) {
      bool any = false;
      std::vector<Link> links;
      for (const auto& [on, queue] : wire_) {
        if (!queue.empty()) links.push_back(on);
      }
      for (const Link& on : links) any = deliver_one(on) || any;
      if (!any) return;
    }
    throw Usage{"still talking after 100 rounds"};
  }

  void partition(const Words& words) {
    groups_.clear();
    int group = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "|") {
        ++group;
        continue;
      }
      for (const NodeId id : node_list(words[i])) groups_[id] = group;
    }
    for (auto& [on, queue] : wire_) {
      if (separated(on.first, on.second)) drop(on, UINT64_MAX);
    }
  }

  void release(Actor& a) {
    a.held = false;
    if (a.protocol && !a.writing.empty()) flush(a);
  }

  void crash(Actor& a) {
    for (auto& [ticket, what] : std::exchange(a.writing, {})) say(a.id, "loses {}", what);
    say(a.id, "crashes");
    a.protocol.reset();
    a.timers.clear();
    a.gated.clear();
    a.disk.lose_in_flight();
    a.held = false;
    for (auto& [on, queue] : wire_) {
      if (on.second == a.id) queue.clear();
    }
    crashed(a);
  }
  void restart(Actor& a) {
    if (a.protocol) throw Usage{"it is up"};
    say(a.id, "restarts");
    start(a);
  }

  void state(std::optional<NodeId> only) {
    for (auto& [id, a] : actors_) {
      if (only && *only != id) continue;
      tell(Happening::Kind::state, id, {},
           a.protocol ? a.protocol->describe() : fmt::format("n{} down", id.value));
    }
  }

  std::map<Link, std::deque<Parcel>> wire_;
  std::map<NodeId, int> groups_;
  std::uint64_t sent_ = 0;
};

}  // namespace quorate::sim
