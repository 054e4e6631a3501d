// For the tests of the replica against a scripted protocol: the test reads what the replica asks and decides
// what the protocol answers.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replica/replica.h"
#include "storage/memory_engine.h"

namespace quorate::replica::testing {

namespace rl = replicated_log;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Records its inputs; gives out the effects that the test has put in.
class ScriptedProtocol final : public rl::Protocol {
 public:
  void start(Env&) override {}
  void step(Env&, In&& input) override {
    if (refuse_with) {
      if (auto* ask = std::get_if<Ask<rl::Request>>(&input)) {
        if (auto* propose = std::get_if<rl::Propose>(&ask->request))
          emit(rl::Refused{propose->id, *refuse_with, {}});
      }
    }
    inputs.push_back(std::move(input));
  }
  std::optional<std::string> check_invariants() const override { return std::nullopt; }
  std::string describe() const override { return "scripted"; }
  std::string explain(const Bytes&) const override { return "{}"; }

  void emit(rl::Event event, Ticket after = {}) {
    this->effects_.push_back(Emit<rl::Event>{std::move(event), after});
  }
  void persist(Write write) { this->effects_.push_back(Persist{Ticket(1), {std::move(write)}}); }
  void say(NodeId to, std::string_view text, Ticket after) {
    this->effects_.push_back(Send<Bytes>{to, Bytes::copy(text), after});
  }

  template <class R>
  std::vector<R> asked() const {
    std::vector<R> found;
    for (const auto& input : inputs) {
      if (auto* ask = std::get_if<Ask<rl::Request>>(&input)) {
        if (auto* request = std::get_if<R>(&ask->request)) found.push_back(*request);
      }
    }
    return found;
  }

  std::vector<In> inputs;
  std::optional<rl::Refusal> refuse_with;
};

// Appends every command to one text and answers with its length. What begins with "long" takes three steps,
// and leaves a row behind in between.
class TextModel final : public models::Model {
 public:
  void open(storage::Engine& state) override { engine = &state; }
  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    std::string text;
    (void)txn.get(storage::Table(1), "text", text);
    text += command.view();
    latest = text;
    txn.put(storage::Table(1), "text", text);
    return Bytes::adopt(std::to_string(text.size()));
  }
  std::optional<Bytes> begin(const Bytes& command, storage::Transaction& txn, models::Pace& pace) override {
    if (!command.view().starts_with("long")) return Model::begin(command, txn, pace);
    half = command;
    half_txn = &txn;
    steps_left = 2;
    txn.put(storage::Table(1), "half", command.str());
    latest = "half a command";
    pace.spend(pace.left());
    return std::nullopt;
  }
  std::optional<Bytes> go_on() override {
    if (--steps_left > 0) return std::nullopt;
    half_txn->erase(storage::Table(1), "half");
    return apply(std::exchange(half, {}), *half_txn);
  }
  void committed(Index index) override { committed_at.push_back(index); }
  std::optional<Bytes> periodic(const models::ClockReading& now) override {
    clock_seen.push_back(now);
    return std::exchange(wanted, std::nullopt);
  }
  Bytes query(const Bytes&) override { return Bytes::adopt(text()); }
  Bytes digest() const override { return digests ? Bytes::copy(latest) : Bytes(); }
  std::optional<Bytes> diverged(NodeId member) override {
    return Bytes::adopt("diverged " + to_string(member));
  }

  std::string text() const {
    std::string value;
    (void)engine->get(storage::Table(1), "text", value);
    return value;
  }

  storage::Engine* engine = nullptr;
  Bytes half;
  storage::Transaction* half_txn = nullptr;
  int steps_left = 0;
  bool digests = false;
  std::string latest;  // of the last apply(), which may not be committed yet
  std::vector<Index> committed_at;
  std::vector<models::ClockReading> clock_seen;
  std::optional<Bytes> wanted;  // what periodic() asks for next
};

class RecordingHost final : public Host {
 public:
  void send(NodeId to, Bytes frame) override { sent.push_back({to, *codec::decode<Frame>(frame)}); }
  void persist(Ticket, std::vector<Write>) override {}
  void set_timer(TimerId id, Instant at) override { timers[id] = at; }
  void cancel_timer(TimerId id) override { timers.erase(id); }
  void flush_state(Index upto) override { flushes.push_back(upto); }
  void await_flush() override {}
  void halt(const std::string& reason) override { halted = reason; }
  void warn(const std::string& what) override { warnings.push_back(what); }
  void leader_changed(NodeId, Epoch) override {}
  void membership_changed(const Membership&) override {}

  template <class F>
  std::vector<std::pair<NodeId, F>> take() {
    std::vector<std::pair<NodeId, F>> found;
    std::erase_if(sent, [&](auto& message) {
      auto* frame = std::get_if<F>(&message.second);
      if (frame) found.emplace_back(message.first, std::move(*frame));
      return frame != nullptr;
    });
    return found;
  }

  std::vector<std::pair<NodeId, Frame>> sent;
  std::map<TimerId, Instant> timers;
  std::vector<Index> flushes;
  std::string halted;
  std::vector<std::string> warnings;
};

struct Node {
  explicit Node(std::uint64_t id, Config config = {}) {
    config.self = NodeId(id);
    auto scripted = std::make_unique<ScriptedProtocol>();
    protocol = scripted.get();
    auto text_model = std::make_unique<TextModel>();
    model = text_model.get();
    replica = std::make_unique<Replica>(config, host, std::move(scripted), home, *home.open_live(),
                                        std::move(text_model));
    replica->start(env);
  }

  // The protocol emits `event` on its next step.
  void emit(rl::Event event) {
    protocol->emit(std::move(event));
    replica->timer(env, TimerId(7));
  }
  void lead() { emit(rl::LeaderChanged{NodeId(replica->status().self), Epoch(1)}); }
  void follow(std::uint64_t leader, std::uint64_t epoch = 1) {
    emit(rl::LeaderChanged{NodeId(leader), Epoch(epoch)});
  }
  void commit(const Bytes& payload) {
    const Index index = replica->status().applied.next();
    emit(rl::Committed{{Entry{Epoch(1), index, EntryKind::payload, payload}}});
  }
  // Commits what was proposed last.
  void commit_proposed() { commit(protocol->asked<rl::Propose>().back().payloads.at(0)); }

  void propose(std::string_view text) {
    replica->propose(env, Bytes::copy(text), [this](Outcome<Bytes> outcome) {
      outcomes.push_back(outcome ? outcome->str() : to_string(outcome.error()));
    });
  }
  void read() {
    replica->read(env, rl::ReadMode::quorum, [this](Outcome<Index> outcome) {
      outcomes.push_back(outcome ? "read at " + to_string(*outcome) : to_string(outcome.error()));
    });
  }
  void pump() { replica->pump(env); }
  void pass(Duration duration) {  // fires the replica's timers that come due
    const Instant end = env.now + duration;
    for (;;) {
      auto next = std::ranges::min_element(host.timers, {}, [](const auto& timer) { return timer.second; });
      if (next == host.timers.end() || next->second > end) break;
      env.now = std::max(env.now, next->second);
      const TimerId id = next->first;
      host.timers.erase(next);
      replica->timer(env, id);
      pump();
    }
    env.now = end;
  }
  void receive(std::uint64_t from, const Frame& frame) {
    replica->receive(env, NodeId(from), codec::encode(frame));
  }

  Rng rng{1};
  Env env{Instant(1s), rng};
  RecordingHost host;
  storage::MemoryHome home;
  ScriptedProtocol* protocol = nullptr;
  TextModel* model = nullptr;
  std::vector<std::string> outcomes;  // outlives the replica, whose end ends what is open
  std::unique_ptr<Replica> replica;
};

inline Bytes batch(std::initializer_list<Command> commands) {
  return codec::encode(CommandBatch{{commands}});
}
inline Command command(std::uint64_t origin, std::uint64_t number, std::string_view body,
                       std::uint64_t incarnation = 1) {
  return {{NodeId(origin), incarnation, number}, 0, Bytes::copy(body)};
}

// Delivers frames between two nodes until both are quiet; `lose` decides which are lost.
template <class Lose>
void exchange(Node& a, Node& b, Lose&& lose) {
  for (int quiet = 0; quiet < 5;) {
    auto from_a = std::exchange(a.host.sent, {});
    auto from_b = std::exchange(b.host.sent, {});
    if (from_a.empty() && from_b.empty()) {
      ++quiet;
      a.pass(100ms);
      b.pass(100ms);
      continue;
    }
    quiet = 0;
    for (auto& [to, frame] : from_a) {
      if (!lose()) b.receive(a.replica->status().self.value, frame);
    }
    for (auto& [to, frame] : from_b) {
      if (!lose()) a.receive(b.replica->status().self.value, frame);
    }
  }
}

}  // namespace quorate::replica::testing
