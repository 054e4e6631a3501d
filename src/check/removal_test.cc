#include "check/removal.h"

#include <initializer_list>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace quorate::check {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const NodeId a(1), b(2), c(3);

Membership members(std::initializer_list<NodeId> ids) {
  Membership membership;
  for (const NodeId id : ids) membership.members.push_back({id, Role::voter, {}});
  return membership;
}

TEST(Removal, AcceptsWhomTheLogRemoved) {
  Removal removal;
  removal.committed(Index(0), members({a, b, c}));
  removal.committed(Index(5), members({a, b}));
  EXPECT_FALSE(removal.taken_for_removed(a, c, Index(5), Index(5)));
  EXPECT_FALSE(removal.taken_for_removed(a, c, Index(9), Index(9)));
  EXPECT_FALSE(removal.taken_for_removed(a, c, Index(4), Index(5)));  // somewhere on the way
}

TEST(Removal, FindsARemovalTakenForGrantedTooEarly) {
  Removal removal;
  removal.committed(Index(0), members({a, b, c}));
  removal.committed(Index(5), members({a, b}));
  EXPECT_TRUE(removal.taken_for_removed(a, c, Index(4), Index(4)));
  EXPECT_TRUE(removal.taken_for_removed(a, b, Index(9), Index(9)));
}

TEST(Removal, FindsAMemberTakenForRemovedThatWasNotYetOne) {
  Removal removal;
  removal.committed(Index(0), members({a, b}));
  removal.committed(Index(5), members({a, b, c}));
  EXPECT_TRUE(removal.taken_for_removed(a, c, Index(3), Index(3)));
  EXPECT_TRUE(removal.taken_for_removed(a, c, Index(5), Index(5)));
}

TEST(Removal, FindsAFormerMemberTakenForRemovedThatCameBack) {
  Removal removal;
  removal.committed(Index(0), members({a, b, c}));
  removal.committed(Index(5), members({a, b}));
  removal.committed(Index(7), members({a, b, c}));
  EXPECT_FALSE(removal.taken_for_removed(a, c, Index(6), Index(6)));  // has not heard of it yet
  EXPECT_TRUE(removal.taken_for_removed(a, c, Index(7), Index(7)));
}

TEST(Removal, WhoLeavesIsAMemberWhileTheChangeIsUnderWay) {
  Removal removal;
  removal.committed(Index(0), members({a, b, c}));
  Membership joint = members({a, b});
  joint.outgoing = {a, b, c};
  joint.departing = {{c, Role::voter, {}}};
  removal.committed(Index(5), joint);
  EXPECT_TRUE(removal.taken_for_removed(a, c, Index(5), Index(5)));
  EXPECT_THAT(removal.former(), IsEmpty());
  removal.committed(Index(6), members({a, b}));
  EXPECT_FALSE(removal.taken_for_removed(a, c, Index(6), Index(6)));
  EXPECT_THAT(removal.former(), ElementsAre(c));
}

}  // namespace
}  // namespace quorate::check
