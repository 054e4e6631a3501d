// One test per row of what etcd's clients depend on: revisions, puts, ranges, deletions, compaction.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/rng.h"
#include "models/etcd/read.h"
#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {
namespace {

using testing::ElementsAre;

TEST(Revision, StartsAtOneAndCountsWritesThatChangeSomething) {
  Replica store;
  EXPECT_EQ(store.model().revision(), 1);
  EXPECT_EQ(store.put("a", "1").revision, 2);
  EXPECT_EQ(store.put("a", "1").revision, 3);  // the same value is a change
  EXPECT_EQ(store.del("none").revision, 3);
  EXPECT_EQ(store.del("a").revision, 4);
  EXPECT_EQ(store.model().revision(), 4);
}

TEST(Revision, IsOneForAllChangesOfATransaction) {
  Replica store;
  pb::TxnRequest txn;
  for (const auto* key : {"a", "b", "c"}) txn.add_success()->mutable_request_put()->set_key(key);
  EXPECT_EQ(store.apply(Op::txn, txn).revision, 2);
  pb::RangeRequest request;
  request.set_key("a");
  request.set_range_end(all);
  const auto response = store.range(request);
  EXPECT_EQ(response.kvs_size(), 3);
  for (const auto& kv : response.kvs()) EXPECT_EQ(kv.mod_revision(), 2);
}

TEST(Revision, OfReadersIsThatOfTheEngineNotOfCommandsAppliedSince) {
  Replica store;
  storage::Transaction txn(store.engine());
  pb::PutRequest put;
  put.set_key("a");
  (void)store.model().apply(encoded(Op::put, put), txn);
  EXPECT_EQ(store.model().revision(), 1);
  store.model().committed(Index(1));
  EXPECT_EQ(store.model().revision(), 2);
}

TEST(Put, KeepsCreateRevisionCountsVersionsAndStartsAnewAfterDeletion) {
  Replica store;
  store.put("k", "1");
  store.put("other", "1");
  store.put("k", "2");
  pb::RangeRequest request;
  request.set_key("k");
  auto kv = store.range(request).kvs(0);
  EXPECT_EQ(kv.create_revision(), 2);
  EXPECT_EQ(kv.mod_revision(), 4);
  EXPECT_EQ(kv.version(), 2);
  EXPECT_EQ(kv.value(), "2");
  store.del("k");
  store.put("k", "3");
  kv = store.range(request).kvs(0);
  EXPECT_EQ(kv.create_revision(), 6);
  EXPECT_EQ(kv.version(), 1);
}

TEST(Put, GivesThePreviousRecordIfAsked) {
  Replica store;
  pb::PutRequest request;
  request.set_key("k");
  request.set_value("new");
  request.set_prev_kv(true);
  EXPECT_FALSE(body_of<pb::PutResponse>(store.apply(Op::put, request)).has_prev_kv());
  const auto response = body_of<pb::PutResponse>(store.apply(Op::put, request));
  EXPECT_EQ(response.prev_kv().key(), "k");
  EXPECT_EQ(response.prev_kv().value(), "new");
  EXPECT_EQ(response.prev_kv().mod_revision(), 2);
}

TEST(Put, IgnoreValueAndIgnoreLeaseNeedAnExistingKey) {
  Replica store;
  pb::PutRequest request;
  request.set_key("k");
  request.set_ignore_value(true);
  EXPECT_EQ(store.apply(Op::put, request).error, Error::key_not_found);
  store.grant(7, 60);
  store.put("k", "v", 7);
  request.set_lease(0);
  EXPECT_EQ(store.apply(Op::put, request).error, Error::none);
  EXPECT_EQ(store.show("k"), "k=v");
  pb::RangeRequest range;
  range.set_key("k");
  EXPECT_EQ(store.range(range).kvs(0).lease(), 0);  // the value was kept, the lease was not

  store.put("k", "v", 7);
  request.set_ignore_value(false);
  request.set_ignore_lease(true);
  request.set_value("w");
  EXPECT_EQ(store.apply(Op::put, request).error, Error::none);
  EXPECT_EQ(store.range(range).kvs(0).lease(), 7);
  EXPECT_EQ(store.show("k"), "k=w");
  request.set_key("none");
  EXPECT_EQ(store.apply(Op::put, request).error, Error::key_not_found);
}

TEST(Put, RejectsContradictions) {
  Replica store;
  pb::PutRequest request;
  EXPECT_EQ(store.apply(Op::put, request).error, Error::empty_key);
  request.set_key("k");
  request.set_value("v");
  request.set_ignore_value(true);
  EXPECT_EQ(store.apply(Op::put, request).error, Error::value_provided);
  request.set_ignore_value(false);
  request.set_ignore_lease(true);
  request.set_lease(1);
  EXPECT_EQ(store.apply(Op::put, request).error, Error::lease_provided);
  request.set_ignore_lease(false);
  EXPECT_EQ(store.apply(Op::put, request).error, Error::lease_not_found);
  EXPECT_EQ(store.model().revision(), 1);
}

class Ranges : public testing::Test {
 protected:
  Ranges() {
    for (const auto* key : {"c", "a", "b", "d"}) store.put(key, std::string("v") + key);  // revisions 2 to 5
    store.put("a", "va2");                                                                // 6
    request.set_key("a");
    request.set_range_end(all);
  }
  Replica store;
  pb::RangeRequest request;
};

TEST_F(Ranges, AreOneKeyHalfOpenOrOpenEnded) {
  EXPECT_EQ(store.show("b"), "b=vb");
  EXPECT_EQ(store.show("b", "d"), "b=vb c=vc");
  EXPECT_EQ(store.show("b", all), "b=vb c=vc d=vd");
  EXPECT_EQ(store.show(all, all), "a=va2 b=vb c=vc d=vd");
  EXPECT_EQ(store.show("c", "b"), "");
  EXPECT_EQ(store.show("bb"), "");
}

TEST_F(Ranges, LimitCutsButCountDoesNot) {
  request.set_limit(2);
  auto response = store.range(request);
  EXPECT_EQ(response.kvs_size(), 2);
  EXPECT_EQ(response.count(), 4);
  EXPECT_TRUE(response.more());
  request.set_limit(4);
  EXPECT_FALSE(store.range(request).more());
}

TEST_F(Ranges, LimitAppliesAfterSortingAndFilters) {
  request.set_limit(1);
  request.set_sort_target(pb::RangeRequest::MOD);
  request.set_sort_order(pb::RangeRequest::DESCEND);
  EXPECT_EQ(store.show(request), "a=va2");
  request.set_max_mod_revision(4);
  EXPECT_EQ(store.show(request), "b=vb");
  const auto response = store.range(request);
  EXPECT_TRUE(response.more());
  EXPECT_EQ(response.count(), 4);  // filters do not reduce it
}

TEST_F(Ranges, FilterByModAndCreateRevision) {
  request.set_min_mod_revision(5);
  EXPECT_EQ(store.show(request), "a=va2 d=vd");
  request.set_max_create_revision(3);
  EXPECT_EQ(store.show(request), "a=va2");
  request.clear_min_mod_revision();
  request.set_min_create_revision(3);
  EXPECT_EQ(store.show(request), "a=va2");
  request.clear_max_create_revision();
  request.set_max_mod_revision(4);
  EXPECT_EQ(store.show(request), "b=vb");
}

TEST_F(Ranges, SortByEveryTarget) {
  using R = pb::RangeRequest;
  const auto sorted = [&](R::SortTarget target, R::SortOrder order) {
    request.set_sort_target(target);
    request.set_sort_order(order);
    return store.show(request);
  };
  EXPECT_EQ(sorted(R::KEY, R::DESCEND), "d=vd c=vc b=vb a=va2");
  EXPECT_EQ(sorted(R::CREATE, R::ASCEND), "c=vc a=va2 b=vb d=vd");
  EXPECT_EQ(sorted(R::MOD, R::ASCEND), "c=vc b=vb d=vd a=va2");
  EXPECT_EQ(sorted(R::VALUE, R::DESCEND), "d=vd c=vc b=vb a=va2");
  EXPECT_EQ(sorted(R::VERSION, R::DESCEND), "a=va2 b=vb c=vc d=vd");  // ties by key
  EXPECT_EQ(sorted(R::CREATE, R::NONE), "c=vc a=va2 b=vb d=vd");      // no order with a target: ascending
}

TEST_F(Ranges, SortedWithALimitOverManyKeysKeepsTheBest) {
  for (int i = 0; i < 1000; ++i) store.put("n" + std::to_string(i), std::to_string(i % 7));
  request.set_limit(3);
  request.set_sort_target(pb::RangeRequest::CREATE);
  request.set_sort_order(pb::RangeRequest::DESCEND);
  EXPECT_EQ(store.show(request), "n999=5 n998=4 n997=3");
}

TEST_F(Ranges, KeysOnlyAndCountOnly) {
  request.set_keys_only(true);
  EXPECT_EQ(store.show(request), "a= b= c= d=");
  EXPECT_EQ(store.range(request).kvs(0).mod_revision(), 6);
  request.set_count_only(true);
  const auto response = store.range(request);
  EXPECT_EQ(response.kvs_size(), 0);
  EXPECT_EQ(response.count(), 4);
}

TEST_F(Ranges, ReadThePast) {
  store.del("b");  // 7
  EXPECT_EQ(store.show("a", all, 7), "a=va2 c=vc d=vd");
  EXPECT_EQ(store.show("a", all, 6), "a=va2 b=vb c=vc d=vd");
  EXPECT_EQ(store.show("a", all, 4), "a=va b=vb c=vc");
  EXPECT_EQ(store.show("a", "c", 4), "a=va b=vb");
  EXPECT_EQ(store.show("a", all, 1), "");
  EXPECT_EQ(store.show("b", {}, 6), "b=vb");
  EXPECT_EQ(store.range_error(8), Error::future_revision);
}

TEST_F(Ranges, InPartsAreOneState) {
  const auto read = [&](std::size_t max_bytes, auto&& between) {
    pb::RangeResponse whole;
    RangeCursor cursor;
    int parts = 0;
    while (!cursor.done) {
      const Result part = store.model().range_part(request, cursor, max_bytes);
      EXPECT_EQ(part.error, Error::none);
      EXPECT_EQ(part.revision, cursor.revision);
      EXPECT_TRUE(whole.MergeFromString(part.body.str()));
      ++parts;
      between();
    }
    return std::pair(whole.SerializeAsString(), parts);
  };
  for (const int limit : {0, 1, 3, 4}) {
    request.set_limit(limit);
    const std::string expected = store.range(request).SerializeAsString();
    const int all_of_them = limit == 0 ? 4 : limit;
    EXPECT_EQ(read(1, [&] { store.put("aa", "later"); }), std::pair(expected, all_of_them)) << limit;
    store.del("aa");
    EXPECT_EQ(read(1000, [] {}), std::pair(expected, 1)) << limit;
  }
  request.set_count_only(true);
  EXPECT_EQ(read(1, [] {}), std::pair(store.range(request).SerializeAsString(), 1));
  request.set_sort_target(pb::RangeRequest::MOD);
  RangeCursor cursor;
  EXPECT_EQ(store.model().range_part(request, cursor, 1).error, Error::invalid_sort_option);
}

TEST_F(Ranges, InPartsEndWhenTheirStateIsCompacted) {
  RangeCursor cursor;
  EXPECT_EQ(store.model().range_part(request, cursor, 1).error, Error::none);
  store.put("z", "");
  store.compact(store.model().revision());
  EXPECT_EQ(store.model().range_part(request, cursor, 1).error, Error::compacted);
}

TEST_F(Ranges, RejectEmptyKeysAndUnknownSorting) {
  request.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(9));
  EXPECT_EQ(store.model().range(request).error, Error::invalid_sort_option);
  request.clear_sort_order();
  request.clear_key();
  EXPECT_EQ(store.model().range(request).error, Error::empty_key);
}

TEST_F(Ranges, QueryIsTheSameReadInEncodedForm) {
  const auto result = codec::decode<Result>(store.model().query(Bytes::adopt(request.SerializeAsString())));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, store.model().range(request));
  const auto bad = codec::decode<Result>(store.model().query(Bytes::literal("\x0a\xff")));
  ASSERT_TRUE(bad.has_value());
  EXPECT_EQ(bad->error, Error::malformed);
}

TEST(Delete, CountsAndGivesWhatWasThere) {
  Replica store;
  for (const auto* key : {"a", "b", "c"}) store.put(key, key);
  pb::DeleteRangeRequest request;
  request.set_key("a");
  request.set_range_end("c");
  request.set_prev_kv(true);
  const auto response = body_of<pb::DeleteRangeResponse>(store.apply(Op::delete_range, request));
  EXPECT_EQ(response.deleted(), 2);
  EXPECT_EQ(response.prev_kvs_size(), 2);
  EXPECT_EQ(response.prev_kvs(1).value(), "b");
  EXPECT_EQ(store.show("a", all), "c=c");
  EXPECT_EQ(store.model().statistics().keys, 1U);
  request.clear_key();
  EXPECT_EQ(store.apply(Op::delete_range, request).error, Error::empty_key);
}

TEST(Compaction, RefusesWhatIsGoneAndWhatIsNotThereYet) {
  Replica store;
  for (int i = 0; i < 5; ++i) store.put("a", std::to_string(i));  // 2 to 6
  EXPECT_EQ(store.compact(7).error, Error::future_revision);
  EXPECT_EQ(store.compact(4).error, Error::none);
  EXPECT_EQ(store.compact(4).error, Error::compacted);
  EXPECT_EQ(store.compact(3).error, Error::compacted);
  EXPECT_EQ(store.range_error(3), Error::compacted);
  EXPECT_EQ(store.range_error(4), Error::none);
  EXPECT_EQ(store.show("a", {}, 4), "a=2");
  EXPECT_EQ(store.model().revision(), 6);
  EXPECT_EQ(store.model().statistics().compact_revision, 4);
}

std::size_t rows(const storage::Reader& reader, int table) {
  std::size_t n = 0;
  const auto cursor = reader.cursor(static_cast<storage::Table>(table));
  for (cursor->seek({}); cursor->valid(); cursor->next()) ++n;
  return n;
}

Error read_within(Effort effort, const pb::RangeRequest& request, Replica& store) {
  std::string body;
  return read_range(request, {store.engine(), store.model().revision(), 0, &effort}, body);
}

TEST(Range, AnAnswerBeyondTheBoundIsNotHeldInMemory) {
  Replica store;
  for (int i = 0; i < 10; ++i) store.put("a" + std::to_string(i), std::string(100, 'x'));
  pb::RangeRequest request;
  request.set_key("a");
  request.set_range_end("b");
  for (const auto target : {pb::RangeRequest::KEY, pb::RangeRequest::MOD}) {
    request.set_sort_target(target);
    request.set_limit(0);
    EXPECT_EQ(read_within({SIZE_MAX, 2000}, request, store), Error::none);
    EXPECT_EQ(read_within({SIZE_MAX, 500}, request, store), Error::too_large);
    request.set_limit(2);
    EXPECT_EQ(read_within({SIZE_MAX, 500}, request, store), Error::none);
  }
}

TEST(Range, WhatTakesLongCanBeDoneOnAnotherThread) {
  Replica store;
  for (int i = 0; i < 3'000; ++i) store.put("k" + std::to_string(10'000 + i), "v");
  pb::RangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  request.set_limit(500);
  const Result expected = store.model().range(request);
  Reading reading = store.model().begin_range(request);  // the rest is counted, and that is long
  ASSERT_TRUE(std::holds_alternative<LongRead>(reading));
  store.put("k0", "later");
  Result result;
  std::thread([&] { result = std::get<LongRead>(reading)(); }).join();
  EXPECT_EQ(result, expected);
  request.set_range_end("k10500");
  EXPECT_TRUE(std::holds_alternative<Result>(store.model().begin_range(request)));
  request.set_range_end("k11500");
  EXPECT_TRUE(std::holds_alternative<LongRead>(store.model().begin_range(request)));
}

TEST(DeleteRange, OfMoreKeysThanAreHeldInMemory) {
  Replica store;
  for (int i = 0; i < 2'500; ++i) store.put("k" + std::to_string(10'000 + i), "v");
  EXPECT_EQ(body_of<pb::DeleteRangeResponse>(store.del("k", "l")).deleted(), 2'500);
  EXPECT_EQ(store.model().revision(), 2'502);
  EXPECT_EQ(store.show("k", "l"), "");
}

TEST(Compaction, RemovesInBoundedStepsWhatCannotBeReadAnyMore) {
  Replica store;
  for (int i = 0; i < 100; ++i) store.put("a", std::to_string(i));  // up to revision 101
  store.put("b", "1");                                              // 102
  store.del("b");                                                   // 103
  store.put("c", "1");                                              // 104
  EXPECT_EQ(rows(store.engine(), 2), 103U);
  store.compact(104);
  EXPECT_GT(rows(store.engine(), 2), 80U);  // one command does not do it all
  EXPECT_TRUE(store.model().periodic({NodeId(1), 1, 1s}).has_value());
  store.tick(1s);
  EXPECT_EQ(rows(store.engine(), 2), 2U);  // a and c
  EXPECT_EQ(rows(store.engine(), 3), 0U);
  EXPECT_FALSE(store.model().periodic({NodeId(1), 1, 1s}).has_value());
  EXPECT_EQ(store.show("a", all, 104), "a=99 c=1");
}

TEST(Compaction, IsFinishedByLaterCommandsAndSurvivesANextOne) {
  Replica store;
  for (int i = 0; i < 40; ++i) store.put("a" + std::to_string(i % 4), std::to_string(i));
  store.compact(20);
  store.compact(30);
  store.reopen();
  for (int i = 0; i < 30; ++i) store.put("b", "x");
  EXPECT_FALSE(store.model().periodic({NodeId(1), 1, 1s}).has_value());
  // Of a0 to a3: the versions at 27 to 30, then one per revision up to 41; then 30 of b.
  EXPECT_EQ(rows(store.engine(), 2), 4U + 11U + 30U);
  EXPECT_EQ(rows(store.engine(), 3), 1U);  // the sixteenth of b
  EXPECT_EQ(store.show("a", "b", 30), "a0=28 a1=25 a2=26 a3=27");
}

TEST(Compaction, InterruptedWithinARevisionByTheNextOneLeavesNothingBehind) {
  Replica store;
  pb::TxnRequest txn;
  for (int i = 0; i < 20; ++i)
    txn.add_success()->mutable_request_put()->set_key("k" + std::to_string(10 + i));
  store.apply(Op::txn, txn);  // 2
  store.apply(Op::txn, txn);  // 3
  store.compact(2);           // looks at some of the events of revision 2
  store.compact(3);
  store.tick(1s);
  EXPECT_EQ(rows(store.engine(), 2), 20U);
  EXPECT_EQ(rows(store.engine(), 3), 0U);
}

TEST(Malformed, CommandsAreRefusedAndLeaveNoTrace) {
  Replica store;
  const Bytes before = store.model().digest();
  for (const auto* text : {"", "\x01\x0a\xff", "\x02\xff", "\x03\xff", "\x04\xff", "\x05\xff", "\x06\xff",
                           "\x07\xff", "\x08\xff", "\x09\xff", "\x63", "\x01\x0b"}) {
    EXPECT_EQ(store.apply(Bytes::literal(text)).error, Error::malformed) << text;
  }
  EXPECT_EQ(store.tick(-1s).error, Error::malformed);
  EXPECT_EQ(store.grant(0, 10).error, Error::malformed);
  EXPECT_EQ(store.model().digest(), before);
}

TEST(Malformed, CommandsOfRandomDamageNeverCrashAndAreAnsweredAlikeEverywhere) {
  Rng rng(3);
  Replica one;
  Replica other;
  pb::TxnRequest txn;
  txn.add_compare()->set_key("a");
  txn.add_success()->mutable_request_put()->set_key("a");
  txn.add_success()->mutable_request_txn()->add_success()->mutable_request_range()->set_key("a");
  txn.add_failure()->mutable_request_delete_range()->set_key("b");
  const std::string body = txn.SerializeAsString();
  for (int i = 0; i < 20'000; ++i) {
    std::string text(1, static_cast<char>(rng.below(11)));
    text += body.substr(rng.below(2) == 0 ? 0 : rng.below(body.size()));
    for (auto n = rng.below(4); n > 0; --n) text[rng.below(text.size())] = static_cast<char>(rng.next());
    const Bytes damaged = Bytes::adopt(std::move(text));
    ASSERT_EQ(one.apply(damaged), other.apply(damaged));
  }
  EXPECT_EQ(one.model().digest(), other.model().digest());
}

TEST(Hash, OfTheSameHistoryIsTheSameWhateverWasCompacted) {
  Replica one;
  Replica other;
  const auto hash = [](Replica& store, std::int64_t revision) {
    pb::HashKVRequest request;
    request.set_revision(revision);
    return body_of<pb::HashKVResponse>(store.model().hash_kv(request));
  };
  for (int i = 0; i < 20; ++i) {
    one.put("k" + std::to_string(i % 3), std::to_string(i));
    other.put("k" + std::to_string(i % 3), std::to_string(i));
  }
  EXPECT_NE(hash(one, 0).hash(), 0U);
  EXPECT_EQ(hash(one, 0).hash(), hash(other, 21).hash());
  EXPECT_EQ(hash(one, 0).hash_revision(), 21);
  const auto at_ten = hash(one, 10).hash();
  EXPECT_NE(at_ten, hash(one, 11).hash());
  other.compact(10);
  other.tick(1s);
  EXPECT_EQ(hash(other, 10).hash(), at_ten);
  EXPECT_EQ(hash(other, 10).compact_revision(), 10);
  pb::HashKVRequest request;
  request.set_revision(9);
  EXPECT_EQ(other.model().hash_kv(request).error, Error::compacted);
  request.set_revision(22);
  EXPECT_EQ(other.model().hash_kv(request).error, Error::future_revision);
  one.put("k", "1");
  other.put("k", "2");
  EXPECT_NE(hash(one, 0).hash(), hash(other, 0).hash());
}

}  // namespace
}  // namespace quorate::models::etcd::test
