// Membership changes: thesis §4.1 to §4.3.
#include <gmock/gmock.h>

#include "core/codec.h"
#include "replog/raft/raft_cluster.h"

namespace quorate::raft::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr auto T = 150ms;

Entry config_entry(std::uint64_t term, std::uint64_t index, const Membership& membership) {
  return {Epoch(term), Index(index), EntryKind::membership, codec::encode(membership)};
}

Membership joint(std::vector<std::uint64_t> from, std::vector<std::uint64_t> to) {
  Membership m = voters(to);
  for (const auto id : from) {
    m.outgoing.emplace_back(id);
    if (std::ranges::find(to, id) == to.end()) m.departing.push_back({NodeId(id), Role::voter, {}});
  }
  return m;
}

class RaftMembership : public testing::Test {
 protected:
  RaftMembership() : cluster(3) {
    for (std::uint64_t id = 4; id <= 6; ++id) cluster.add(id, {});
    cluster.start_all();
    cluster.elect(1);
    cluster.forget_events();
  }
  void reconfigure(std::uint64_t at, std::vector<std::uint64_t> to,
                   std::vector<std::uint64_t> learners = {}) {
    cluster.ask(at, rl::Reconfigure{77, members(std::move(to), std::move(learners))});
  }
  std::vector<rl::Refusal> refusals(std::uint64_t id) {
    std::vector<rl::Refusal> reasons;
    for (const auto& r : cluster.events<rl::Refused>(id)) reasons.push_back(r.reason);
    return reasons;
  }
  Cluster cluster;
};

TEST_F(RaftMembership, Section4_3_AnyChangeGoesThroughAJointPhaseAndOutOfItByItself) {
  reconfigure(1, {1, 4, 5});
  EXPECT_EQ(cluster.raft(1).membership(), joint({1, 2, 3}, {1, 4, 5}));
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 4, 5}));
  cluster.propose(1, "a");
  cluster.settle();
  EXPECT_EQ(cluster.payloads(4), std::vector<std::string>{"a"});
  EXPECT_EQ(cluster.payloads(5), std::vector<std::string>{"a"});
  const auto changes = cluster.events<rl::MembershipChanged>(1);
  ASSERT_THAT(changes, SizeIs(4));  // each when it takes effect, and when it is final
  EXPECT_FALSE(changes[0].committed);
  EXPECT_TRUE(changes.back().committed);
  EXPECT_EQ(changes.back().membership, voters({1, 4, 5}));
  EXPECT_THAT(cluster.violations, IsEmpty());
}

// A follower learns of the commitment of C_old,new together with C_new. A host told of the former once more
// would hang up on members that only the latter has.
TEST_F(RaftMembership, TheHostDoesNotHearAgainOfASupersededConfiguration) {
  reconfigure(1, {1, 2, 3, 4});
  cluster.settle();
  reconfigure(1, {1, 2, 3, 4, 5});
  cluster.settle();
  for (std::uint64_t id = 1; id <= 5; ++id) {
    const auto changes = cluster.events<rl::MembershipChanged>(id);
    EXPECT_TRUE(std::ranges::is_sorted(changes, {}, &rl::MembershipChanged::index)) << "node " << id;
    EXPECT_TRUE(changes.back().committed) << "node " << id;
  }
}

TEST_F(RaftMembership, Section4_3_ALeaderOutsideTheNewConfigurationCommitsItAndStepsDown) {
  cluster.propose(1, "a");
  reconfigure(1, {4, 5, 6});
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).state(), State::follower);
  EXPECT_EQ(cluster.raft(1).membership(), voters({4, 5, 6}));
  cluster.advance(2s);
  ASSERT_TRUE(cluster.leader());
  EXPECT_GE(*cluster.leader(), 4U);
  EXPECT_EQ(cluster.payloads(6), std::vector<std::string>{"a"});
  EXPECT_THAT(cluster.violations, IsEmpty());
}

TEST_F(RaftMembership, Section4_3_JointCommitmentNeedsAMajorityOfTheNewSet) {
  cluster.cut(1, 4);
  cluster.cut(1, 5);
  const Index before = cluster.raft(1).commit();
  reconfigure(1, {1, 4, 5});
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(1).progress(NodeId(3))->match, cluster.raft(1).log().last());
  EXPECT_EQ(cluster.raft(1).commit(), before);
  cluster.heal();
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 4, 5}));
}

TEST_F(RaftMembership, Section4_3_JointCommitmentNeedsAMajorityOfTheOldSet) {
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  const Index before = cluster.raft(1).commit();
  reconfigure(1, {1, 4, 5});
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(1).progress(NodeId(5))->match, cluster.raft(1).log().last());
  EXPECT_EQ(cluster.raft(1).commit(), before);
  cluster.heal();
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 4, 5}));
}

TEST_F(RaftMembership, Section4_3_TheNewConfigurationFollowsOnlyOnceTheJointOneIsCommitted) {
  cluster.propose(1, "a");
  const Index entry = cluster.raft(1).log().last();
  reconfigure(1, {1, 2});
  cluster.sync(1);
  const Epoch term = cluster.raft(1).term();
  cluster.inject(2, 1, AppendEntriesReply{term, true, entry, Epoch(), Index()});
  EXPECT_EQ(cluster.raft(1).commit(), entry);
  EXPECT_TRUE(cluster.raft(1).membership().joint()) << "what was committed came before it";
  EXPECT_EQ(cluster.raft(1).log().last(), entry + 1);
  cluster.inject(2, 1, AppendEntriesReply{term, true, entry + 1, Epoch(), Index()});
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 2}));
}

TEST_F(RaftMembership, Section4_3_JointElectionsNeedSeparateMajorities) {
  Cluster five(0);
  for (std::uint64_t id = 1; id <= 5; ++id) {
    Node& n = five.add(id, voters({1, 2, 3}));
    n.disk = recovered_with({1}, 1);
    n.disk.log.push_back(config_entry(1, 2, joint({1, 2, 3}, {1, 4, 5})));
  }
  five.start_all();
  five.crash(4);
  five.crash(5);
  five.elect(1);
  EXPECT_NE(five.raft(1).state(), State::leader) << "no majority of the new set";
  five.crash(2);
  five.crash(3);
  five.start(4);
  five.start(5);
  five.elect(1);
  EXPECT_NE(five.raft(1).state(), State::leader) << "no majority of the old set";
  five.start(2);
  five.elect(1);
  EXPECT_EQ(five.raft(1).state(), State::leader);
}

TEST_F(RaftMembership, Section4_3_ALeaderThatFindsAJointConfigurationWaitsForItsOwnNoOp) {
  Cluster three(3);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    three.node(id).disk = recovered_with({1}, 1);
    three.node(id).disk.log.push_back(config_entry(1, 2, joint({1, 2, 3}, {1, 2})));
  }
  three.start_all();
  // All followers know entry 2 to be committed before the election.
  for (std::uint64_t id = 1; id <= 2; ++id) three.inject(3, id, Heartbeat{Epoch(1), Index(2), 1});
  three.settle();
  ASSERT_EQ(three.raft(1).commit(), Index(2));
  three.passes = [](const Packet& p) { return !std::holds_alternative<AppendEntries>(p.message); };
  three.elect(1);
  ASSERT_EQ(three.raft(1).state(), State::leader);
  EXPECT_EQ(three.raft(1).log().last(), Index(3)) << "its no-op, and no C_new yet";
  EXPECT_TRUE(three.raft(1).membership().joint());
  three.passes = {};
  three.advance(100ms);
  EXPECT_EQ(three.raft(1).membership(), voters({1, 2}));
}

TEST_F(RaftMembership, Section4_1_AConfigurationIsInForceOnAppendAndRolledBackOnTruncation) {
  cluster.crash(2);
  cluster.crash(3);
  reconfigure(1, {1, 4});
  const auto config = cluster.raft(1).log().last();
  cluster.inject(1, 4,
                 AppendEntries{cluster.raft(1).term(), Index(), Epoch(),
                               cluster.raft(1).log().slice(Index(1), config, 1U << 20U), Index()});
  EXPECT_TRUE(cluster.raft(4).membership().joint()) << "uncommitted, and in force";
  const Epoch later = cluster.raft(1).term() + 1;
  cluster.inject(2, 4,
                 AppendEntries{later, Index(1), Epoch(1), {{later, Index(2), EntryKind::noop, {}}}, Index()});
  EXPECT_FALSE(cluster.raft(4).membership().joint());
  EXPECT_TRUE(cluster.raft(4).membership().members.empty()) << "as before the entry";
  EXPECT_FALSE(cluster.events<rl::MembershipChanged>(4).back().membership.joint());
}

TEST_F(RaftMembership, Section4_1_NoChangeBeforeAnEntryOfTheOwnTermIsCommitted) {
  cluster.passes = [](const Packet& p) { return !std::holds_alternative<AppendEntries>(p.message); };
  cluster.elect(2);
  ASSERT_EQ(cluster.raft(2).state(), State::leader);
  reconfigure(2, {1, 2});
  EXPECT_THAT(refusals(2), testing::ElementsAre(rl::Refusal::busy));
  EXPECT_EQ(cluster.raft(2).membership(), voters({1, 2, 3}));
}

TEST_F(RaftMembership, Section4_1_OneChangeAtATime) {
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  reconfigure(1, {1, 2});
  reconfigure(1, {1, 3});
  EXPECT_THAT(refusals(1), testing::ElementsAre(rl::Refusal::change_pending));
}

TEST_F(RaftMembership, AChangeOfWhomItWasNotMadeFromIsRefused) {
  cluster.ask(1, rl::Reconfigure{77, members({1, 2}, {}), members({1, 2, 4}, {})});
  EXPECT_THAT(refusals(1), testing::ElementsAre(rl::Refusal::superseded));
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 2, 3}));
  cluster.ask(1, rl::Reconfigure{77, members({1, 2}, {}), members({1, 2, 3}, {})});
  EXPECT_THAT(refusals(1), SizeIs(1));
  EXPECT_EQ(cluster.raft(1).membership().members, members({1, 2}, {}));
}

// Nodes may have been told different names and addresses at first, and two may change at once.
TEST_F(RaftMembership, AChangeLeavesTheContextsItDoesNotTouch) {
  const auto with = [](const char* first, const char* second) {
    return std::vector<Member>{{NodeId(1), Role::voter, Bytes::copy(first)},
                               {NodeId(2), Role::voter, Bytes::copy(second)},
                               {NodeId(3), Role::voter, {}}};
  };
  cluster.ask(1, rl::Reconfigure{77, with("here", "there")});
  cluster.settle();
  cluster.ask(1, rl::Reconfigure{77, with("a", "new"), with("a", "b")});
  EXPECT_THAT(refusals(1), testing::IsEmpty());
  EXPECT_EQ(cluster.raft(1).membership().members, with("here", "new"));
}

TEST_F(RaftMembership, ImpossibleConfigurationsAreRefused) {
  reconfigure(1, {});
  reconfigure(1, {1, 1});
  reconfigure(1, {0, 1});
  reconfigure(1, {}, {1, 2});
  EXPECT_THAT(refusals(1), SizeIs(4));
  for (const auto reason : refusals(1)) EXPECT_EQ(reason, rl::Refusal::invalid);
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 2, 3}));
}

TEST_F(RaftMembership, TheConfigurationInForceIsAnsweredAtOnce) {
  reconfigure(1, {3, 2, 1});
  const auto changes = cluster.events<rl::MembershipChanged>(1);
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_TRUE(changes[0].committed);
}

TEST_F(RaftMembership, Section4_2_1_LearnersReceiveTheLogAndDoNotCount) {
  cluster.propose(1, "a");
  reconfigure(1, {1, 2, 3}, {4, 5});
  EXPECT_FALSE(cluster.raft(1).membership().joint()) << "the voters stay the same";
  cluster.settle();
  EXPECT_EQ(cluster.payloads(4), std::vector<std::string>{"a"});
  const Index before = cluster.raft(1).commit();
  cluster.crash(2);
  cluster.crash(3);
  cluster.propose(1, "b");
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).commit(), before);
  cluster.start(2);
  cluster.advance(100ms);
  EXPECT_EQ(cluster.payloads(5), (std::vector<std::string>{"a", "b"}));
}

TEST_F(RaftMembership, ALearnerIsPromotedAndThenCounts) {
  reconfigure(1, {1, 2, 3}, {4});
  cluster.settle();
  reconfigure(1, {1, 4});
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 4}));
  cluster.crash(4);
  const Index before = cluster.raft(1).commit();
  cluster.propose(1, "a");
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).commit(), before);
}

TEST_F(RaftMembership, Section4_2_1_ALearnerThatLagsIsNotPromoted) {
  reconfigure(1, {1, 2, 3}, {4});
  cluster.settle();
  cluster.cut(1, 4);
  for (int i = 0; i < 40; ++i) cluster.propose(1, "x");
  cluster.settle();
  cluster.forget_events();
  reconfigure(1, {1, 2, 3, 4});
  EXPECT_THAT(refusals(1), testing::ElementsAre(rl::Refusal::not_ready));
  reconfigure(1, {1, 2, 3, 5});
  EXPECT_THAT(refusals(1), SizeIs(1)) << "whoever was no learner is the caller's affair";
  cluster.heal();
  cluster.advance(200ms);
  reconfigure(1, {1, 2, 3}, {4});
  cluster.advance(200ms);
  reconfigure(1, {1, 2, 3, 4});
  cluster.settle();
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 2, 3, 4}));
}

TEST_F(RaftMembership, RemovedNodesLearnOfIt) {
  reconfigure(1, {1, 2});
  cluster.advance(100ms);
  EXPECT_EQ(cluster.raft(3).membership(), voters({1, 2}));
}

TEST_F(RaftMembership, Section4_2_3_ARemovedNodeDoesNotDisturb) {
  cluster.cut(3, 1);
  cluster.cut(3, 2);
  reconfigure(1, {1, 2});
  cluster.settle();
  const Epoch term = cluster.raft(1).term();
  cluster.heal();  // it never learnt of its removal, and campaigns
  cluster.advance(5s);
  EXPECT_EQ(cluster.leader(), 1U);
  EXPECT_EQ(cluster.raft(1).term(), term);
}

TEST_F(RaftMembership, ALeaderThatLosesOfficeAnswersTheChange) {
  cluster.cut(1, 2);
  cluster.cut(1, 3);
  reconfigure(1, {1, 2});
  cluster.advance(2 * T);
  EXPECT_THAT(refusals(1), testing::ElementsAre(rl::Refusal::lost_leadership));
}

// The bug of single-server changes that Raft's author reported in 2015, as a schedule with whole-set changes.
// 1. S1 leads term 1 of {1,2,3,4} and appends a change that adds 5, to itself and 5 only. 2. S2 leads term 2
// and, if it may before committing anything of term 2, appends one that removes 1. 3. S1 returns. With both
// in force, {1,4,5} and {2,3} could each decide.
TEST_F(RaftMembership, TheMembershipChangeBugOf2015IsRefused) {
  Cluster four(4);
  four.add(5, {});
  four.start_all();
  four.elect(1);
  for (const std::uint64_t id : {2, 3, 4}) four.cut(1, id);
  four.ask(1, rl::Reconfigure{1, members({1, 2, 3, 4, 5})});
  four.settle();
  four.passes = [](const Packet& p) { return !std::holds_alternative<AppendEntries>(p.message); };
  four.elect(2);
  ASSERT_EQ(four.raft(2).state(), State::leader);
  four.forget_events();
  four.ask(2, rl::Reconfigure{2, members({2, 3, 4})});
  ASSERT_THAT(four.events<rl::Refused>(2), SizeIs(1));
  EXPECT_EQ(four.raft(2).membership(), voters({1, 2, 3, 4}));
  four.passes = {};
  four.heal();
  four.advance(3s);
  EXPECT_THAT(four.violations, IsEmpty());
}

TEST_F(RaftMembership, ARestartTakesTheMembershipFromTheLogNotFromSettings) {
  reconfigure(1, {1, 2});
  cluster.settle();
  cluster.node(1).settings.initial = voters({1, 7, 8, 9});
  cluster.restart(1);
  EXPECT_EQ(cluster.raft(1).membership(), voters({1, 2}));
  cluster.node(3).settings.initial = voters({3});
  cluster.crash(3);
  std::erase_if(cluster.node(3).disk.log, [](const Entry& e) { return e.kind == EntryKind::membership; });
  cluster.node(3).disk.log.clear();
  cluster.start(3);
  EXPECT_EQ(cluster.raft(3).membership(), voters({1, 2, 3})) << "the one it began with is durable";
}

}  // namespace
}  // namespace quorate::raft::test
