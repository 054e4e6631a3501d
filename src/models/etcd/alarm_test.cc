// Alarms as etcd has them: who raises what, and what is refused meanwhile. And the size a quota is of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/etcd/alarms.h"
#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AlarmTest : public testing::Test {
 protected:
  std::vector<std::string> alarm(pb::AlarmRequest::AlarmAction action, pb::AlarmType type = pb::NONE,
                                 std::uint64_t member = 0) {
    pb::AlarmRequest request;
    request.set_action(action);
    request.set_alarm(type);
    request.set_memberid(member);
    std::vector<std::string> told;
    const auto response = body_of<pb::AlarmResponse>(store.apply(Op::alarm, request));
    for (const auto& each : response.alarms())
      told.push_back(std::to_string(each.memberid()) + " " + pb::AlarmType_Name(each.alarm()));
    return told;
  }
  static pb::TxnRequest transaction(bool nested, bool put) {
    pb::TxnRequest inner;
    if (put) {
      auto* op = inner.add_failure()->mutable_request_put();
      op->set_key("k");
      op->set_value("v");
    } else {
      inner.add_failure()->mutable_request_delete_range()->set_key("k");
    }
    if (!nested) return inner;
    pb::TxnRequest outer;
    *outer.add_success()->mutable_request_txn() = inner;
    return outer;
  }
  Error revoke(std::int64_t id) {
    pb::LeaseRevokeRequest request;
    request.set_id(id);
    return store.apply(Op::lease_revoke, request).error;
  }
  Replica store;
};

TEST_F(AlarmTest, AreRaisedListedAndDisarmed) {
  EXPECT_THAT(alarm(pb::AlarmRequest::GET), IsEmpty());
  EXPECT_THAT(alarm(pb::AlarmRequest::ACTIVATE, pb::NOSPACE, 7), ElementsAre("7 NOSPACE"));
  EXPECT_THAT(alarm(pb::AlarmRequest::ACTIVATE, pb::NOSPACE, 7), ElementsAre("7 NOSPACE"));
  EXPECT_THAT(alarm(pb::AlarmRequest::ACTIVATE, pb::CORRUPT, 5), ElementsAre("5 CORRUPT"));
  EXPECT_THAT(alarm(pb::AlarmRequest::ACTIVATE, pb::NONE, 5), IsEmpty());
  EXPECT_THAT(alarm(pb::AlarmRequest::GET), ElementsAre("7 NOSPACE", "5 CORRUPT"));
  EXPECT_THAT(alarm(pb::AlarmRequest::GET, pb::CORRUPT), ElementsAre("5 CORRUPT"));
  EXPECT_THAT(alarm(pb::AlarmRequest::DEACTIVATE, pb::NOSPACE, 5), IsEmpty()) << "it is not this member's";
  EXPECT_THAT(alarm(pb::AlarmRequest::DEACTIVATE, pb::NOSPACE, 7), ElementsAre("7 NOSPACE"));
  EXPECT_THAT(alarm(pb::AlarmRequest::DEACTIVATE, pb::NOSPACE, 7), IsEmpty());
  EXPECT_THAT(alarm(pb::AlarmRequest::GET), ElementsAre("5 CORRUPT"));
  EXPECT_EQ(store.model().revision(), 1) << "no revision is used up";
}

TEST_F(AlarmTest, OutliveARestartAndAreInTheDigest) {
  const Bytes before = store.model().digest();
  alarm(pb::AlarmRequest::ACTIVATE, pb::NOSPACE, UINT64_MAX);
  const Bytes raised = store.model().digest();
  EXPECT_NE(raised, before);
  store.reopen();
  EXPECT_EQ(store.model().digest(), raised);
  EXPECT_EQ(store.put("k", "v").error, Error::no_space);
  alarm(pb::AlarmRequest::DEACTIVATE, pb::NOSPACE, UINT64_MAX);
  EXPECT_EQ(store.model().digest(), before);
  store.reopen();
  EXPECT_EQ(store.put("k", "v").error, Error::none);
}

TEST_F(AlarmTest, WithoutSpaceWhatMakesRoomGoesOn) {
  store.put("k", "v");
  store.put("k", "w");
  store.grant(1, 10);
  alarm(pb::AlarmRequest::ACTIVATE, pb::NOSPACE, 7);
  EXPECT_EQ(store.put("k", "v").error, Error::no_space);
  EXPECT_EQ(store.grant(2, 10).error, Error::no_space);
  EXPECT_EQ(store.apply(Op::txn, transaction(false, true)).error, Error::no_space);
  EXPECT_EQ(store.apply(Op::txn, transaction(true, true)).error, Error::no_space);
  EXPECT_EQ(store.apply(Op::txn, transaction(true, false)).error, Error::none);
  EXPECT_EQ(store.compact(3).error, Error::none);
  EXPECT_EQ(store.del("k").error, Error::none);
  EXPECT_EQ(revoke(1), Error::none);
  EXPECT_EQ(store.show("k"), "");
}

TEST_F(AlarmTest, OnADivergedStateNothingIsWritten) {
  store.put("k", "v");
  store.grant(1, 10);
  store.apply(*store.model().diverged(NodeId(3)));
  EXPECT_FALSE(store.model().diverged(NodeId(3))) << "it is raised already";
  EXPECT_EQ(store.put("k", "w").error, Error::corrupt);
  EXPECT_EQ(store.del("k").error, Error::corrupt);
  EXPECT_EQ(store.compact(2).error, Error::corrupt);
  EXPECT_EQ(store.apply(Op::txn, transaction(false, false)).error, Error::corrupt);
  EXPECT_EQ(store.grant(2, 10).error, Error::corrupt);
  EXPECT_EQ(revoke(1), Error::corrupt);
  EXPECT_EQ(store.tick(1h).error, Error::corrupt);
  EXPECT_FALSE(store.model().periodic({NodeId(1), 1, 250ms})) << "nor is it asked for";
  EXPECT_EQ(store.model().statistics().leases, 1U);
  EXPECT_EQ(store.show("k"), "k=v") << "reads go on";
  EXPECT_THAT(alarm(pb::AlarmRequest::DEACTIVATE, pb::CORRUPT, 3), ElementsAre("3 CORRUPT"));
  EXPECT_EQ(store.put("k", "w").error, Error::none);
}

TEST_F(AlarmTest, ASizeIsOfAllKeptRevisionsAndShrinksWithCompaction) {
  const auto bytes = [&] { return store.model().statistics().bytes; };
  EXPECT_EQ(bytes(), 0U);
  for (int i = 0; i < 10; ++i) store.put("k", std::string(1000, 'x'));
  EXPECT_GT(bytes(), 10'000U);
  EXPECT_LT(bytes(), 11'000U);
  store.compact(store.model().revision());
  store.tick(1ms);
  EXPECT_GT(bytes(), 1000U);
  EXPECT_LT(bytes(), 1100U);
  store.del("k");
  store.compact(store.model().revision());
  store.tick(1ms);
  EXPECT_LT(bytes(), 100U) << "the deletion itself is still to be seen";
  const auto rest = bytes();
  store.reopen();
  EXPECT_EQ(bytes(), rest);
  store.put("l", "v");
  store.compact(store.model().revision());
  store.tick(1ms);
  store.del("l");
  store.compact(store.model().revision());
  store.tick(1ms);
  EXPECT_LE(bytes(), rest) << "nothing is counted twice or left behind";
}

}  // namespace
}  // namespace quorate::models::etcd::test
