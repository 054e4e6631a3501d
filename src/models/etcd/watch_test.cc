// What etcd's clients depend on of watches, and that slow and late watchers miss nothing.
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rng.h"
#include "models/etcd/interval_index.h"
#include "models/etcd/test_support.h"
#include "models/etcd/watch_hub.h"

namespace quorate::models::etcd::test {
namespace {

std::string show(const Bytes& event) {
  mvccpb::Event parsed;
  EXPECT_TRUE(parsed.ParseFromArray(event.data(), static_cast<int>(event.size())));
  std::string text = std::to_string(parsed.kv().mod_revision()) +
                     (parsed.type() == mvccpb::Event::PUT ? "+" : "-") + parsed.kv().key() +
                     parsed.kv().value();
  if (parsed.has_prev_kv()) text += "(" + parsed.prev_kv().value() + ")";
  return text;
}

class Watches : public testing::Test {
 protected:
  WatchId watch(WatchSpec spec) {
    const WatchId id = store.model().watches().add(spec, [this, at = ++last_] { ++ready_[at]; });
    return id;
  }
  // Everything there is, in polls of `max_bytes`.
  std::string drain(WatchId id, std::size_t max_bytes = 1 << 20) {
    std::string text;
    for (;;) {
      const WatchBatch batch = store.model().watches().poll(id, max_bytes);
      EXPECT_EQ(batch.events.size(), batch.revisions.size());
      for (const auto& event : batch.events) text += (text.empty() ? "" : " ") + show(event);
      if (!batch.revisions.empty()) {
        EXPECT_LE(batch.revisions.back(), batch.revision);
      }
      if (!batch.more) return text;
    }
  }
  int ready(int nth) { return ready_[nth]; }
  Replica store;

 private:
  int last_ = 0;
  std::map<int, int> ready_;
};

TEST_F(Watches, SeeWhatHappensFromNowOn) {
  store.put("a", "0");
  const WatchId id = watch({.key = "a"});
  store.put("b", "x");
  EXPECT_EQ(ready(1), 0);
  store.put("a", "1");
  store.del("a");
  EXPECT_EQ(ready(1), 1);  // told once, until polled
  EXPECT_EQ(drain(id), "4+a1 5-a");
  store.put("a", "2");
  EXPECT_EQ(ready(1), 2);
  EXPECT_EQ(drain(id), "6+a2");
  EXPECT_EQ(drain(id), "");
  EXPECT_TRUE(store.model().watches().synced(id));
}

TEST_F(Watches, StartInThePastAndGoOn) {
  store.put("a", "1");
  store.put("b", "1");
  store.put("a", "2");
  const WatchId one = watch({.key = "a", .start_revision = 2});
  const WatchId range = watch({.key = "a", .range_end = all, .start_revision = 3});
  EXPECT_FALSE(store.model().watches().synced(one));
  EXPECT_EQ(drain(one), "2+a1 4+a2");
  EXPECT_EQ(drain(range), "3+b1 4+a2");
  EXPECT_TRUE(store.model().watches().synced(one));
  store.put("a", "3");
  EXPECT_EQ(drain(one), "5+a3");
  EXPECT_EQ(drain(range), "5+a3");
}

TEST_F(Watches, OfTheFutureGetNothingEarlier) {
  const WatchId id = watch({.key = "a", .start_revision = 4});
  store.put("a", "2");
  store.put("a", "3");
  EXPECT_EQ(ready(1), 0);
  EXPECT_EQ(drain(id), "");
  EXPECT_TRUE(store.model().watches().synced(id));  // revision 3: the next is the one it waits for
  store.put("a", "4");
  EXPECT_EQ(drain(id), "4+a4");
  const WatchId far = watch({.key = "a", .start_revision = 9});
  EXPECT_FALSE(store.model().watches().synced(far));  // no progress for it
}

TEST_F(Watches, FilterPutsAndDeletes) {
  const WatchId puts = watch({.key = "a", .no_delete = true});
  const WatchId deletes = watch({.key = "a", .no_put = true});
  store.put("a", "1");
  EXPECT_EQ(ready(2), 0);
  store.del("a");
  EXPECT_EQ(drain(puts), "2+a1");
  EXPECT_EQ(drain(deletes), "3-a");
  EXPECT_EQ(drain(watch({.key = "a", .start_revision = 2, .no_put = true})), "3-a");
  EXPECT_EQ(drain(watch({.key = "a", .range_end = "b", .start_revision = 2, .no_delete = true})), "2+a1");
}

TEST_F(Watches, PreviousRecordsAreThoseOfTheRevisionBefore) {
  const WatchId id = watch({.key = "a", .prev_kv = true});
  store.put("a", "1");
  store.put("a", "2");
  store.del("a");
  store.put("a", "3");
  const std::string expected = "2+a1 3+a2(1) 4-a(2) 5+a3";  // none for creations
  EXPECT_EQ(drain(id), expected);
  EXPECT_EQ(drain(watch({.key = "a", .start_revision = 2, .prev_kv = true})), expected);
  EXPECT_EQ(drain(watch({.key = "a", .range_end = "b", .start_revision = 2, .prev_kv = true})), expected);
}

TEST_F(Watches, PreviousRecordsThatAreCompactedAreLeftOut) {
  for (const auto* value : {"1", "2", "3"}) store.put("a", value);
  store.compact(3);
  EXPECT_EQ(drain(watch({.key = "a", .start_revision = 3, .prev_kv = true})), "3+a2 4+a3(2)");
}

TEST_F(Watches, OfCompactedHistoryEndWithTheCompactRevision) {
  for (int i = 0; i < 5; ++i) store.put("a", std::to_string(i));  // up to 6
  const WatchId slow = watch({.key = "a", .start_revision = 2});
  store.compact(4);
  const WatchBatch batch = store.model().watches().poll(slow, 1000);
  EXPECT_EQ(batch.compact_revision, 4);
  EXPECT_TRUE(batch.events.empty());
  EXPECT_EQ(store.model().watches().size(), 0U);
  EXPECT_EQ(drain(watch({.key = "a", .start_revision = 4})), "4+a2 5+a3 6+a4");
}

TEST_F(Watches, SeeDeletionsAtTheCompactedRevision) {
  store.put("a", "1");
  store.del("a");  // 3
  store.compact(3);
  store.tick(1s);
  EXPECT_EQ(drain(watch({.key = "a", .start_revision = 3})), "3-a");
}

TEST_F(Watches, SeeEveryChangeOfTheCompactedRevision) {
  pb::TxnRequest
      txn;  // etcd refuses a put behind a delete of the key, not the reverse in nested transactions
  txn.add_success()->mutable_request_txn()->add_success()->mutable_request_put()->set_key("a");
  txn.add_success()->mutable_request_txn()->add_success()->mutable_request_delete_range()->set_key("a");
  EXPECT_EQ(store.apply(Op::txn, txn).error, Error::none);
  store.compact(2);
  store.tick(1s);
  EXPECT_EQ(drain(watch({.key = "a", .start_revision = 2, .prev_kv = true})), "2+a 2-a");
}

TEST_F(Watches, GetWholeRevisionsWhateverTheLimit) {
  const WatchId live = watch({.key = "a", .range_end = all});
  pb::TxnRequest txn;
  for (const auto* key : {"a", "b", "c"}) txn.add_success()->mutable_request_put()->set_key(key);
  store.apply(Op::txn, txn);
  store.apply(Op::txn, txn);
  const WatchId late = watch({.key = "a", .range_end = all, .start_revision = 1});
  for (const WatchId id : {live, late}) {
    const WatchBatch first = store.model().watches().poll(id, 1);
    EXPECT_THAT(first.revisions, testing::ElementsAre(2, 2, 2));
    EXPECT_TRUE(first.more);
    EXPECT_EQ(first.revision, 2);
    const WatchBatch second = store.model().watches().poll(id, 1);
    EXPECT_THAT(second.revisions, testing::ElementsAre(3, 3, 3));
    EXPECT_FALSE(second.more);
  }
}

TEST_F(Watches, ThatAreSlowReadHistoryInstead) {
  const WatchId id = watch({.key = "a", .range_end = "b"});
  std::string expected;
  for (std::size_t i = 0; i < Hub::max_queued_events + 500; ++i) {
    store.put("a", std::to_string(i));
    expected += (i == 0 ? "" : " ") + std::to_string(i + 2) + "+a" + std::to_string(i);
  }
  EXPECT_FALSE(store.model().watches().synced(id));
  EXPECT_EQ(ready(1), 1);
  EXPECT_EQ(drain(id, 500), expected);
  EXPECT_TRUE(store.model().watches().synced(id));
}

// What waited in memory would be there still.
TEST_F(Watches, ThatNobodyPollsQueueBoundedly) {
  const WatchId many = watch({.key = "a"});
  const WatchId large = watch({.key = "b"});
  for (std::size_t i = 0; i <= Hub::max_queued_events; ++i) store.put("a", "");
  const std::string value(Hub::max_queued_bytes / 4, 'x');
  for (int i = 0; i < 5; ++i) store.put("b", value);
  const std::int64_t now = store.model().revision();
  store.compact(now);
  for (const WatchId id : {many, large}) {
    const WatchBatch batch = store.model().watches().poll(id, 1000);
    EXPECT_THAT(batch.events, testing::IsEmpty());
    EXPECT_EQ(batch.compact_revision, now);
  }
}

TEST_F(Watches, OfARareKeyAreReadInBoundedSteps) {
  for (std::size_t i = 0; i < Hub::max_scanned + 10; ++i) store.put("b", "");
  const WatchId id = watch({.key = "a", .range_end = "b", .start_revision = 2});
  store.put("a", "1");
  const WatchBatch first = store.model().watches().poll(id, 1000);
  EXPECT_TRUE(first.more);
  EXPECT_TRUE(first.events.empty());
  EXPECT_EQ(first.revision, static_cast<std::int64_t>(Hub::max_scanned) + 1);
  EXPECT_EQ(drain(id), std::to_string(Hub::max_scanned + 12) + "+a1");
}

// One command that changes more than can be told at a stretch.
class LargeCommand : public Watches {
 protected:
  static constexpr int keys = 2 * static_cast<int>(Hub::max_scanned) + 5;
  void fill() {
    std::vector<Bytes> puts;
    for (int i = 0; i < keys; ++i) {
      pb::PutRequest put;
      put.set_key("k" + std::to_string(100'000 + i));
      puts.push_back(encoded(Op::put, put));
    }
    store.apply(puts);
  }
  // Whether these are the deletions of all keys, in order.
  static void expect_all(const WatchBatch& batch, std::int64_t revision) {
    ASSERT_EQ(batch.events.size(), static_cast<std::size_t>(keys));
    EXPECT_EQ(batch.revision, revision);
    for (int i = 0; i < keys; i += 100)
      EXPECT_EQ(show(batch.events[i]), std::to_string(revision) + "-k" + std::to_string(100'000 + i));
  }
  WatchBatch poll(WatchId id) { return store.model().watches().poll(id, 1); }
  // Polls until there are events; each poll looks at so many rows at most.
  WatchBatch next_events(WatchId id) {
    for (;;) {
      WatchBatch batch = poll(id);
      if (!batch.events.empty() || !batch.more) return batch;
      EXPECT_LE(batch.rows, Hub::max_scanned);
    }
  }
};

TEST_F(LargeCommand, IsReadInBoundedStepsOnceForAllWhoWatchTheSame) {
  fill();
  const WatchId first = watch({.key = "k", .range_end = "l"});
  const WatchId same = watch({.key = "k", .range_end = "l"});
  const WatchId other = watch({.key = "k", .range_end = "l", .prev_kv = true});
  const WatchId none = watch({.key = "k", .range_end = "l", .no_delete = true});
  const WatchId unconcerned = watch({.key = "l", .range_end = "m"});
  const WatchId one = watch({.key = "k100007"});
  const std::int64_t revision = store.del("k", "l").revision;
  store.put("k", "next");
  int polls = 0;
  WatchBatch batch = poll(first);
  for (; batch.events.empty(); batch = poll(first)) {
    ++polls;
    ASSERT_TRUE(batch.more);
    EXPECT_LT(batch.revision, revision);
    EXPECT_LE(batch.rows, Hub::max_scanned);
    (void)poll(same);
  }
  EXPECT_GE(polls, 1);
  expect_all(batch, revision);
  const WatchBatch again = next_events(same);
  expect_all(again, revision);
  EXPECT_NE(batch.same, 0U);
  EXPECT_EQ(again.same, batch.same);
  EXPECT_EQ(again.events.front().data(), batch.events.front().data()) << "the events are shared";
  EXPECT_NE(next_events(other).same, batch.same);
  for (const WatchId id : {first, same, none}) {
    EXPECT_EQ(drain(id), std::to_string(revision + 1) + "+knext");
    EXPECT_TRUE(store.model().watches().synced(id));
  }
  EXPECT_TRUE(store.model().watches().synced(unconcerned)) << "who is not concerned reads nothing";
  EXPECT_EQ(drain(one), std::to_string(revision) + "-k100007");
}

TEST_F(LargeCommand, IsToldAtItsCommitThoughItIsHandedOutBefore) {
  const WatchId early = watch({.key = "k", .range_end = "l"});
  const WatchId one = watch({.key = "k100001"});
  fill();
  while (poll(early).more) {
  }
  (void)poll(one);
  const std::int64_t before = store.model().revision();
  std::vector<WatchId> late;
  store.units = 1000;
  store.between = [&] {
    EXPECT_EQ(poll(one).events.size(), 0U);
    EXPECT_EQ(next_events(early).events.size(), 0U);
    if (store.pauses % 4 == 0) late.push_back(watch({.key = "k", .range_end = "l"}));
    for (const WatchId id : late) EXPECT_EQ(next_events(id).events.size(), 0U);
  };
  const int told = ready(1);
  store.del("k", "l");
  EXPECT_GT(store.pauses, 5);
  EXPECT_EQ(ready(1), told + 1);
  expect_all(next_events(early), before + 1);
  EXPECT_EQ(drain(one), std::to_string(before + 1) + "-k100001");
  EXPECT_GT(late.size(), 1U);
  for (const WatchId id : late) expect_all(next_events(id), before + 1);
}

TEST_F(LargeCommand, IsReadForAFewAtATimeAndNobodyWaitsForWhoDoesNotCome) {
  fill();
  std::vector<WatchId> all_of_them;
  for (std::size_t i = 0; i < 2 * Hub::max_large; ++i)
    all_of_them.push_back(watch({.key = "k" + std::string(i, '\0'), .range_end = "l"}));
  const std::int64_t revision = store.del("k", "l").revision;
  for (std::size_t i = 0; i < Hub::max_large; ++i) {  // they begin, and do not come again
    while (poll(all_of_them[i]).rows == 0) {
    }
    (void)poll(all_of_them[i]);
  }
  for (std::size_t i = Hub::max_large; i < 2 * Hub::max_large; ++i)
    expect_all(next_events(all_of_them[i]), revision);
  for (std::size_t i = 0; i < Hub::max_large; ++i) expect_all(next_events(all_of_them[i]), revision);
}

// Watched by so many that it can not be handed to all of them at its commit.
TEST_F(LargeCommand, TakesAStepMoreForEachShareOfManyWatchers) {
  pb::TxnRequest txn;
  for (int i = 0; i < 1000; ++i) txn.add_success()->mutable_request_put()->set_key("k" + std::to_string(i));
  std::vector<WatchId> many;
  for (int i = 0; i < 1500; ++i) many.push_back(watch({.key = "k", .range_end = "l"}));
  store.apply(Op::txn, txn);
  EXPECT_GE(store.pauses, 3);
  for (std::size_t i = 0; i < many.size(); i += 100) {
    const WatchBatch batch = poll(many[i]);
    ASSERT_EQ(batch.events.size(), 1000U);
    EXPECT_EQ(show(batch.events[999]), "2+k999");
    EXPECT_FALSE(batch.more);
  }
}

TEST_F(Watches, SeeExpiriesAndRevocations) {
  const WatchId id = watch({.key = "a", .range_end = all, .prev_kv = true});
  store.grant(7, 1);
  store.put("a", "1", 7);
  store.begin_leases();
  store.tick(1s);
  EXPECT_EQ(drain(id), "2+a1 3-a(1)");
}

TEST_F(Watches, AddedBetweenApplyAndCommitMissNothing) {
  storage::Transaction txn(store.engine());
  pb::PutRequest put;
  put.set_key("a");
  (void)store.model().apply(encoded(Op::put, put), txn);
  const WatchId id = watch({.key = "a"});
  (void)store.model().apply(encoded(Op::put, put), txn);
  EXPECT_EQ(drain(id), "");
  store.model().committed(Index(1));
  EXPECT_EQ(ready(1), 1);
  EXPECT_EQ(drain(id), "2+a 3+a");
}

// A put and a tick that ends three leases, in one batch; somebody begins to watch at the given pause of it,
// be it in front of the first lease's end, behind it or within.
TEST(WatchesAddedInAPause, MissNoDeletionOfATickThatIsHalfDone) {
  int watched = 0;
  for (std::size_t units = 1; units < 10; ++units) {
    for (int at = 1; at < 10; ++at) {
      SCOPED_TRACE(testing::Message() << units << " units a step, a watch at pause " << at);
      Replica store;
      for (int lease = 1; lease <= 3; ++lease) store.grant(lease, 1);
      for (int lease = 1; lease <= 3; ++lease) store.put("k" + std::to_string(lease), "", lease);  // 2 to 4
      store.begin_leases();
      WatchId id = 0;
      store.units = units;
      store.between = [&] {
        if (store.pauses == at) id = store.model().watches().add({.key = "", .range_end = all}, [] {});
      };
      pb::PutRequest put;
      put.set_key("p");  // 5
      store.apply({encoded(Op::put, put), store.next_tick(1s)});
      if (id == 0) continue;
      ++watched;
      std::string seen;
      for (bool more = true; more;) {
        const WatchBatch batch = store.model().watches().poll(id, 1000);
        for (const auto& event : batch.events) seen += show(event) + " ";
        more = batch.more;
      }
      EXPECT_EQ(seen, "6-k1 7-k2 8-k3 ");
    }
  }
  EXPECT_GT(watched, 3);
}

TEST_F(Watches, GoOnOverAReceivedSnapshot) {
  const WatchId quick = watch({.key = "a"});
  const WatchId queued = watch({.key = "a"});
  const WatchId future = watch({.key = "a", .start_revision = 5});
  store.put("a", "1");
  EXPECT_EQ(drain(quick), "2+a1");
  Replica ahead;
  for (const auto* value : {"1", "2", "3", "4"}) ahead.put("a", value);
  store.model().open(ahead.engine());
  EXPECT_EQ(ready(1), 2);
  EXPECT_EQ(drain(quick), "3+a2 4+a3 5+a4");
  EXPECT_EQ(drain(queued), "2+a1 3+a2 4+a3 5+a4");
  EXPECT_EQ(drain(future), "5+a4");
}

TEST_F(Watches, MayPollAddAndRemoveWhenTold) {
  auto& hub = store.model().watches();
  WatchId id = 0;
  std::string seen;
  id = hub.add({.key = "a"}, [&] {
    seen = drain(id);
    hub.remove(id);
    (void)hub.add({.key = "b"}, [] {});
  });
  store.put("a", "1");
  EXPECT_EQ(seen, "2+a1");
  EXPECT_EQ(hub.size(), 1U);
  EXPECT_TRUE(hub.poll(id, 1).events.empty());
}

TEST_F(Watches, OfAnEmptyKeyBeginWithTheFirst) {
  const WatchId everything = watch({.key = "", .range_end = all});
  store.put("a", "1");
  EXPECT_EQ(drain(everything), "2+a1");
}

TEST_F(Watches, ManyAreServedOnlyWhatTheyMatch) {
  auto& hub = store.model().watches();
  int calls = 0;
  std::vector<WatchId> ids;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "k" + std::to_string(i);
    ids.push_back(
        hub.add({.key = key, .range_end = i % 2 == 0 ? std::string() : key + "~"}, [&] { ++calls; }));
  }
  for (int i = 0; i < 1000; ++i) store.put("other", "");
  EXPECT_EQ(calls, 0);
  store.put("k777", "");  // k7~ and k77~ end in a digit that is odd: k7~, k77~, k777~
  EXPECT_EQ(calls, 3);
  for (const WatchId id : ids) hub.remove(id);
  EXPECT_EQ(hub.size(), 0U);
}

TEST(IntervalIndex, FindsWhatAScanFinds) {
  Rng rng(7);
  struct One {
    std::string begin;
    RangeEnd end;
  };
  IntervalIndex<int> index;
  std::map<int, One> all_of_them;
  const auto key = [&] { return std::to_string(rng.below(1000)); };
  for (int step = 0; step < 4000; ++step) {
    if (rng.below(3) != 0 || all_of_them.empty()) {
      One one{key(), {.unbounded = rng.below(20) == 0, .key = key()}};
      index.insert(one.begin, one.end, step);
      all_of_them.emplace(step, one);
    } else {
      auto it = all_of_them.lower_bound(static_cast<int>(rng.below(static_cast<std::uint64_t>(step))));
      if (it == all_of_them.end()) it = all_of_them.begin();
      index.erase(it->second.begin, it->second.end, it->first);
      all_of_them.erase(it);
    }
    const std::string point = key();
    std::vector<int> found;
    index.for_each_containing(point, [&](int value) { found.push_back(value); });
    std::vector<int> expected;
    for (const auto& [value, one] : all_of_them) {
      if (one.begin <= point && one.end.behind(point)) expected.push_back(value);
    }
    ASSERT_THAT(found, testing::UnorderedElementsAreArray(expected));
  }
}

}  // namespace
}  // namespace quorate::models::etcd::test
