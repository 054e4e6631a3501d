// The replica's comparison of states.
#include "replica/scripted.h"

namespace quorate::replica::testing {
namespace {

const Membership three{
    {{NodeId(1), Role::voter, {}}, {NodeId(2), Role::voter, {}}, {NodeId(3), Role::voter, {}}}, {}, {}};

struct Digesting : Node {
  explicit Digesting(std::uint64_t id) : Node(id) {
    model->digests = true;
    emit(rl::MembershipChanged{three, Index(), true});
  }
  // Frames to the other, in order.
  void pass_to(Digesting& other) {
    for (auto& [to, frame] : std::exchange(host.sent, {})) {
      if (to == other.replica->status().self) other.receive(replica->status().self.value, frame);
    }
  }
  std::vector<std::string> accusations() const {
    std::vector<std::string> found;
    for (const auto& asked : protocol->asked<rl::Propose>()) {
      for (const auto& payload : asked.payloads) {
        const auto batch = codec::decode<CommandBatch>(payload);
        for (const auto& command : batch->commands) found.push_back(command.body.str());
      }
    }
    return found;
  }
};

TEST(Replica, EqualStatesRaiseNoAlarmAndAreNotComparedAgain) {
  Digesting leader(1);
  Digesting other(2);
  leader.lead();
  other.follow(1);
  for (Digesting* node : {&leader, &other}) node->commit(batch({command(9, 1, "x")}));
  leader.pass(1500ms);
  ASSERT_THAT(leader.host.sent, SizeIs(2));
  leader.pass_to(other);
  const auto told = other.host.take<DigestTold>();
  ASSERT_THAT(told, SizeIs(1));
  for (const std::uint64_t node : {2, 3}) leader.receive(node, told[0].second);
  leader.pass(3s);
  EXPECT_THAT(leader.accusations(), IsEmpty());
  EXPECT_THAT(leader.host.take<DigestAsk>(), IsEmpty()) << "nothing was applied since";
}

// A member of another version, within a rolling upgrade, may count other things.
TEST(Replica, DigestsOfAnotherFormatRaiseNoAlarm) {
  Digesting leader(1);
  leader.lead();
  leader.commit(batch({command(9, 1, "x")}));
  leader.pass(1500ms);
  const auto asked = leader.host.take<DigestAsk>();
  ASSERT_THAT(asked, SizeIs(2));
  for (const std::uint64_t node : {2, 3})
    leader.receive(node, DigestTold{asked[0].second.index, Bytes::copy("of another kind"), 2});
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), IsEmpty());
}

// It answered while it was a member. What it held counts neither as right nor as wrong.
TEST(Replica, TheDigestOfAMemberThatHasLeftCountsForNobody) {
  Digesting leader(1);
  leader.lead();
  leader.commit(batch({command(9, 1, "x")}));
  leader.pass(1500ms);
  const Index index = leader.host.take<DigestAsk>().at(0).second.index;
  leader.receive(2, DigestTold{index, Bytes::copy("x"), 1});
  leader.receive(3, DigestTold{index, Bytes::copy("something else"), 1});
  leader.emit(rl::MembershipChanged{{{three.members[0], three.members[1]}, {}, {}}, Index(1), true});
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), IsEmpty());
  EXPECT_THAT(leader.host.warnings, IsEmpty());
}

TEST(Replica, ALeaderThatIsLeavingAccusesNobody) {
  Digesting leader(1);
  leader.lead();
  leader.commit(batch({command(9, 1, "x")}));
  leader.pass(1500ms);
  const Index index = leader.host.take<DigestAsk>().at(0).second.index;
  for (const std::uint64_t node : {2, 3})
    leader.receive(node, DigestTold{index, Bytes::copy(std::to_string(node)), 1});
  leader.emit(rl::MembershipChanged{{{three.members[1], three.members[2]}, {}, {}}, Index(1), false});
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), IsEmpty());
  EXPECT_THAT(leader.host.warnings, IsEmpty());
}

TEST(Replica, AStateThatDivergedIsToldWithinSeconds) {
  Digesting leader(1);
  Digesting other(2);
  leader.lead();
  other.follow(1);
  leader.commit(batch({command(9, 1, "x")}));
  other.commit(batch({command(9, 1, "y")}));
  leader.pass(1500ms);
  leader.receive(3, DigestTold{Index(1), leader.model->digest(), leader.model->digest_format()});
  leader.pass_to(other);
  other.pass_to(leader);
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), ElementsAre("diverged 2"));
  EXPECT_THAT(leader.host.warnings, ElementsAre(::testing::HasSubstr("node 2 differs")));
}

// The third does not answer, and the leader may be the one that is wrong: who is named gets thrown away.
TEST(Replica, WithoutAMajorityNobodyIsNamed) {
  Digesting leader(1);
  Digesting other(2);
  leader.lead();
  other.follow(1);
  leader.commit(batch({command(9, 1, "x")}));
  other.commit(batch({command(9, 1, "y")}));
  leader.pass(1500ms);
  leader.pass_to(other);
  other.pass_to(leader);
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), ElementsAre("diverged " + to_string(NodeId())));
  EXPECT_THAT(leader.host.warnings, ElementsAre(::testing::HasSubstr("no majority")));
}

TEST(Replica, ALeaderThatDivergedFromTheMostAccusesItself) {
  Digesting leader(1);
  Digesting other(2);
  leader.lead();
  other.follow(1);
  leader.commit(batch({command(9, 1, "x")}));
  other.commit(batch({command(9, 1, "y")}));
  leader.pass(1500ms);
  leader.pass_to(other);
  const auto told = other.host.take<DigestTold>();
  for (const std::uint64_t node : {2, 3}) leader.receive(node, told.at(0).second);
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), ElementsAre("diverged 1"));
}

// The digest is that of the index asked for, though a later entry is applied in the same batch.
TEST(Replica, AFollowerBehindTellsItsDigestWhenItComesThere) {
  Digesting follower(2);
  follower.follow(1);
  follower.receive(1, DigestAsk{Index(2)});
  EXPECT_THAT(follower.host.take<DigestTold>(), IsEmpty());
  std::vector<Entry> entries;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    entries.push_back({Epoch(1), Index(i), EntryKind::payload, batch({command(9, i, std::to_string(i))})});
  }
  follower.emit(rl::Committed{entries});
  const auto told = follower.host.take<DigestTold>();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].second.index, Index(2));
  EXPECT_EQ(told[0].second.digest.view(), "12");
  follower.receive(1, DigestAsk{Index(1)});
  EXPECT_THAT(follower.host.take<DigestTold>(), IsEmpty()) << "of the past nothing is known";
}

TEST(Replica, AnAnswerToAnEarlierComparisonDoesNotCount) {
  Digesting leader(1);
  leader.lead();
  leader.commit(batch({command(9, 1, "x")}));
  leader.pass(1500ms);
  leader.receive(2, DigestTold{Index(7), Bytes::literal("other"), 1});
  leader.receive(8, DigestTold{Index(1), Bytes::literal("alien"), 1});
  leader.pass(1500ms);
  EXPECT_THAT(leader.accusations(), IsEmpty());
}

}  // namespace
}  // namespace quorate::replica::testing
