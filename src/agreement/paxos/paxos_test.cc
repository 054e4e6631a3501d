// Each rule of Paxos Made Simple against the messages of one node.
#include "agreement/paxos/paxos.h"

#include <gmock/gmock.h>

#include "agreement/paxos/test_cluster.h"
#include "core/codec.h"

namespace quorate::paxos {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr NodeId n1{1}, n2{2}, n3{3}, n4{4}, n5{5};

Bytes text(std::string_view s) { return Bytes::copy(s); }

// One node, its disk, and what it wants sent. Nothing is durable before sync().
class Bench {
 public:
  explicit Bench(NodeId self, std::vector<NodeId> members = {n1, n2, n3}, Options options = {})
      : settings_{.self = self, .members = std::move(members)}, options_(options) {
    restart();
  }
  // Forgets what was not synced.
  void restart() {
    out_ = {};
    pending_.clear();
    sent_.clear();
    decided.reset();
    timers.clear();
    paxos_.emplace(settings_, options_, disk);
    auto env = this->env();
    paxos_->start(env, out_);
    take();
  }
  void receive(NodeId from, Message m) { step(Receive<Message>{from, std::move(m)}); }
  void propose(std::string_view value) { step(Ask<agreement::Request>{agreement::Propose{text(value)}}); }
  void learn() { step(Ask<agreement::Request>{agreement::Learn{}}); }
  void fire(TimerId id) {
    now_ = std::max(now_, timers.at(id));
    timers.erase(id);
    step(TimerFired{id});
  }
  void sync() {
    while (!pending_.empty()) {
      const Ticket upto = pending_.back().ticket;
      for (const auto& persist : pending_) {
        for (const auto& write : persist.writes) test::apply(disk, write);
      }
      pending_.clear();
      durable_ = upto;
      step(Persisted{upto});
    }
  }
  // The messages of type M that may leave, since the last call.
  template <class M>
  std::vector<std::pair<NodeId, M>> sent() {
    std::vector<std::pair<NodeId, M>> found;
    std::erase_if(sent_, [&](const Send<Message>& send) {
      const auto* m = std::get_if<M>(&send.message);
      if (!m || send.after > durable_) return false;
      found.emplace_back(send.to, *m);
      return true;
    });
    return found;
  }
  // Drives phase 1 to its end with two promises from others.
  Ballot prepared(std::string_view value) {
    propose(value);
    sync();
    const auto prepares = sent<Prepare>();
    EXPECT_FALSE(prepares.empty());
    return prepares.empty() ? Ballot{} : prepares.front().second.n;
  }
  Paxos& paxos() { return *paxos_; }

  Recovered disk;
  std::optional<std::string> decided;
  std::map<TimerId, Instant> timers;

 private:
  Env env() { return {now_, rng_}; }
  void step(Input<Message, agreement::Request> input) {
    auto env = this->env();
    paxos_->step(env, input, out_);
    take();
    EXPECT_EQ(paxos_->check_invariants(), std::nullopt);
  }
  void take() {
    for (auto& effect : out_.take()) {
      if (auto* send = std::get_if<Send<Bytes>>(&effect))
        sent_.push_back({send->to, codec::decode<Message>(send->message).value(), send->after});
      if (auto* persist = std::get_if<Persist>(&effect)) pending_.push_back(*persist);
      if (auto* set = std::get_if<SetTimer>(&effect)) timers[set->id] = set->at;
      if (auto* cancel = std::get_if<CancelTimer>(&effect)) timers.erase(cancel->id);
      if (auto* emit = std::get_if<Emit<agreement::Event>>(&effect)) {
        EXPECT_FALSE(decided) << "decided twice";
        decided = std::get<agreement::Decided>(emit->event).value.str();
      }
    }
  }

  agreement::Settings settings_;
  Options options_;
  std::optional<Paxos> paxos_;
  Out out_;
  std::vector<Persist> pending_;
  std::vector<Send<Message>> sent_;
  Ticket durable_;
  Instant now_{1s};
  Rng rng_{1};
};

Ballot b(std::uint64_t round, NodeId node) { return {round, node}; }

// ---------------------------------------------------------------------------------------------- acceptor

TEST(Acceptor, PromiseIsDurableBeforeItLeaves) {
  Bench node(n1);
  node.receive(n2, Prepare{b(5, n2)});
  EXPECT_THAT(node.sent<Promise>(), IsEmpty());
  EXPECT_TRUE(node.disk.records.empty());
  node.sync();
  ASSERT_EQ(node.sent<Promise>().size(), 1U);
  EXPECT_EQ(codec::decode<Ballot>(node.disk.records.at(promised_key)), b(5, n2));
}

TEST(Acceptor, AcceptedIsDurableBeforeItLeaves) {
  Bench node(n1);
  node.receive(n2, Accept{b(5, n2), text("v")});
  EXPECT_THAT(node.sent<Accepted>(), IsEmpty());
  node.sync();
  ASSERT_EQ(node.sent<Accepted>().size(), 1U);
  EXPECT_EQ(codec::decode<Proposal>(node.disk.records.at(accepted_key)), (Proposal{b(5, n2), text("v")}));
}

TEST(Acceptor, ARepeatedRequestWaitsForTheSameDurability) {
  Bench node(n1);
  node.receive(n2, Prepare{b(5, n2)});
  node.receive(n2, Prepare{b(5, n2)});
  EXPECT_THAT(node.sent<Promise>(), IsEmpty());
  node.sync();
  EXPECT_EQ(node.sent<Promise>().size(), 2U);
  node.receive(n2, Accept{b(5, n2), text("v")});
  node.receive(n2, Accept{b(5, n2), text("v")});
  EXPECT_THAT(node.sent<Accepted>(), IsEmpty());
}

TEST(Acceptor, AcceptsIffTheBallotIsAtLeastThePromise) {
  Bench node(n1);
  node.receive(n2, Prepare{b(5, n2)});
  node.receive(n3, Accept{b(4, n3), text("below")});
  node.receive(n2, Accept{b(5, n2), text("equal")});
  node.sync();
  const auto nacks = node.sent<Nack>();
  ASSERT_EQ(nacks.size(), 1U);
  EXPECT_EQ(nacks[0].second.n, b(4, n3));
  EXPECT_EQ(nacks[0].second.promised, b(5, n2));
  node.receive(n3, Accept{b(9, n3), text("above, without a promise to it")});
  node.sync();
  const auto accepted = node.sent<Accepted>();
  ASSERT_EQ(accepted.size(), 2U);
  EXPECT_EQ(accepted[0].second.n, b(5, n2));
  EXPECT_EQ(accepted[1].second.n, b(9, n3));
}

TEST(Acceptor, AcceptingRaisesThePromise) {
  Bench node(n1);
  node.receive(n3, Accept{b(9, n3), text("v")});
  node.sync();
  node.receive(n2, Prepare{b(8, n2)});
  node.receive(n2, Accept{b(8, n2), text("older")});
  node.sync();
  EXPECT_THAT(node.sent<Promise>(), IsEmpty());
  EXPECT_EQ(node.sent<Nack>().size(), 2U);
}

TEST(Acceptor, ThePromiseRaisedByAcceptingSurvivesRestart) {
  Bench node(n1);
  node.receive(n3, Accept{b(9, n3), text("v")});
  node.sync();
  node.restart();
  node.receive(n2, Accept{b(8, n2), text("older")});
  node.sync();
  EXPECT_EQ(node.sent<Nack>().size(), 1U);
  EXPECT_THAT(node.sent<Accepted>(), IsEmpty());
}

TEST(Acceptor, EqualRoundsAreOrderedByNode) {
  Bench node(n1);
  node.receive(n3, Prepare{b(5, n3)});
  node.receive(n2, Prepare{b(5, n2)});
  node.sync();
  EXPECT_EQ(node.sent<Promise>().size(), 1U);
  EXPECT_EQ(node.sent<Nack>().size(), 1U);
}

TEST(Acceptor, WhatWasNotDurableWasNotPromised) {
  Bench node(n1);
  node.receive(n2, Prepare{b(5, n2)});
  node.restart();
  node.receive(n3, Prepare{b(3, n3)});
  node.sync();
  EXPECT_EQ(node.sent<Promise>().size(), 1U);
}

TEST(Acceptor, AnUnreadableRecordStopsTheNode) {
  Bench node(n1);
  node.disk.records[promised_key] = text("\xff\xff");
  node.restart();
  EXPECT_THAT(node.paxos().check_invariants(), testing::Optional(testing::HasSubstr("promise")));
}

// ---------------------------------------------------------------------------------------------- proposer

TEST(Proposer, AdoptsTheHighestBallotsValueNotTheMostFrequent) {
  Bench node(n1, {n1, n2, n3, n4, n5});
  node.receive(n2, Accept{b(2, n2), text("frequent")});
  node.receive(n2, Prepare{b(7, n2)});  // so that this node's ballot comes above all below
  node.sync();
  const Ballot n = node.prepared("mine");
  ASSERT_EQ(n, b(8, n1));
  node.receive(n2, Promise{n, Proposal{b(2, n2), text("frequent")}});
  EXPECT_THAT(node.sent<Accept>(), IsEmpty());
  node.receive(n3, Promise{n, Proposal{b(6, n3), text("highest")}});
  const auto accepts = node.sent<Accept>();
  ASSERT_EQ(accepts.size(), 4U);
  for (const auto& [to, accept] : accepts) {
    EXPECT_EQ(accept.n, n);
    EXPECT_EQ(accept.value, "highest");
  }
}

TEST(Proposer, IsFreeToProposeItsOwnWhereNothingWasAccepted) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n2, Promise{n, std::nullopt});
  const auto accepts = node.sent<Accept>();
  ASSERT_EQ(accepts.size(), 2U);
  EXPECT_EQ(accepts[0].second.value, "mine");
}

TEST(Proposer, OwnAcceptedValueBindsItToo) {
  Bench node(n1);
  node.receive(n2, Accept{b(1, n2), text("theirs")});
  node.sync();
  const Ballot n = node.prepared("mine");
  node.receive(n3, Promise{n, std::nullopt});
  const auto accepts = node.sent<Accept>();
  ASSERT_FALSE(accepts.empty());
  EXPECT_EQ(accepts[0].second.value, "theirs");
}

TEST(Proposer, BallotIsDurableBeforePrepareLeaves) {
  Bench node(n1);
  node.propose("mine");
  EXPECT_THAT(node.sent<Prepare>(), IsEmpty());
  node.sync();
  EXPECT_EQ(node.sent<Prepare>().size(), 2U);
}

TEST(Proposer, ABallotIsNeverUsedAgainAfterRestart) {
  for (const NodeId self : {n1, n5}) {  // member or not
    Bench node(self);
    const Ballot before = node.prepared("one");
    node.restart();
    const Ballot after = node.prepared("two");
    EXPECT_GT(after, before);
    EXPECT_EQ(after.node, self);
  }
}

TEST(Proposer, OwnPromiseCountsOnlyWhenDurable) {
  Bench node(n1);
  node.propose("mine");
  // The Prepare has not left yet, but a promise is there already: a message of an earlier life, say.
  node.receive(n2, Promise{b(1, n1), std::nullopt});
  EXPECT_THAT(node.sent<Accept>(), IsEmpty());
  node.sync();
  EXPECT_EQ(node.sent<Accept>().size(), 2U);
}

TEST(Proposer, OwnAcceptanceCountsOnlyWhenDurable) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n2, Promise{n, std::nullopt});
  node.receive(n2, Accepted{n, std::nullopt});
  EXPECT_EQ(node.decided, std::nullopt);
  node.sync();
  EXPECT_EQ(node.decided, "mine");
  EXPECT_EQ(node.sent<Decided>().size(), 2U);
}

TEST(Proposer, AnswersToAnotherBallotDoNotCount) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n2, Promise{b(n.round + 1, n1), std::nullopt});
  node.receive(n3, Promise{b(n.round, n3), std::nullopt});
  EXPECT_THAT(node.sent<Accept>(), IsEmpty());
}

TEST(Proposer, AnswersOfStrangersDoNotCount) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n5, Promise{n, std::nullopt});
  EXPECT_THAT(node.sent<Accept>(), IsEmpty());
  node.receive(n2, Promise{n, std::nullopt});
  node.receive(n5, Accepted{n, std::nullopt});
  node.receive(n5, Accepted{n, text("theirs")});
  EXPECT_EQ(node.decided, std::nullopt);
}

TEST(Proposer, ANackLeadsToAHigherBallotAfterABackOff) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n2, Nack{n, b(40, n2)});
  node.sync();
  EXPECT_THAT(node.sent<Prepare>(), IsEmpty());
  node.fire(TimerId(1));
  node.sync();
  const auto prepares = node.sent<Prepare>();
  ASSERT_FALSE(prepares.empty());
  EXPECT_GT(prepares[0].second.n, b(40, n2));
}

TEST(Proposer, LossAloneRepeatsTheSameBallot) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.fire(TimerId(1));
  const auto again = node.sent<Prepare>();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].second.n, n);
}

TEST(Proposer, HandsItsValueToTheDistinguishedOne) {
  Bench node(n2, {n1, n2, n3}, {.back_off = BackOff::distinguished, .distinguished = {}});
  node.propose("mine");
  node.sync();
  const auto relays = node.sent<Relay>();
  ASSERT_EQ(relays.size(), 1U);
  EXPECT_EQ(relays[0].first, n1);
  EXPECT_THAT(node.sent<Prepare>(), IsEmpty());
  node.fire(TimerId(1));  // it did not finish
  node.sync();
  EXPECT_EQ(node.sent<Prepare>().size(), 2U);
}

// ----------------------------------------------------------------------------------------------- learner

TEST(Learner, ChosenIsAMajorityAtTheSameBallot) {
  Bench node(n5, {n1, n2, n3, n4, n5});
  node.learn();
  node.receive(n1, Accepted{b(1, n1), text("v")});
  node.receive(n2, Accepted{b(2, n2), text("v")});
  node.receive(n3, Accepted{b(3, n3), text("v")});
  EXPECT_EQ(node.decided, std::nullopt) << "equal values under three ballots are not chosen";
  node.receive(n1, Accepted{b(3, n3), text("v")});
  node.receive(n1, Accepted{b(3, n3), text("v")});
  EXPECT_EQ(node.decided, std::nullopt) << "one acceptor counts once";
  node.receive(n2, Accepted{b(3, n3), text("v")});
  EXPECT_EQ(node.decided, "v");
}

TEST(Learner, AnOlderReportDoesNotReplaceANewerOne) {
  Bench node(n5, {n1, n2, n3});
  node.learn();
  node.receive(n1, Accepted{b(3, n3), text("new")});
  node.receive(n1, Accepted{b(1, n1), text("old")});
  node.receive(n2, Accepted{b(1, n1), text("old")});
  EXPECT_EQ(node.decided, std::nullopt);
}

TEST(Learner, RelearnsAfterRestart) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n2, Promise{n, std::nullopt});
  node.sync();
  node.receive(n2, Accepted{n, std::nullopt});
  ASSERT_EQ(node.decided, "mine");
  node.restart();
  node.learn();
  EXPECT_EQ(node.decided, std::nullopt);
  EXPECT_EQ(node.sent<Learn>().size(), 2U);
  node.receive(n3, Accepted{n, text("mine")});  // with its own acceptance: a majority at n
  EXPECT_EQ(node.decided, "mine");
}

TEST(Learner, WhoKnowsTells) {
  Bench node(n1);
  node.receive(n2, Decided{text("v")});
  ASSERT_EQ(node.decided, "v");
  node.receive(n3, Learn{});
  node.receive(n3, Prepare{b(9, n3)});
  node.receive(n3, Accept{b(9, n3), text("other")});
  node.receive(n3, Relay{text("other")});
  EXPECT_EQ(node.sent<Decided>().size(), 4U);
  node.sync();
  EXPECT_TRUE(node.disk.records.empty());
}

TEST(Learner, AsksWithAProposalWhereReportsDoNotSettleIt) {
  Bench node(n3);
  node.learn();
  node.receive(n1, Accepted{b(4, n1), text("v")});
  node.fire(TimerId(1));
  node.fire(TimerId(1));
  node.sync();
  const auto prepares = node.sent<Prepare>();
  ASSERT_EQ(prepares.size(), 2U);
  const Ballot n = prepares[0].second.n;
  node.receive(n1, Promise{n, Proposal{b(4, n1), text("v")}});
  const auto accepts = node.sent<Accept>();
  ASSERT_EQ(accepts.size(), 2U);
  EXPECT_EQ(accepts[0].second.value, "v");
}

TEST(Learner, DoesNotInventAValue) {
  Bench node(n3);
  node.learn();
  for (int i = 0; i < 5; ++i) node.fire(TimerId(1));
  node.sync();
  EXPECT_THAT(node.sent<Prepare>(), IsEmpty());
  EXPECT_EQ(node.decided, std::nullopt);
}

// --------------------------------------------------------------------------------------------- bad input

TEST(BadInput, IsDroppedWithoutATrace) {
  Bench node(n1);
  const std::uint64_t huge = ~std::uint64_t{0};
  node.receive(n2, Prepare{b(huge, n2)});
  node.receive(n2, Prepare{b(0, n2)});
  node.receive(n2, Prepare{b(3, n3)});  // another's ballot
  node.receive(NodeId(), Prepare{b(3, NodeId())});
  node.receive(n2, Accept{b(huge, n2), text("v")});
  node.receive(n2, Accept{b(3, n3), text("v")});
  node.receive(n2, Promise{b(1, n1), std::nullopt});  // nobody asked
  node.receive(n2, Accepted{b(huge, n2), text("v")});
  node.receive(n2, Nack{b(1, n1), b(huge, n2)});
  node.receive(n5, Decided{text("stranger's")});
  node.sync();
  EXPECT_TRUE(node.disk.records.empty());
  EXPECT_EQ(node.decided, std::nullopt);
  EXPECT_THAT(node.sent<Promise>(), IsEmpty());
  EXPECT_THAT(node.sent<Accepted>(), IsEmpty());
  EXPECT_TRUE(node.timers.empty());
}

TEST(BadInput, AnImpossibleRoundInANackDoesNotExhaustTheNumbers) {
  Bench node(n1);
  const Ballot n = node.prepared("mine");
  node.receive(n2, Nack{n, b(~std::uint64_t{0}, n2)});
  node.receive(n2, Nack{n, b(0, n2)});
  node.receive(n2, Promise{n, std::nullopt});
  EXPECT_EQ(node.sent<Accept>().size(), 2U);
}

TEST(Messages, GoldenBytes) {
  const auto hex = [](const Bytes& bytes) {
    std::string out;
    for (const char c : bytes.view()) {
      constexpr char digits[] = "0123456789abcdef";
      out += digits[static_cast<unsigned char>(c) >> 4U];
      out += digits[static_cast<unsigned char>(c) & 15U];
    }
    return out;
  };
  EXPECT_EQ(hex(codec::encode(Message(Prepare{b(3, n1)}))), "0003020301");
  EXPECT_EQ(hex(codec::encode(Message(Promise{b(3, n1), Proposal{b(2, n2), text("v")}}))),
            "010a02030101050202020176");
  EXPECT_EQ(hex(codec::encode(Message(Accept{b(3, n1), text("v")}))), "02050203010176");
  EXPECT_EQ(hex(codec::encode(Message(Accepted{b(3, n1), std::nullopt}))), "030402030100");
  EXPECT_EQ(hex(codec::encode(Message(Nack{b(3, n1), b(4, n2)}))), "0406020301020402");
  EXPECT_EQ(hex(codec::encode(Message(Relay{text("v")}))), "05020176");
  EXPECT_EQ(hex(codec::encode(Message(Learn{}))), "0600");
  EXPECT_EQ(hex(codec::encode(Message(Decided{text("v")}))), "07020176");
}

}  // namespace
}  // namespace quorate::paxos
