// The replica's membership changes and transfers.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

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
  node.receive(1, ForwardAnswer{asks[0].second.id, true, 0, NodeId(1), 1});
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
  void answer(bool accepted, rl::Refusal refusal = {}, std::uint64_t incarnation = 1) {
    receive(1, ForwardAnswer{id, accepted, static_cast<std::uint8_t>(refusal), NodeId(1), incarnation});
  }
  std::vector<Member> members{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}};
  std::uint64_t id = 0;
};

TEST(Replica, AChangeThatMeetsAnotherIsRefused) {
  Changing node;
  node.answer(false, rl::Refusal::change_pending);
  EXPECT_THAT(node.outcomes, ElementsAre("another change is under way, or was made meanwhile"));
}

// The answer to the first request is lost, and the second request finds the change that the first began.
TEST(Replica, AChangeThatMeetsItselfIsNotRefused) {
  Changing node;
  node.pass(1s);
  ASSERT_THAT(node.host.take<ForwardReconfigure>(), ::testing::Not(IsEmpty()));
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

TEST(Replica, AnAcceptedChangeThatAnotherMadeVoidIsRefused) {
  Changing node;
  node.answer(true);
  node.answer(false, rl::Refusal::superseded);
  EXPECT_THAT(node.outcomes, ElementsAre("another change is under way, or was made meanwhile"));
}

// The other request may have been taken up by another leader, and happen yet.
TEST(Replica, AChangeThatWasAskedForTwiceIsNotRefusedByTheEndOfOne) {
  Changing node;
  node.answer(true);
  node.follow(3);
  node.pump();
  ASSERT_THAT(node.host.take<ForwardReconfigure>(), SizeIs(1));
  node.answer(false, rl::Refusal::superseded);
  EXPECT_THAT(node.outcomes, IsEmpty());
}

// The members that were asked for are those there are: that is in force while it is being asked.
TEST(Replica, WhoAskedForAChangeThatIsInForceAtOnceIsToldOnce) {
  Node leader(1);
  leader.lead();
  const Membership alone{{{NodeId(1), Role::voter, {}}}, {}, {}};
  leader.protocol->emit(rl::MembershipChanged{alone, Index(1), true});
  leader.receive(2, ForwardReconfigure{7, alone.members, 3});
  const auto asked = leader.protocol->asked<rl::Reconfigure>();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_TRUE(leader.host.take<ForwardAnswer>().at(0).second.accepted);
  leader.emit(rl::Refused{asked[0].id, rl::Refusal::superseded, NodeId(3)});
  EXPECT_THAT(leader.host.take<ForwardAnswer>(), IsEmpty());
}

// Of two who chose by the same members, one asking the leader and the other through it, the second has to
// look again.
TEST(Replica, WhomAChangeWasMadeFromGoesWithItToTheLeader) {
  const std::vector<Member> before{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}};
  const std::vector<Member> after{{NodeId(1), Role::voter, {}}};
  Node follower(2);
  follower.follow(1);
  std::vector<Outcome<Bytes>> outcomes;
  follower.replica->reconfigure(
      follower.env, after, [&](const Outcome<Bytes>& outcome) { outcomes.push_back(outcome); }, before);
  follower.pump();
  const auto asks = follower.host.take<ForwardReconfigure>();
  ASSERT_THAT(asks, SizeIs(1));
  EXPECT_EQ(asks[0].second.base, before);
  Node leader(1);
  leader.lead();
  leader.receive(2, ForwardReconfigure(asks[0].second));
  EXPECT_EQ(leader.protocol->asked<rl::Reconfigure>().at(0).base, before);
  follower.receive(1, ForwardAnswer{asks[0].second.id, false, std::uint8_t(rl::Refusal::superseded),
                                    NodeId(1), asks[0].second.incarnation});
  ASSERT_THAT(outcomes, SizeIs(1));
  EXPECT_EQ(outcomes[0].error(), Failure::change_pending);
}

// What was done and undone is asked once more by a member that saw neither.
TEST(Replica, AChangeDoesNotBringBackWhomTheLogRemoved) {
  const std::vector<Member> one{{NodeId(1), Role::voter, {}}};
  const std::vector<Member> two{{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}};
  Node leader(1);
  leader.lead();
  const auto in_force = [&](std::uint64_t index, const std::vector<Member>& members) {
    leader.emit(rl::MembershipChanged{{members, {}, {}}, Index(index), true});
    leader.receive(3, ForwardReconfigure{index, two, 3, one});
    EXPECT_EQ(leader.host.take<ForwardAnswer>().at(0).second.refusal, std::uint8_t(rl::Refusal::busy))
        << "it is not applied";
    leader.emit(rl::Committed{
        {Entry{Epoch(1), Index(index), EntryKind::membership, codec::encode(Membership{members, {}, {}})}}});
  };
  in_force(1, two);
  in_force(2, one);
  leader.receive(3, ForwardReconfigure{7, two, 3, one});
  EXPECT_THAT(leader.protocol->asked<rl::Reconfigure>(), IsEmpty());
  const auto answers = leader.host.take<ForwardAnswer>();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_FALSE(answers[0].second.accepted);
  EXPECT_EQ(answers[0].second.refusal, std::uint8_t(rl::Refusal::superseded));
}

// Two nodes take themselves for the leader: so the one hears of its end as such before that of the change.
TEST(Replica, WhoAskedForAChangeThatIsVoidIsTold) {
  Node leader(1);
  leader.lead();
  leader.receive(2, ForwardReconfigure{7, {{NodeId(1), Role::voter, {}}}, 3});
  const auto asked = leader.protocol->asked<rl::Reconfigure>();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_TRUE(leader.host.take<ForwardAnswer>().at(0).second.accepted);
  leader.follow(3);
  leader.emit(rl::Refused{asked[0].id, rl::Refusal::superseded, NodeId(3)});
  const auto answers = leader.host.take<ForwardAnswer>();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].first, NodeId(2));
  EXPECT_EQ(answers[0].second.id, 7U);
  EXPECT_EQ(answers[0].second.incarnation, 3U);
  EXPECT_FALSE(answers[0].second.accepted);
  EXPECT_EQ(answers[0].second.refusal, static_cast<std::uint8_t>(rl::Refusal::superseded));
}

TEST(Replica, AForwardedChangeWithoutAnAnswerMayHaveHappened) {
  Changing node;
  node.pass(10s);
  EXPECT_THAT(node.outcomes, ElementsAre("timed out, outcome unknown"));
}

// Ids begin anew with each start, so an answer to the start before may carry the id of a question of this
// one.
TEST(Replica, AnAnswerToAnEarlierIncarnationIsIgnored) {
  Changing node;
  node.answer(false, rl::Refusal::invalid, 0);
  EXPECT_THAT(node.outcomes, IsEmpty());
  node.answer(false, rl::Refusal::invalid, 1);
  EXPECT_THAT(node.outcomes, ElementsAre("not possible as asked"));
}

TEST(Replica, ALearnerThatLagsIsSaidToLag) {
  Changing node;
  node.answer(false, rl::Refusal::not_ready);
  EXPECT_THAT(node.outcomes, ElementsAre("a learner lacks too much of the log"));
}

TEST(Replica, ATransferThatTheLeaderGivesUpIsAnsweredAtOnce) {
  Node leader(1);
  leader.lead();
  leader.replica->transfer(leader.env, NodeId(3), [&](const Outcome<Bytes>& outcome) {
    leader.outcomes.emplace_back(outcome ? "done" : to_string(outcome.error()));
  });
  leader.pump();
  const auto asked = leader.protocol->asked<rl::TransferLeadership>();
  ASSERT_THAT(asked, SizeIs(1));
  leader.emit(rl::Refused{asked[0].id, rl::Refusal::busy, {}});
  EXPECT_THAT(leader.outcomes, ElementsAre("timed out, outcome unknown"));
}

TEST(Replica, AForwardedTransferThatTheLeaderGivesUpIsAnsweredAtOnce) {
  Node leader(1);
  Node follower(2);
  leader.lead();
  follower.follow(1);
  follower.replica->transfer(follower.env, NodeId(3), [&](const Outcome<Bytes>& outcome) {
    follower.outcomes.emplace_back(outcome ? "done" : to_string(outcome.error()));
  });
  follower.pump();
  const auto pass = [](Node& from, Node& to) {
    for (auto& [target, frame] : std::exchange(from.host.sent, {}))
      to.receive(from.replica->status().self.value, frame);
  };
  pass(follower, leader);
  pass(leader, follower);
  EXPECT_THAT(follower.outcomes, IsEmpty());
  leader.emit(rl::Refused{leader.protocol->asked<rl::TransferLeadership>().at(0).id, rl::Refusal::busy, {}});
  pass(leader, follower);
  EXPECT_THAT(follower.outcomes, ElementsAre("timed out, outcome unknown"));
}

// It lost its state and began with the members it knew last. Now it applies the log from its first entry on,
// in which the cluster was smaller.
TEST(Replica, WhoBringsBackItsStateTakesNobodyForRemoved) {
  const auto members = [](std::initializer_list<std::uint64_t> ids) {
    Membership membership;
    for (const auto id : ids) membership.members.push_back({NodeId(id), Role::voter, {}});
    return membership;
  };
  Node node(2);
  node.emit(rl::Rejoining{});
  node.emit(rl::MembershipChanged{members({1, 2, 3}), Index(), true});
  const auto change = [&](std::uint64_t index, const Membership& to) {
    node.emit(rl::MembershipChanged{to, Index(index)});
    node.emit(rl::Committed{{Entry{Epoch(1), Index(index), EntryKind::membership, codec::encode(to)}}});
  };
  change(1, members({1, 2}));
  EXPECT_FALSE(node.replica->removed(NodeId(3)));
  change(2, members({1, 2, 3}));
  node.emit(rl::Rejoining{.over = true});
  EXPECT_FALSE(node.replica->removed(NodeId(3)));
  change(3, members({1, 2}));
  EXPECT_TRUE(node.replica->removed(NodeId(3)));
}

// An id comes back, and the change that would remove it again is in the log, where it may yet be truncated.
TEST(Replica, NobodyIsRemovedByAnEntryThatIsNotApplied) {
  Node node(1);
  const auto begin = [&](std::uint64_t index, std::initializer_list<std::uint64_t> ids) {
    Membership to;
    for (const auto id : ids) to.members.push_back({NodeId(id), Role::voter, {}});
    node.emit(rl::MembershipChanged{to, Index(index)});
    return to;
  };
  const auto change = [&](std::uint64_t index, std::initializer_list<std::uint64_t> ids) {
    const Membership to = begin(index, ids);
    node.emit(rl::Committed{{Entry{Epoch(1), Index(index), EntryKind::membership, codec::encode(to)}}});
  };
  change(1, {1, 2, 3});
  change(2, {1, 2});
  EXPECT_TRUE(node.replica->removed(NodeId(3)));
  change(3, {1, 2, 3});
  begin(4, {1, 2});
  EXPECT_FALSE(node.replica->removed(NodeId(3)));
  begin(3, {1, 2, 3});  // truncated
  EXPECT_FALSE(node.replica->removed(NodeId(3)));
  change(4, {1, 2});
  EXPECT_TRUE(node.replica->removed(NodeId(3)));
}

}  // namespace
}  // namespace quorate::replica::testing
