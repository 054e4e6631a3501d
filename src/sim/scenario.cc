#include "sim/scenario.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "registry/registry.h"
#include "sim/durable_shadow.h"

namespace quorate::sim {

namespace {

namespace rl = replicated_log;
using Words = std::vector<std::string>;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Usage {  // thrown by commands, caught by the runner
  std::string what;
};

NodeId node_id(std::string_view text) {
  const auto value = number(text);
  if (!value || *value == 0) throw Usage{fmt::format("'{}' is no node", text)};
  return NodeId(*value);
}

std::vector<NodeId> node_list(std::string_view text) {
  std::vector<NodeId> ids;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    ids.push_back(node_id(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ids;
}

class Theatre {
 public:
  void run(const Words& words, std::string& out) {
    out_ = &out;
    const std::string& verb = words[0];
    const auto word = [&](std::size_t i) -> const std::string& {
      if (i >= words.size()) throw Usage{verb + " wants more"};
      return words[i];
    };
    const auto rest = [&](std::size_t from) {
      return Words(words.begin() + static_cast<std::ptrdiff_t>(from), words.end());
    };
    if (verb == "protocol") return choose(word(1));
    if (verb == "batch") return void(max_batch_bytes_ = *number(word(1)));
    if (verb == "nodes")
      return found(*number(word(1)), words.size() > 3 ? node_list(word(3)) : std::vector<NodeId>());
    if (verb == "timeout") return time_out(actor(word(1)));
    if (verb == "campaign") return campaign(actor(word(1)));
    if (verb == "advance") return advance(node_list(word(1)), word(2));
    if (verb == "deliver") return deliver(link(word(1)), words.size() > 2 ? *number(word(2)) : UINT64_MAX);
    if (verb == "drop") return drop(link(word(1)));
    if (verb == "settle") return settle();
    if (verb == "partition") return partition(rest(1));
    if (verb == "heal") return groups_.clear();
    if (verb == "hold") return hold(actor(word(1)));
    if (verb == "release") return release(actor(word(1)));
    if (verb == "crash") return crash(actor(word(1)));
    if (verb == "restart") return restart(actor(word(1)));
    if (verb == "propose") return propose(actor(word(1)), rest(2));
    if (verb == "read") return read(actor(word(1)), words.size() > 2);
    if (verb == "transfer")
      return ask(actor(word(1)), rl::TransferLeadership{++next_request_, node_id(word(2))});
    if (verb == "reconfigure") {
      return reconfigure(actor(word(1)), node_list(word(2)),
                         words.size() > 4 ? node_list(word(4)) : std::vector<NodeId>());
    }
    if (verb == "state") return state(words.size() > 1 ? std::optional(node_id(word(1))) : std::nullopt);
    if (verb == "expect") return expect(rest(1));
    throw Usage{"there is no command '" + verb + "'"};
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  using Link = std::pair<NodeId, NodeId>;
  struct Actor {
    NodeId id;
    std::unique_ptr<rl::Protocol> protocol;  // none while it is down
    Rng rng{1};
    Instant now{1h};
    std::map<TimerId, Instant> timers;
    DurableShadow disk;
    std::vector<std::pair<Ticket, std::size_t>> writing;  // tickets in flight
    Ticket durable;
    bool held = false;
    std::deque<std::pair<Ticket, std::variant<Send<Bytes>, rl::Event>>> gated;
    NodeId leader;
    std::map<Index, std::string> committed;
  };

  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    *out_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void choose(const std::string& name) {
    const auto protocol = registry::find(name);
    if (!protocol) throw Usage{protocol.error()};
    make_ = (*protocol)->make;
  }

  void found(std::uint64_t count, const std::vector<NodeId>& learners) {
    for (std::uint64_t i = 1; i <= count; ++i) {
      const bool learns = std::ranges::find(learners, NodeId(i)) != learners.end();
      initial_.members.push_back({NodeId(i), learns ? Role::learner : Role::voter, {}});
    }
    for (std::uint64_t i = 1; i <= count; ++i) start(actor(NodeId(i)));
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
  Link link(std::string_view text) {
    const std::size_t arrow = text.find("->");
    if (arrow == std::string_view::npos) throw Usage{"a link is written 1->2"};
    return {node_id(text.substr(0, arrow)), node_id(text.substr(arrow + 2))};
  }

  void start(Actor& a) {
    if (!make_) throw Usage{"choose a protocol first"};
    rl::Settings settings;
    settings.self = a.id;
    settings.max_batch_bytes = max_batch_bytes_;
    if (initial_.find(a.id) != nullptr) settings.initial = initial_;
    a.durable = {};
    a.protocol = make_(settings, a.disk.contents());
    Env env{a.now, a.rng};
    a.protocol->start(env);
    effects(a);
  }

  void input(Actor& a, rl::Protocol::In in) {
    if (!a.protocol) return;
    Env env{a.now, a.rng};
    a.protocol->step(env, std::move(in));
    effects(a);
  }
  void ask(Actor& a, rl::Request request) { input(a, Ask<rl::Request>{std::move(request)}); }

  void effects(Actor& a) {
    for (auto& effect : a.protocol->take()) {
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        send->after > a.durable ? void(a.gated.emplace_back(send->after, *send)) : post(a, *send);
      } else if (auto* persist = std::get_if<Persist>(&effect)) {
        a.disk.submitted(persist->writes);
        a.writing.emplace_back(persist->ticket, 1);
      } else if (auto* set = std::get_if<SetTimer>(&effect)) {
        a.timers[set->id] = set->at;
      } else if (auto* cancel = std::get_if<CancelTimer>(&effect)) {
        a.timers.erase(cancel->id);
      } else {
        auto& emit = std::get<Emit<rl::Event>>(effect);
        emit.after > a.durable ? void(a.gated.emplace_back(emit.after, emit.event)) : tell(a, emit.event);
      }
    }
    if (!a.held && !a.writing.empty()) flush(a);
  }

  void flush(Actor& a) {
    a.durable = a.writing.back().first;
    a.disk.synced(a.writing.size());
    a.writing.clear();
    for (auto it = a.gated.begin(); it != a.gated.end();) {
      if (it->first > a.durable) {
        ++it;
        continue;
      }
      auto effect = std::move(it->second);
      it = a.gated.erase(it);
      if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
        post(a, *send);
      } else {
        tell(a, std::get<rl::Event>(effect));
      }
    }
    input(a, Persisted{a.durable});
  }

  void post(const Actor& a, const Send<Bytes>& send) {
    ++sent_;
    if (separated(a.id, send.to))
      return say("{}->{} lost {}", a.id.value, send.to.value, a.protocol->explain(send.message));
    wire_[{a.id, send.to}].push_back(send.message);
  }

  [[nodiscard]] bool separated(NodeId a, NodeId b) const {
    const auto group = [&](NodeId id) { return groups_.contains(id) ? groups_.at(id) : -1; };
    return !groups_.empty() && group(a) != group(b);
  }

  void tell(Actor& a, const rl::Event& event) {
    if (const auto* committed = std::get_if<rl::Committed>(&event)) {
      for (const Entry& entry : committed->entries) {
        const std::string text = entry.kind == EntryKind::payload      ? entry.payload.str()
                                 : entry.kind == EntryKind::membership ? "(membership)"
                                                                       : "(no-op)";
        a.committed[entry.index] = text;
        say("{} commits {} {}", a.id.value, entry.index.value, text);
      }
    } else if (const auto* leader = std::get_if<rl::LeaderChanged>(&event)) {
      a.leader = leader->leader;
      if (a.leader == a.id) say("{} leads epoch {}", a.id.value, leader->epoch.value);
    } else if (const auto* ready = std::get_if<rl::ReadReady>(&event)) {
      say("{} may read {} at index {}", a.id.value, fmt::join(ready->ids, ","), ready->index.value);
    } else if (const auto* refused = std::get_if<rl::Refused>(&event)) {
      static constexpr const char* reasons[] = {"not leader",     "no leader", "busy",
                                                "change pending", "invalid",   "lost leadership"};
      say("{} refuses {}: {}", a.id.value, refused->id, reasons[static_cast<std::size_t>(refused->reason)]);
    } else if (const auto* changed = std::get_if<rl::MembershipChanged>(&event)) {
      std::vector<std::uint64_t> voters, outgoing;
      for (const NodeId id : changed->membership.voters()) voters.push_back(id.value);
      for (const NodeId id : changed->membership.outgoing) outgoing.push_back(id.value);
      if (changed->index.none()) return;
      say("{} has voters {}{}{}{}", a.id.value, fmt::join(voters, ","),
          outgoing.empty() ? "" : " and until then ", fmt::join(outgoing, ","),
          changed->committed ? "" : ", uncommitted");
    } else if (const auto* halt = std::get_if<rl::Halt>(&event)) {
      say("{} halts: {}", a.id.value, halt->reason);
    }
  }

  void time_out(Actor& a) {
    if (!a.protocol || a.timers.empty()) return say("{} has no timer", a.id.value);
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

  void advance(const std::vector<NodeId>& ids, const std::string& by) {
    const auto ms = number(std::string_view(by).substr(0, by.find("ms")));
    if (!ms || !by.ends_with("ms")) throw Usage{"a duration is written 300ms"};
    for (const NodeId id : ids) actor(id).now += std::chrono::milliseconds(*ms);
  }

  bool deliver_one(const Link& on) {
    auto& queue = wire_[on];
    if (queue.empty()) return false;
    const Bytes message = std::move(queue.front());
    queue.pop_front();
    Actor& to = actor(on.second);
    const Actor& from = actor(on.first);
    const auto* speaker = to.protocol ? to.protocol.get() : from.protocol.get();
    if (speaker == nullptr) return true;
    say("{}->{} {}{}", on.first.value, on.second.value, to.protocol ? "" : "lost ",
        speaker->explain(message));
    input(to, Receive<Bytes>{on.first, message});
    return true;
  }
  void deliver(const Link& on, std::uint64_t count) {
    for (count = std::min<std::uint64_t>(count, wire_[on].size()); count != 0; --count) deliver_one(on);
  }
  void drop(const Link& on) {
    say("{} lost", wire_[on].size());
    wire_[on].clear();
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
    say("still talking after 100 rounds");
  }

  void partition(const Words& words) {
    groups_.clear();
    int group = 0;
    for (const std::string& word : words) {
      if (word == "|") {
        ++group;
        continue;
      }
      for (const NodeId id : node_list(word)) groups_[id] = group;
    }
    for (auto& [on, queue] : wire_) {
      if (separated(on.first, on.second)) queue.clear();
    }
  }

  void hold(Actor& a) { a.held = true; }
  void release(Actor& a) {
    a.held = false;
    if (a.protocol && !a.writing.empty()) flush(a);
  }

  void crash(Actor& a) {
    a.protocol.reset();
    a.timers.clear();
    a.gated.clear();
    a.writing.clear();
    a.disk.lose_in_flight();
    a.leader = {};
    a.held = false;
    for (auto& [on, queue] : wire_) {
      if (on.second == a.id) queue.clear();
    }
  }
  void restart(Actor& a) {
    if (a.protocol) throw Usage{"it is up"};
    start(a);
  }

  void propose(Actor& a, const Words& payloads) {
    std::vector<Bytes> bytes;
    for (const std::string& text : payloads) bytes.push_back(Bytes::copy(text));
    ask(a, rl::Propose{++next_request_, std::move(bytes)});
  }
  void read(Actor& a, bool lease) {
    ask(a, rl::ReadBarrier{++next_request_, lease ? rl::ReadMode::lease : rl::ReadMode::quorum});
  }
  void reconfigure(Actor& a, const std::vector<NodeId>& voters, const std::vector<NodeId>& learners) {
    std::vector<Member> members;
    for (const NodeId id : voters) members.push_back({id, Role::voter, {}});
    for (const NodeId id : learners) members.push_back({id, Role::learner, {}});
    std::ranges::sort(members, {}, &Member::id);
    for (const Member& member : members) {
      if (Actor& each = actor(member.id); !each.protocol && each.disk.empty()) start(each);
    }
    ask(a, rl::Reconfigure{++next_request_, std::move(members)});
  }

  void state(std::optional<NodeId> only) {
    for (auto& [id, a] : actors_) {
      if (only && *only != id) continue;
      say("{}", a.protocol ? a.protocol->describe() : fmt::format("n{} down", id.value));
    }
  }

  void check(bool holds, const std::string& what) {
    if (holds) return;
    failed_ = true;
    say("FAILED {}", what);
  }
  void expect(const Words& words) {
    const std::string text = fmt::format("{}", fmt::join(words, " "));
    if (words.size() == 2 && words[0] == "leader")
      return check(actor(words[1]).leader == node_id(words[1]), text);
    if (words.size() == 2 && words[0] == "no") {
      const bool any = std::ranges::any_of(actors_, [](const auto& each) {
        return !each.second.leader.none() && each.second.leader == each.first;
      });
      return check(!any, text);
    }
    const bool nothing = words.size() == 3 && words[0] == "nothing" && words[1] == "committed";
    if (!nothing && (words.size() < 2 || words[0] != "committed")) throw Usage{"expect what?"};
    Words got;
    for (const auto& [index, what] : actor(words[nothing ? 2 : 1]).committed) {
      if (what.front() != '(') got.push_back(what);
    }
    check(got == (nothing ? Words() : Words(words.begin() + 2, words.end())),
          fmt::format("{}: committed is {}", text, fmt::join(got, " ")));
  }

  std::string* out_ = nullptr;
  rl::Factory make_;
  Membership initial_;
  std::map<NodeId, Actor> actors_;
  std::map<Link, std::deque<Bytes>> wire_;
  std::map<NodeId, int> groups_;
  std::uint64_t next_request_ = 0;
  std::size_t max_batch_bytes_ = 1U << 20U;
  std::uint64_t sent_ = 0;
  bool failed_ = false;
};

}  // namespace

ScenarioResult run_scenario(std::string_view text) {
  ScenarioResult result;
  Theatre theatre;
  bool output = false;  // within a command's old output, which ends with an empty line
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (output) {
      output = !line.empty();
      continue;
    }
    if (line == "----") {
      output = true;
      continue;
    }
    result.text += line + "\n";
    if (line.empty() || line[0] == '#') continue;
    std::istringstream split(line);
    Words words;
    for (std::string word; split >> word;) words.push_back(word);
    std::string out;
    try {
      theatre.run(words, out);
    } catch (const Usage& usage) {
      out += "FAILED " + usage.what + "\n";
      result.failed = true;
    }
    if (!out.empty()) result.text += "----\n" + out + "\n";
  }
  result.failed = result.failed || theatre.failed();
  return result;
}

}  // namespace quorate::sim
