// What etcd's clients depend on of leases, and what log time promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {
namespace {

class LeaseTest : public testing::Test {
 protected:
  pb::LeaseTimeToLiveResponse left(std::int64_t id, bool keys = false) {
    pb::LeaseTimeToLiveRequest request;
    request.set_id(id);
    request.set_keys(keys);
    const Result result = store.model().lease_time_to_live(request);
    EXPECT_EQ(result.error, Error::none);
    return body_of<pb::LeaseTimeToLiveResponse>(result);
  }
  pb::LeaseKeepAliveResponse keep_alive(std::int64_t id) {
    pb::LeaseKeepAliveRequest request;
    request.set_id(id);
    return body_of<pb::LeaseKeepAliveResponse>(store.apply(Op::lease_keep_alive, request));
  }
  Result revoke(std::int64_t id) {
    pb::LeaseRevokeRequest request;
    request.set_id(id);
    return store.apply(Op::lease_revoke, request);
  }
  Replica store;
};

TEST_F(LeaseTest, GrantGivesIdAndTtlWithinBounds) {
  const auto granted = body_of<pb::LeaseGrantResponse>(store.grant(7, 10));
  EXPECT_EQ(granted.id(), 7);
  EXPECT_EQ(granted.ttl(), 10);
  EXPECT_EQ(store.grant(7, 10).error, Error::lease_exists);
  EXPECT_EQ(store.grant(8, 9'000'000'001).error, Error::lease_ttl_too_large);
  EXPECT_EQ(store.grant(8, 9'000'000'000).error, Error::none);
  EXPECT_EQ(body_of<pb::LeaseGrantResponse>(store.grant(9, -3)).ttl(), 1);
  EXPECT_EQ(store.model().revision(), 1);
}

TEST_F(LeaseTest, TimeToLiveCountsDownInLogTimeAndListsKeys) {
  store.grant(7, 10);
  store.put("b", "1", 7);
  store.put("a", "1", 7);
  EXPECT_EQ(left(7).ttl(), 10);
  store.begin_leases();
  store.pass(2500ms);
  EXPECT_EQ(left(7).ttl(), 7);
  EXPECT_EQ(left(7).grantedttl(), 10);
  EXPECT_EQ(left(7).keys_size(), 0);
  EXPECT_THAT(left(7, true).keys(), testing::ElementsAre("a", "b"));
  EXPECT_EQ(left(404).ttl(), -1);
  EXPECT_EQ(left(404).id(), 404);
}

TEST_F(LeaseTest, ExpiryDeletesTheKeysInOneRevision) {
  store.grant(7, 2);
  store.put("a", "1", 7);
  store.put("b", "1", 7);
  store.put("c", "1");
  store.begin_leases();
  store.pass(2s - 1ms);
  EXPECT_EQ(store.model().revision(), 4);
  store.tick(1ms);
  EXPECT_EQ(store.model().revision(), 5);
  EXPECT_EQ(store.show("a", all), "c=1");
  EXPECT_EQ(left(7).ttl(), -1);
}

// The tick behind a grant tells of time in front of it, and the next one's proposer may have applied the
// grant only when it read its clock for that one.
TEST_F(LeaseTest, BeginWithTheSecondTickBehindTheGrant) {
  store.tick({});
  store.grant(7, 1);
  store.tick(1s);
  store.tick(1s);
  store.tick(999ms);
  EXPECT_NE(left(7).ttl(), -1);
  store.tick(1ms);
  EXPECT_EQ(left(7).ttl(), -1);
}

TEST_F(LeaseTest, ATickCountsOnlyAsTheNextBehindThoseItsProposerHadApplied) {
  const auto tick = [&](std::uint64_t node, std::uint64_t incarnation, Duration reading,
                        std::uint64_t behind) {
    const Tick told{{NodeId(node), incarnation, reading}, behind};
    store.apply(command(Op::tick, codec::encode(told).view()));
  };
  store.grant(7, 10);
  tick(1, 1, 5s, 0);
  tick(1, 1, 6s, 1);
  ASSERT_EQ(left(7).ttl(), 10);
  tick(1, 1, 7s, 1);  // proposed beside the one before
  tick(1, 1, 7s, 3);
  EXPECT_EQ(left(7).ttl(), 10);
  tick(1, 1, 7s, 2);
  EXPECT_EQ(left(7).ttl(), 9);
  tick(2, 1, 100s, 3);  // another clock: nothing to compare its reading with
  tick(1, 1, 200s, 4);
  tick(1, 2, 300s, 5);
  EXPECT_EQ(left(7).ttl(), 9);
  tick(1, 2, 400s, 6);  // nobody could keep a lease alive meanwhile
  EXPECT_EQ(left(7).ttl(), 8);
  tick(1, 2, 1s, 7);
  EXPECT_EQ(left(7).ttl(), 8);
}

TEST_F(LeaseTest, ExpireInOrderOfTheirEndsEachWithARevision) {
  store.grant(1, 3);
  store.grant(2, 1);
  store.grant(3, 1);
  store.put("one", "", 1);
  store.put("two", "", 2);
  store.put("three", "", 3);  // revision 4
  store.begin_leases();
  store.pass(10s);
  EXPECT_EQ(store.model().revision(), 7);
  EXPECT_EQ(store.show("a", all, 5), "one= three=");
  EXPECT_EQ(store.show("a", all, 6), "one=");
}

TEST_F(LeaseTest, KeepAliveRenewsAndIsZeroForUnknownOnes) {
  store.grant(7, 2);
  store.begin_leases();
  store.pass(1500ms);
  EXPECT_EQ(keep_alive(7).ttl(), 2);
  EXPECT_EQ(left(7).ttl(), 2);
  store.begin_leases();
  store.pass(1500ms);
  EXPECT_EQ(left(7).ttl(), 0);
  store.pass(500ms);
  EXPECT_EQ(keep_alive(7).ttl(), 0);
  EXPECT_EQ(keep_alive(7).id(), 7);
}

TEST_F(LeaseTest, RevokeDeletesTheKeys) {
  store.grant(7, 60);
  store.put("a", "1", 7);
  EXPECT_EQ(revoke(7).revision, 3);
  EXPECT_EQ(store.show("a"), "");
  EXPECT_EQ(revoke(7).error, Error::lease_not_found);
  store.grant(8, 60);
  EXPECT_EQ(revoke(8).revision, 3);  // no keys: no revision
}

TEST_F(LeaseTest, AKeyBelongsToTheLeaseOfItsLastPut) {
  store.grant(7, 60);
  store.grant(8, 60);
  store.put("a", "1", 7);
  store.put("a", "2", 8);
  store.put("b", "1", 7);
  store.put("b", "2");
  store.put("c", "1", 7);
  store.del("c");
  EXPECT_EQ(left(7, true).keys_size(), 0);
  EXPECT_EQ(revoke(7).error, Error::none);
  EXPECT_EQ(store.show("a", all), "a=2 b=2");
  revoke(8);
  EXPECT_EQ(store.show("a", all), "b=2");
}

TEST_F(LeaseTest, LeasesAreListedByExpiry) {
  store.grant(1, 30);
  store.grant(2, 10);
  store.grant(-3, 20);
  std::vector<std::int64_t> ids;
  const auto listed = body_of<pb::LeaseLeasesResponse>(store.model().lease_leases());
  for (const auto& lease : listed.leases()) ids.push_back(lease.id());
  EXPECT_THAT(ids, testing::ElementsAre(2, -3, 1));
}

TEST_F(LeaseTest, TimeIsAskedForOnlyWhileThereAreLeases) {
  EXPECT_FALSE(store.model().periodic({NodeId(1), 1, 1s}).has_value());
  store.grant(7, 1);
  for (int second = 2; second <= 4; ++second) {
    const auto wanted = store.model().periodic({NodeId(1), 1, std::chrono::seconds(second)});
    ASSERT_TRUE(wanted.has_value());
    store.apply(*wanted);
  }
  EXPECT_EQ(store.model().statistics().leases, 0U);
  EXPECT_FALSE(store.model().periodic({NodeId(1), 1, 5s}).has_value());
}

// Leases that are granted meanwhile are in front of what it asks for, and may not be answered yet.
TEST_F(LeaseTest, ATickAskedForInTheMidstOfAnotherDoesNotCount) {
  for (int id = 1; id <= 3; ++id) store.grant(id, 10);
  store.tick({});
  std::optional<Bytes> wanted;
  store.units = 1;
  store.between = [&] { wanted = store.model().periodic({NodeId(1), 1, 1s}); };
  store.tick({});
  ASSERT_TRUE(wanted.has_value());
  store.between = nullptr;
  store.apply(*wanted);
  EXPECT_EQ(left(1).ttl(), 10);
}

TEST_F(LeaseTest, SurviveARestartWithWhatIsLeft) {
  store.grant(7, 10);
  store.put("a", "1", 7);
  store.tick({});
  store.reopen();
  store.tick({});
  store.pass(4s);
  store.reopen();
  EXPECT_EQ(left(7).ttl(), 6);
  store.pass(6s);
  EXPECT_EQ(store.show("a"), "");
}

TEST_F(LeaseTest, PublishedNodesAreKept) {
  const Publish publish{NodeId(3), {.name = "three", .peer_urls = {"http://p"}, .client_urls = {"http://c"}}};
  EXPECT_EQ(store.apply(command(Op::publish, codec::encode(publish).view())).error, Error::none);
  store.reopen();
  EXPECT_EQ(store.model().published().at(NodeId(3)), publish.info);
}

TEST_F(LeaseTest, ARestoredStateKnowsNoNodesAndIsThatOfAStoreThatNeverDid) {
  store.put("a", "1");
  const Bytes before = store.model().digest();
  const Publish publish{NodeId(3), {.name = "three", .peer_urls = {"http://p"}, .client_urls = {"http://c"}}};
  EXPECT_EQ(store.apply(command(Op::publish, codec::encode(publish).view())).error, Error::none);
  EXPECT_NE(store.model().digest(), before);
  store.forget_nodes();
  store.reopen();
  EXPECT_TRUE(store.model().published().empty());
  EXPECT_EQ(store.model().digest(), before);
  EXPECT_EQ(store.show("a"), "a=1");
}

}  // namespace
}  // namespace quorate::models::etcd::test
