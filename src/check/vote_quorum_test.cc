#include "check/vote_quorum.h"

#include <gtest/gtest.h>

namespace quorate::check {
namespace {

const NodeId a(1), b(2), c(3), d(4), e(5);

LogCopy going_by(const std::vector<NodeId>& members, std::vector<NodeId> outgoing = {}) {
  Membership membership{{}, std::move(outgoing), {}};
  for (const NodeId id : members) membership.members.push_back({id, Role::voter, {}});
  LogCopy copy;
  copy.recovered({}, membership, {});
  return copy;
}

TEST(VoteQuorum, AcceptsAMajority) {
  VoteQuorum votes;
  EXPECT_FALSE(votes.durable(a, {Epoch(1), a}));
  EXPECT_FALSE(votes.durable(b, {Epoch(1), a}));
  EXPECT_FALSE(votes.leads(a, Epoch(1), going_by({a, b, c})));
}

TEST(VoteQuorum, FindsTooFew) {
  VoteQuorum votes;
  EXPECT_FALSE(votes.durable(a, {Epoch(1), a}));
  EXPECT_FALSE(votes.durable(b, {Epoch(2), a}));
  EXPECT_TRUE(votes.leads(a, Epoch(1), going_by({a, b, c})));
}

TEST(VoteQuorum, WantsAMajorityOfBothConfigurations) {
  VoteQuorum votes;
  for (const NodeId id : {a, d, e}) EXPECT_FALSE(votes.durable(id, {Epoch(1), a}));
  EXPECT_TRUE(votes.leads(a, Epoch(1), going_by({a, d, e}, {a, b, c})));
  EXPECT_FALSE(votes.durable(b, {Epoch(1), a}));
  EXPECT_FALSE(votes.leads(a, Epoch(1), going_by({a, d, e}, {a, b, c})));
}

TEST(VoteQuorum, FindsAVoteOfWhoLostEntries) {
  VoteQuorum votes;
  EXPECT_FALSE(votes.durable(a, {Epoch(3), {}}, true));
  EXPECT_TRUE(votes.durable(a, {Epoch(3), b}, true));
}

TEST(VoteQuorum, FindsTwoVotes) {
  VoteQuorum votes;
  EXPECT_FALSE(votes.durable(a, {Epoch(1), a}));
  EXPECT_FALSE(votes.durable(a, {Epoch(1), a}));
  EXPECT_TRUE(votes.durable(a, {Epoch(1), b}));
}

TEST(VoteQuorum, KeepsVotesOfOneEpochInTheirOrder) {
  LogCopy copy;
  copy.recovered({}, {}, {});
  copy.written(Ticket(1), {}, Ballot{Epoch(1), a});
  copy.written(Ticket(2), {}, Ballot{Epoch(2), b});
  EXPECT_TRUE(copy.next_ballot());  // what was recovered
  EXPECT_FALSE(copy.next_ballot());
  copy.durable(Ticket(2));
  EXPECT_EQ(copy.next_ballot()->vote, a);
  EXPECT_EQ(copy.next_ballot()->vote, b);
}

}  // namespace
}  // namespace quorate::check
