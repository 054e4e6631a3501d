// Rows of a megabyte take as long as a thousand small ones: what is bounded in rows is bounded in bytes, too.
#include <gmock/gmock.h>

#include "models/etcd/test_support.h"
#include "models/etcd/watch_hub.h"

namespace quorate::models::etcd::test {
namespace {

class LargeRows : public testing::Test {
 protected:
  static constexpr int rows = 40;
  LargeRows() {
    store.grant(7, 100);
    for (int i = 0; i < rows; ++i) store.put("k" + std::to_string(10 + i), large, 7);
    store.units = 8'000;
  }
  const std::string large = std::string(256U << 10U, 'x');
  Replica store;
};

TEST_F(LargeRows, AreDeletedInSteps) {
  pb::DeleteRangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  EXPECT_EQ(body_of<pb::DeleteRangeResponse>(store.apply(Op::delete_range, request)).deleted(), rows);
  EXPECT_GE(store.pauses, 3);
}

TEST_F(LargeRows, EndWithTheirLeaseInSteps) {
  pb::LeaseRevokeRequest request;
  request.set_id(7);
  EXPECT_EQ(store.apply(Op::lease_revoke, request).error, Error::none);
  EXPECT_EQ(store.show("k", "l"), "");
  EXPECT_GE(store.pauses, 3);
}

TEST_F(LargeRows, AreReadAndComparedInSteps) {
  pb::TxnRequest txn;
  auto& range = *txn.add_success()->mutable_request_range();
  range.set_key("k");
  range.set_range_end("l");
  range.set_count_only(true);
  EXPECT_EQ(store.apply(Op::txn, txn).error, Error::none);
  EXPECT_GE(store.pauses, 1);
  store.pauses = 0;
  txn.mutable_success()->Clear();
  auto& compare = *txn.add_compare();
  compare.set_key("k");
  compare.set_range_end("l");
  compare.set_target(pb::Compare::VALUE);
  compare.set_value(large);
  EXPECT_TRUE(body_of<pb::TxnResponse>(store.apply(Op::txn, txn)).succeeded());
  EXPECT_GE(store.pauses, 1);
}

TEST_F(LargeRows, AreCompactedInSteps) {
  const std::string before = store.show("k", "l");
  for (int i = 0; i < rows; ++i) store.put("one", large);
  store.compact(store.model().revision());
  store.pauses = 0;
  store.tick(1s);
  EXPECT_GE(store.pauses, 2);
  const auto left = [&] { return store.model().statistics().bytes; };
  for (std::uint64_t bytes = 0; bytes != left();) {
    bytes = left();
    store.tick(1s);
  }
  EXPECT_LT(left(), (rows + 2) * large.size());
  EXPECT_EQ(store.show("k", "l"), before);
}

TEST_F(LargeRows, AreLongToRead) {
  pb::RangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  request.set_count_only(true);
  EXPECT_TRUE(std::holds_alternative<LongRead>(store.model().begin_range(request)));
  RangeCursor cursor;
  EXPECT_EQ(store.model().range_part(request, cursor, 1000).error, Error::none);
  EXPECT_FALSE(cursor.done);
  while (!cursor.done) EXPECT_EQ(store.model().range_part(request, cursor, 1000).error, Error::none);
  EXPECT_EQ(cursor.seen, rows);
}

TEST_F(LargeRows, AreLookedAtInBoundedStepsByWatchers) {
  auto& hub = store.model().watches();
  const WatchId id = hub.add({.key = "a", .range_end = "b", .start_revision = 1}, [] {});
  EXPECT_TRUE(hub.poll(id, 1000).more);
  while (hub.poll(id, 1000).more) {
  }
  EXPECT_TRUE(hub.synced(id));
}

TEST(Watchers, OfOneKeyLookAtABoundedPartOfItsHistory) {
  Replica store;
  for (std::size_t i = 0; i < Hub::max_scanned + 10; ++i) store.put("a", "");
  store.del("a");
  auto& hub = store.model().watches();
  const WatchId id = hub.add({.key = "a", .start_revision = 1, .no_put = true}, [] {});
  const WatchBatch first = hub.poll(id, 1000);
  EXPECT_TRUE(first.more);
  EXPECT_THAT(first.events, testing::IsEmpty());
  EXPECT_THAT(hub.poll(id, 1000).revisions, testing::ElementsAre(store.model().revision()));
}

}  // namespace
}  // namespace quorate::models::etcd::test
