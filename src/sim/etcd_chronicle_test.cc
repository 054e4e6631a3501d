#include "sim/etcd_chronicle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/etcd_model.h"
#include "sim/admission.h"

namespace quorate::sim {
namespace {

namespace etcd = models::etcd;
namespace pb = etcdserverpb;
using testing::ElementsAre;
using testing::IsEmpty;
using Change = EtcdChronicle::Change;

class Chronicle : public testing::Test {
 protected:
  std::vector<EtcdChronicle::Expiry> commit(Bytes body) {
    ++index_;
    return book_.committed({{NodeId(1), 1, index_}, 0, std::move(body)}, Index(index_), now_);
  }
  static Bytes put(const std::string& key, const std::string& value, std::int64_t lease = 0) {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease);
    return etcd::command(etcd::Op::put, request.SerializeAsString());
  }
  static Bytes grant(std::int64_t id, std::int64_t ttl) {
    pb::LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl);
    return etcd::command(etcd::Op::lease_grant, request.SerializeAsString());
  }
  static Bytes keep_alive(std::int64_t id) {
    pb::LeaseKeepAliveRequest request;
    request.set_id(id);
    return etcd::command(etcd::Op::lease_keep_alive, request.SerializeAsString());
  }
  static Bytes tick(Duration reading, std::uint64_t behind, std::uint64_t node = 1) {
    return etcd::command(etcd::Op::tick,
                         codec::encode(etcd::Tick{{NodeId(node), 1, reading}, behind}).view());
  }

  EtcdChronicle book_;
  Moment now_{};
  std::uint64_t index_ = 0;
};

TEST_F(Chronicle, KnowsEachRevision) {
  commit(put("a", "1"));
  commit(put("b", "2"));
  commit(put("a", "3"));
  EXPECT_EQ(book_.revision(), 4);
  EXPECT_THAT(book_.changes(1), IsEmpty());
  EXPECT_THAT(book_.changes(3), ElementsAre(Change{"b", "2"}));
  EXPECT_EQ(book_.value_at("a", 3), "1");
  EXPECT_EQ(book_.value_at("a", 4), "3");
  EXPECT_EQ(book_.value_at("b", 2), std::nullopt);
  EXPECT_EQ(book_.place_of(put("b", "2"))->revision, 3);
}

TEST(Admission, LetsACommandTakeEffectOnce) {
  Admission admission;
  const auto admit = [&](std::uint64_t number, std::uint64_t settled = 0, std::uint64_t incarnation = 1) {
    return admission.admit({{NodeId(1), incarnation, number}, settled, {}});
  };
  EXPECT_TRUE(admit(1));
  EXPECT_FALSE(admit(1));
  EXPECT_TRUE(admit(4, 3));
  EXPECT_FALSE(admit(2));  // given up before the fourth was sent
  EXPECT_TRUE(admit(1, 0, 2));
  EXPECT_FALSE(admit(5));  // of an earlier life
}

TEST_F(Chronicle, EndsLeasesInLogTime) {
  commit(grant(7, 2));
  commit(put("a", "1", 7));
  commit(put("b", "1", 7));
  commit(put("b", "2"));
  EXPECT_THAT(commit(tick(10s, 0)), IsEmpty());
  now_ = 1500ms;
  commit(keep_alive(7));
  EXPECT_THAT(commit(tick(11s, 1)), IsEmpty());
  EXPECT_THAT(commit(tick(12s, 2)), IsEmpty());  // its time begins
  EXPECT_THAT(commit(tick(13s, 3)), IsEmpty());
  EXPECT_THAT(commit(tick(14s, 3)), IsEmpty());
  EXPECT_THAT(commit(tick(14s, 4, 2)), IsEmpty());
  EXPECT_THAT(commit(tick(14s, 5)), IsEmpty());
  const auto expired = commit(tick(20s, 6));
  ASSERT_EQ(expired.size(), 1U);
  EXPECT_EQ(expired[0].id, 7);
  EXPECT_EQ(expired[0].since, 1500ms);
  EXPECT_THAT(book_.changes(5), ElementsAre(Change{"a", std::nullopt}));
  EXPECT_EQ(book_.revision(), 5);
  commit(put("a", "3", 7));  // the lease is gone: nothing happens
  EXPECT_EQ(book_.revision(), 5);
}

// The leader's clock seems to stand still; that is only known of one that goes on telling the time.
TEST_F(Chronicle, KnowsWhichLeasesAreOverdue) {
  constexpr std::int64_t slow = 100'000;  // ppm: a tenth
  std::uint64_t ticks = 0;
  const auto pass = [&](int times, std::uint64_t node) {
    for (; times > 0; --times, now_ += 250ms) commit(tick(1s, ticks++, node));
  };
  commit(grant(7, 2));
  pass(9, 1);  // the second begins its time; the eighth is committed 1.5 s later
  EXPECT_THAT(book_.overdue(slow), IsEmpty());
  pass(1, 2);  // another begins, at 2.25 s
  EXPECT_THAT(book_.overdue(slow), IsEmpty());
  pass(9, 2);  // up to 4.5 s; the last but one at 4.25 s
  EXPECT_THAT(book_.overdue(slow), IsEmpty());
  pass(1, 2);
  ASSERT_EQ(book_.overdue(slow).size(), 1U);
  EXPECT_EQ(book_.overdue(slow)[0].id, 7);
  now_ += 1s;
  pass(1, 2);
  EXPECT_THAT(book_.overdue(slow), IsEmpty()) << "one waited for too long to count";
}

}  // namespace
}  // namespace quorate::sim
