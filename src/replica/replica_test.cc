// The replica against a scripted protocol: the test reads what the replica asks and decides what the protocol
// answers.
#include "replica/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/memory_engine.h"

namespace quorate::replica {
namespace {

namespace rl = replicated_log;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Records its inputs; gives out the effects that the test has put in.
class ScriptedProtocol final : public rl::Protocol {
 public:
  void start(Env&) override {}
  void step(Env&, In input) override {
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

// Appends every command to one text and answers with how many there were.
class TextModel final : public models::Model {
 public:
  void open(storage::Engine& state) override { engine = &state; }
  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    std::string text;
    (void)txn.get(storage::Table(1), "text", text);
    text += command.view();
    txn.put(storage::Table(1), "text", text);
    return Bytes::adopt(std::to_string(text.size()));
  }
  void committed(Index index) override { committed_at.push_back(index); }
  std::optional<Bytes> periodic(Duration elapsed) override {
    elapsed_seen.push_back(elapsed);
    return std::exchange(wanted, std::nullopt);
  }
  Bytes query(const Bytes&) override { return Bytes::adopt(text()); }
  Bytes digest() const override { return {}; }

  std::string text() const {
    std::string value;
    (void)engine->get(storage::Table(1), "text", value);
    return value;
  }

  storage::Engine* engine = nullptr;
  std::vector<Index> committed_at;
  std::vector<Duration> elapsed_seen;
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

Bytes batch(std::initializer_list<Command> commands) { return codec::encode(CommandBatch{{commands}}); }
Command command(std::uint64_t origin, std::uint64_t number, std::string_view body,
                std::uint64_t incarnation = 1) {
  return {{NodeId(origin), incarnation, number}, 0, Bytes::copy(body)};
}

TEST(Replica, CommandsBetweenTwoPumpsShareAnEntry) {
  Node node(1);
  node.lead();
  node.propose("a");
  node.propose("b");
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), IsEmpty());
  node.pump();
  ASSERT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1));
  node.commit_proposed();
  EXPECT_THAT(node.outcomes, ElementsAre("1", "2"));
  EXPECT_EQ(node.model->text(), "ab");
}

TEST(Replica, AFollowerForwardsAndSeesTheOutcomeInItsOwnLog) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto forwards = node.host.take<Forward>();
  ASSERT_THAT(forwards, SizeIs(1));
  EXPECT_EQ(forwards[0].first, NodeId(1));
  node.commit(codec::encode(CommandBatch{forwards[0].second.commands}));
  EXPECT_THAT(node.outcomes, ElementsAre("1"));
}

TEST(Replica, ALostForwardIsSentAgainAndADuplicateExecutedOnce) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto first = node.host.take<Forward>();
  node.pass(1s);
  const auto second = node.host.take<Forward>();
  ASSERT_THAT(second, testing::Not(IsEmpty()));
  node.commit(codec::encode(CommandBatch{second[0].second.commands}));
  node.commit(codec::encode(CommandBatch{first[0].second.commands}));
  EXPECT_THAT(node.outcomes, ElementsAre("1"));
  EXPECT_EQ(node.model->text(), "x");
}

TEST(Replica, ANewLeaderGetsEverythingWithoutAnOutcome) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  (void)node.host.take<Forward>();
  node.follow(3, 2);
  node.pump();
  const auto forwards = node.host.take<Forward>();
  ASSERT_THAT(forwards, SizeIs(1));
  EXPECT_EQ(forwards[0].first, NodeId(3));
}

TEST(Replica, WithoutALeaderNothingHappenedAndThatIsSaid) {
  Node node(2);
  node.propose("x");
  node.pass(10s);
  EXPECT_THAT(node.outcomes, ElementsAre("no leader"));
}

TEST(Replica, WhatWasSentMayHaveHappened) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto forwards = node.host.take<Forward>();
  node.pass(10s);
  EXPECT_THAT(node.outcomes, ElementsAre("timed out, outcome unknown"));
  // Given up means given up: a later command says so, and the late one is not executed any more.
  node.propose("y");
  node.pump();
  const auto later = node.host.take<Forward>();
  node.commit(codec::encode(CommandBatch{later.back().second.commands}));
  node.commit(codec::encode(CommandBatch{forwards[0].second.commands}));
  EXPECT_EQ(node.model->text(), "y");
}

TEST(Replica, TooMuchPendingIsRefusedAtOnce) {
  Node node(1, {.self = {}, .max_pending = 2});
  node.propose("a");
  node.propose("b");
  node.propose("c");
  EXPECT_THAT(node.outcomes, ElementsAre("too many requests"));
}

TEST(Replica, ARefusedBatchWaitsForTheNextTick) {
  Node node(1);
  node.lead();
  node.protocol->refuse_with = rl::Refusal::busy;
  node.propose("a");
  node.pump();
  node.pump();
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1)) << "no hammering";
  node.protocol->refuse_with.reset();
  node.pass(200ms);
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(2));
  node.commit_proposed();
  EXPECT_THAT(node.outcomes, ElementsAre("1"));
}

TEST(Replica, ARefusedBatchOfOthersDoesNotBlockALeaderWithNothingOfItsOwn) {
  Node node(1);
  node.lead();
  node.protocol->refuse_with = rl::Refusal::busy;
  node.receive(2, Forward{{command(2, 1, "x")}});
  node.pump();
  EXPECT_THAT(node.host.take<ForwardRefused>(), SizeIs(1));
  node.protocol->refuse_with.reset();
  node.pass(1s);
  node.receive(2, Forward{{command(2, 1, "x")}});
  node.pump();
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(2));
}

TEST(Replica, WhatOthersForwardIsBoundedInBytes) {
  Node node(1, {.self = {}, .max_pending_bytes = 5});  // and no leader is known: nothing flows off
  node.receive(2, Forward{{command(2, 1, "four")}});
  EXPECT_THAT(node.host.take<ForwardRefused>(), IsEmpty());
  node.receive(2, Forward{{command(2, 2, "four")}});
  const auto refusals = node.host.take<ForwardRefused>();
  ASSERT_THAT(refusals, SizeIs(1));
  EXPECT_TRUE(refusals[0].second.busy);
  node.lead();
  node.pump();
  node.receive(2, Forward{{command(2, 2, "four")}});
  EXPECT_THAT(node.host.take<ForwardRefused>(), IsEmpty());
}

TEST(Replica, AFollowerAskedToProposeSaysWhoLeads) {
  Node node(2);
  node.follow(1);
  node.receive(3, Forward{{command(3, 1, "x")}});
  node.pump();
  const auto refusals = node.host.take<ForwardRefused>();
  ASSERT_THAT(refusals, SizeIs(1));
  EXPECT_EQ(refusals[0].first, NodeId(3));
  EXPECT_EQ(refusals[0].second.leader, NodeId(1));
}

TEST(Replica, GatedEffectsWaitForTheirTicket) {
  Node node(1);
  node.protocol->say(NodeId(2), "vote", Ticket(2));
  node.protocol->say(NodeId(2), "append", Ticket(1));
  node.replica->timer(node.env, TimerId(7));
  EXPECT_THAT(node.host.take<ProtocolFrame>(), IsEmpty());
  node.replica->persisted(node.env, Ticket(1));
  ASSERT_THAT(node.host.sent, SizeIs(1));
  EXPECT_EQ(node.host.take<ProtocolFrame>()[0].second.message, "append");
  node.replica->persisted(node.env, Ticket(2));
  EXPECT_EQ(node.host.take<ProtocolFrame>().at(0).second.message, "vote");
}

TEST(Replica, AReadWaitsUntilItsIndexIsApplied) {
  Node node(1);
  node.lead();
  node.read();
  node.read();
  node.pump();
  const auto barriers = node.protocol->asked<rl::ReadBarrier>();
  ASSERT_THAT(barriers, SizeIs(1)) << "reads share a barrier";
  node.emit(rl::ReadReady{{barriers[0].id}, Index(1)});
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.commit(batch({command(3, 1, "x")}));
  EXPECT_THAT(node.outcomes, ElementsAre("read at 1", "read at 1"));
}

TEST(Replica, AReadOfAnIndexThatIsNeverAppliedIsGivenUp) {
  Node node(1);
  node.read();
  node.pump();
  node.emit(rl::ReadReady{{node.protocol->asked<rl::ReadBarrier>().at(0).id}, Index(3)});
  node.pass(4s);
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.pass(2s);
  EXPECT_THAT(node.outcomes, ElementsAre("no leader"));
}

TEST(Replica, AnUnansweredBarrierIsAskedAgainAndTheOldAnswerIgnored) {
  Node node(1);
  node.lead();
  node.read();
  node.pump();
  node.pass(500ms);
  const auto barriers = node.protocol->asked<rl::ReadBarrier>();
  ASSERT_GE(barriers.size(), 2U);
  node.emit(rl::ReadReady{{barriers.front().id}, Index(0)});
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.emit(rl::ReadReady{{barriers.back().id}, Index(0)});
  EXPECT_THAT(node.outcomes, ElementsAre("read at 0"));
}

TEST(Replica, ACommitBehindAGapHalts) {
  Node node(1);
  node.emit(rl::Committed{{Entry{Epoch(1), Index(5), EntryKind::noop, {}}}});
  EXPECT_THAT(node.host.halted, testing::HasSubstr("entry 5 committed while 0 is applied"));
}

TEST(Replica, AnotherProcessWithThisNodesIdHalts) {
  Node node(1);
  node.commit(batch({command(1, 1, "x", 2)}));
  EXPECT_THAT(node.host.halted, testing::HasSubstr("another process"));
}

TEST(Replica, WhatTheModelWantedAsALeadersIsNotHandedToTheNextLeader) {
  Node node(1);
  node.lead();
  node.model->wanted = Bytes::literal("tick");
  node.pass(250ms);
  ASSERT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1));
  node.host.take<Forward>();
  node.follow(2, 2);
  node.pass(1s);
  EXPECT_THAT(node.host.take<Forward>(), IsEmpty());
  node.emit(rl::LeaderChanged{NodeId(1), Epoch(3)});
  node.pass(200ms);
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(1));
  node.model->wanted = Bytes::literal("tick");  // and it may ask again
  node.pass(250ms);
  EXPECT_THAT(node.protocol->asked<rl::Propose>(), SizeIs(2));
}

TEST(Replica, TimeOfAPauseDoesNotReachTheModel) {
  Node node(1);
  node.lead();
  node.pass(250ms);
  node.env.now += 1h;  // frozen
  node.host.timers.clear();
  node.replica->timer(node.env, TimerId((3ULL << 62U) + 2));
  ASSERT_FALSE(node.model->elapsed_seen.empty());
  EXPECT_LE(std::ranges::max(node.model->elapsed_seen), 500ms);
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

TEST(Replica, ASnapshotArrivesWholeThoughChunksAreLost) {
  Config config;
  config.snapshot_chunk_bytes = 64;
  Node sender(1, config);
  Node receiver(2, config);
  sender.lead();
  for (std::uint64_t i = 1; i <= 50; ++i) {
    sender.commit(batch({command(9 + i, 1, std::string(100, static_cast<char>('a' + i % 26)))}));
  }
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  sender.commit(batch({command(3, 1, "later")}));  // not part of what was pinned
  Rng rng(5);
  exchange(sender, receiver, [&] { return rng.chance(0.2); });
  const auto received = receiver.protocol->asked<rl::SnapshotReceived>();
  ASSERT_THAT(received, SizeIs(1));
  EXPECT_EQ(received[0].meta.index, Index(50));
  EXPECT_EQ(receiver.replica->status().applied, Index(0)) << "not before the protocol says so";
  receiver.emit(rl::Restore{received[0].meta});
  EXPECT_EQ(receiver.host.halted, "");
  EXPECT_EQ(receiver.replica->status().applied, Index(50));
  EXPECT_EQ(receiver.model->text().size(), 5'000U);
  const auto delivered = sender.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_TRUE(delivered[0].ok);
}

TEST(Replica, ASnapshotOfAClusterNeverChangedNamesItsMembers) {
  const Membership initial{{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}}, {}, {}};
  Node sender(1);
  sender.emit(rl::MembershipChanged{initial, Index(), true});
  sender.lead();
  sender.commit(batch({command(9, 1, "x")}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  const auto chunks = sender.host.take<SnapshotChunk>();
  ASSERT_FALSE(chunks.empty());
  EXPECT_EQ(chunks[0].second.meta.membership, initial);
}

TEST(Replica, ASnapshotThatNobodyAnswersIsGivenUp) {
  Node sender(1);
  sender.lead();
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  sender.pass(30s);
  const auto delivered = sender.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_FALSE(delivered[0].ok);
}

TEST(Replica, AStagedStateIsKeptOnceTheLogIsCutInFrontOfIt) {
  // 1. a snapshot at 1 is staged; 2. the protocol cuts its log there; 3. another sender brings one at 2,
  // before
  // 4. the cut is durable and the state restored. Without the first state a crash would end this node.
  Node first(1);
  Node receiver(2);
  Node second(3);
  first.commit(batch({command(9, 1, "x")}));
  first.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(first, receiver, [] { return false; });
  const auto meta = receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta;
  receiver.protocol->persist(SnapshotTaken{meta});
  receiver.replica->timer(receiver.env, TimerId(7));
  second.commit(batch({command(9, 1, "x")}));
  second.commit(batch({command(9, 2, "y")}));
  second.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(second, receiver, [] { return false; });
  EXPECT_FALSE(second.protocol->asked<rl::SnapshotDelivered>().at(0).ok);
  receiver.emit(rl::Restore{meta});
  EXPECT_EQ(receiver.host.halted, "");
  EXPECT_EQ(receiver.model->text(), "x");
}

TEST(Replica, ARestoreEndsTheSendingOfTheStateItReplaces) {
  Node sender(1);
  Node receiver(2);
  receiver.commit(batch({command(9, 1, "x")}));
  receiver.emit(rl::SendSnapshot{NodeId(3), Epoch(1)});
  receiver.host.sent.clear();
  sender.commit(batch({command(9, 1, "x")}));
  sender.commit(batch({command(9, 2, "y")}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(sender, receiver, [] { return false; });
  receiver.emit(rl::Restore{receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta});
  EXPECT_EQ(receiver.host.halted, "");
  receiver.pump();
  const auto delivered = receiver.protocol->asked<rl::SnapshotDelivered>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_EQ(delivered[0].to, NodeId(3));
  EXPECT_FALSE(delivered[0].ok);
}

TEST(Replica, OwnCommandsWithinASnapshotHaveAnUnknownOutcome) {
  Node sender(1);
  Node receiver(2);
  receiver.follow(1);
  receiver.propose("x");
  receiver.pump();
  const auto forwards = receiver.host.take<Forward>();
  sender.lead();
  sender.commit(codec::encode(CommandBatch{forwards[0].second.commands}));
  sender.emit(rl::SendSnapshot{NodeId(2), Epoch(1)});
  exchange(sender, receiver, [] { return false; });
  EXPECT_THAT(receiver.outcomes, IsEmpty());
  receiver.emit(rl::Restore{receiver.protocol->asked<rl::SnapshotReceived>().at(0).meta});
  EXPECT_EQ(receiver.model->text(), "x");
  EXPECT_THAT(receiver.outcomes, ElementsAre("timed out, outcome unknown"));
}

TEST(Replica, TheLogMayBeCutOnceTheStateIsFlushed) {
  Node node(1, {.self = {}, .flush_after_entries = 3});
  for (std::uint64_t i = 1; i <= 3; ++i) node.commit(batch({command(3, i, "x")}));
  EXPECT_THAT(node.host.flushes, ElementsAre(Index(3)));
  node.commit(batch({command(3, 4, "x")}));
  EXPECT_THAT(node.protocol->asked<rl::SnapshotAvailable>(), IsEmpty());
  node.replica->flushed(node.env, Index(3));
  const auto available = node.protocol->asked<rl::SnapshotAvailable>();
  ASSERT_THAT(available, SizeIs(1));
  EXPECT_EQ(available[0].meta.index, Index(3)) << "the index that was flushed, not the one applied since";
}

TEST(Replica, CloseEndsEveryOperation) {
  Node node(1);
  node.propose("a");
  node.read();
  node.replica->transfer(node.env, NodeId(3), [&](const Outcome<Bytes>& outcome) {
    node.outcomes.emplace_back(outcome ? "done" : to_string(outcome.error()));
  });
  node.replica->close();
  EXPECT_THAT(node.outcomes, ElementsAre("stopping", "stopping", "stopping"));
}

TEST(Replica, AChangeIsDoneWhenItIsInForce) {
  Node node(2);
  node.follow(1);
  const std::vector<Member> members{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}};
  node.replica->reconfigure(node.env, members, [&](const Outcome<Bytes>& outcome) {
    node.outcomes.emplace_back(outcome ? "done" : to_string(outcome.error()));
  });
  node.pump();
  const auto asks = node.host.take<ForwardReconfigure>();
  ASSERT_THAT(asks, SizeIs(1));
  node.receive(1, ForwardAnswer{asks[0].second.id, true, 0, NodeId(1)});
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.emit(rl::Committed{
      {Entry{Epoch(1), Index(1), EntryKind::membership, codec::encode(Membership{members, {}, {}})}}});
  EXPECT_THAT(node.outcomes, ElementsAre("done"));
}

struct Changing : Node {
  Changing() : Node(2) {
    follow(1);
    replica->reconfigure(env, members, [&](const Outcome<Bytes>& outcome) {
      outcomes.emplace_back(outcome ? "done" : to_string(outcome.error()));
    });
    pump();
    id = host.take<ForwardReconfigure>().at(0).second.id;
  }
  void answer(bool accepted, rl::Refusal refusal = {}) {
    receive(1, ForwardAnswer{id, accepted, static_cast<std::uint8_t>(refusal), NodeId(1)});
  }
  std::vector<Member> members{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}};
  std::uint64_t id = 0;
};

TEST(Replica, AChangeThatMeetsAnotherIsRefused) {
  Changing node;
  node.answer(false, rl::Refusal::change_pending);
  EXPECT_THAT(node.outcomes, ElementsAre("another change is under way"));
}

// The answer to the first request is lost, and the second request finds the change that the first began.
TEST(Replica, AChangeThatMeetsItselfIsNotRefused) {
  Changing node;
  node.pass(1s);
  ASSERT_THAT(node.host.take<ForwardReconfigure>(), testing::Not(IsEmpty()));
  node.answer(false, rl::Refusal::change_pending);
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.emit(rl::Committed{
      {Entry{Epoch(1), Index(1), EntryKind::membership, codec::encode(Membership{node.members, {}, {}})}}});
  EXPECT_THAT(node.outcomes, ElementsAre("done"));
}

TEST(Replica, AnAcceptedChangeIsNotRefusedByAnEchoOfItsRequest) {
  Changing node;
  node.answer(true);
  node.answer(false, rl::Refusal::change_pending);
  EXPECT_THAT(node.outcomes, IsEmpty());
}

TEST(Replica, AForwardedChangeWithoutAnAnswerMayHaveHappened) {
  Changing node;
  node.pass(10s);
  EXPECT_THAT(node.outcomes, ElementsAre("timed out, outcome unknown"));
}

// A cluster that takes longer than the pause between two attempts must not get all of its load again and
// again.
TEST(Replica, ForwardsAreRepeatedAtGrowingIntervals) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  node.pass(4500ms);
  EXPECT_LE(node.host.take<Forward>().size(), 4U);
}

TEST(Replica, ABusyLeaderIsNotAskedAgainAtOnce) {
  Node node(2);
  node.follow(1);
  node.propose("x");
  node.pump();
  const auto ids = std::vector{node.host.take<Forward>().at(0).second.commands.at(0).id};
  node.receive(1, ForwardRefused{ids, NodeId(1), true});
  node.pass(300ms);
  EXPECT_THAT(node.host.take<Forward>(), IsEmpty());
  node.pass(500ms);
  EXPECT_THAT(node.host.take<Forward>(), SizeIs(1));
}

Recovered cut_at(std::uint64_t index) {
  Recovered recovered;
  recovered.snapshot = SnapshotMeta{Index(index), Epoch(1), {}, {}};
  return recovered;
}

// A staged state up to `index`, flushed; whole or not.
void stage(storage::MemoryHome& home, std::uint64_t index, bool whole) {
  auto staging = *home.create_staging();
  storage::Batch rows;
  std::string applied;
  codec::encode_to(applied, AppliedPoint{Index(index), Epoch(1), {}});
  rows.put(storage::Table::system, "applied", applied);
  if (whole) rows.put(storage::Table::system, std::string(complete_key), "");
  staging->write(rows);
  ASSERT_TRUE(staging->flush());
}

TEST(RecoverState, FinishesAnInstallationThatACrashInterrupted) {
  storage::MemoryHome home;
  stage(home, 9, true);
  home.crash();
  const auto live = Replica::recover_state(home, cut_at(9));
  ASSERT_TRUE(live) << live.error();
  EXPECT_EQ(State::read_applied(**live).index, Index(9));
}

TEST(RecoverState, DropsAStagedStateThatTheLogDoesNotKnow) {
  storage::MemoryHome home;
  stage(home, 9, true);
  const auto live = Replica::recover_state(home, {});
  ASSERT_TRUE(live) << live.error();
  EXPECT_EQ(State::read_applied(**live).index, Index(0));
  EXPECT_FALSE(home.open_staging());
}

TEST(RecoverState, RefusesALogWhoseStateIsGone) {
  storage::MemoryHome home;
  EXPECT_FALSE(Replica::recover_state(home, cut_at(9)));
  stage(home, 9, false);
  const auto half = Replica::recover_state(home, cut_at(9));
  ASSERT_FALSE(half);
  EXPECT_THAT(half.error(), testing::HasSubstr("the state directory was lost"));
}

}  // namespace
}  // namespace quorate::replica
