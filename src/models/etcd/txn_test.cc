// What etcd's clients depend on of transactions.
#include <gtest/gtest.h>

#include "models/etcd/test_support.h"
#include "models/etcd/write.h"

namespace quorate::models::etcd::test {
namespace {

class Transactions : public testing::Test {
 protected:
  static void add_put(google::protobuf::RepeatedPtrField<pb::RequestOp>& ops, std::string key,
                      std::string value = "v") {
    auto& put = *ops.Add()->mutable_request_put();
    put.set_key(std::move(key));
    put.set_value(std::move(value));
  }
  static void add_delete(google::protobuf::RepeatedPtrField<pb::RequestOp>& ops, std::string key,
                         std::string end = {}) {
    auto& del = *ops.Add()->mutable_request_delete_range();
    del.set_key(std::move(key));
    del.set_range_end(std::move(end));
  }
  static void add_range(google::protobuf::RepeatedPtrField<pb::RequestOp>& ops, std::string key,
                        std::string end = {}) {
    auto& range = *ops.Add()->mutable_request_range();
    range.set_key(std::move(key));
    range.set_range_end(std::move(end));
  }
  pb::Compare& add_compare(pb::Compare::CompareTarget target, pb::Compare::CompareResult result,
                           std::string key = "k") {
    auto& compare = *txn.add_compare();
    compare.set_target(target);
    compare.set_result(result);
    compare.set_key(std::move(key));
    return compare;
  }
  pb::TxnResponse run() {
    const Result result = store.apply(Op::txn, txn);
    EXPECT_EQ(result.error, Error::none);
    return body_of<pb::TxnResponse>(result);
  }
  Error rejected() {
    const Bytes before = store.model().digest();
    const Error error = store.apply(Op::txn, txn).error;
    EXPECT_EQ(store.model().digest(), before);
    return error;
  }

  Replica store;
  pb::TxnRequest txn;
};

TEST_F(Transactions, CompareEveryTarget) {
  store.grant(9, 60);
  store.put("other", "x");
  store.put("k", "b");
  store.put("k", "b", 9);  // create 3, mod 4, version 2, lease 9
  const auto check = [&](auto set) {
    const auto succeeded = [&](pb::Compare::CompareResult relation, std::int64_t add) {
      txn.Clear();
      set(add_compare(pb::Compare::VERSION, relation), add);
      return run().succeeded();
    };
    EXPECT_TRUE(succeeded(pb::Compare::EQUAL, 0));
    EXPECT_FALSE(succeeded(pb::Compare::EQUAL, 1));
    EXPECT_FALSE(succeeded(pb::Compare::NOT_EQUAL, 0));
    EXPECT_TRUE(succeeded(pb::Compare::NOT_EQUAL, 1));
    EXPECT_TRUE(succeeded(pb::Compare::LESS, 1));
    EXPECT_FALSE(succeeded(pb::Compare::LESS, 0));
    EXPECT_TRUE(succeeded(pb::Compare::GREATER, -1));
    EXPECT_FALSE(succeeded(pb::Compare::GREATER, 0));
  };
  check([](pb::Compare& c, std::int64_t add) { c.set_version(2 + add); });
  check([](pb::Compare& c, std::int64_t add) {
    c.set_target(pb::Compare::CREATE);
    c.set_create_revision(3 + add);
  });
  check([](pb::Compare& c, std::int64_t add) {
    c.set_target(pb::Compare::MOD);
    c.set_mod_revision(4 + add);
  });
  check([](pb::Compare& c, std::int64_t add) {
    c.set_target(pb::Compare::LEASE);
    c.set_lease(9 + add);
  });
  check([](pb::Compare& c, std::int64_t add) {
    c.set_target(pb::Compare::VALUE);
    c.set_value(std::string(1, static_cast<char>('b' + add)));
  });
}

TEST_F(Transactions, AMissingKeyComparesAsZeroButHasNoValue) {
  add_compare(pb::Compare::VERSION, pb::Compare::EQUAL).set_version(0);
  EXPECT_TRUE(run().succeeded());
  txn.Clear();
  add_compare(pb::Compare::CREATE, pb::Compare::EQUAL).set_create_revision(0);
  EXPECT_TRUE(run().succeeded());
  txn.Clear();
  add_compare(pb::Compare::VALUE, pb::Compare::NOT_EQUAL).set_value("x");
  EXPECT_FALSE(run().succeeded());
}

TEST_F(Transactions, ACompareOfARangeHoldsForAllOfIt) {
  store.put("k1", "v");
  store.put("k2", "v");
  auto& compare = add_compare(pb::Compare::VALUE, pb::Compare::EQUAL, "k1");
  compare.set_value("v");
  compare.set_range_end("k9");
  EXPECT_TRUE(run().succeeded());
  store.put("k3", "w");
  EXPECT_FALSE(run().succeeded());
}

TEST_F(Transactions, ExecuteTheBranchTaken) {
  add_compare(pb::Compare::CREATE, pb::Compare::GREATER).set_create_revision(0);
  add_put(*txn.mutable_success(), "k", "again");
  add_put(*txn.mutable_failure(), "k", "first");
  EXPECT_FALSE(run().succeeded());
  EXPECT_EQ(store.show("k"), "k=first");
  EXPECT_TRUE(run().succeeded());
  EXPECT_EQ(store.show("k"), "k=again");
}

TEST_F(Transactions, ReadsSeeEarlierWritesAndHeadersTellTheRevision) {
  store.put("a", "old");  // 2
  add_range(*txn.mutable_success(), "a");
  add_put(*txn.mutable_success(), "a", "new");
  add_range(*txn.mutable_success(), "a");
  add_delete(*txn.mutable_success(), "none");
  const auto response = run();
  ASSERT_EQ(response.responses_size(), 4);
  EXPECT_EQ(response.responses(0).response_range().kvs(0).value(), "old");
  EXPECT_EQ(response.responses(0).response_range().header().revision(), 2);
  EXPECT_EQ(response.responses(1).response_put().header().revision(), 3);
  EXPECT_EQ(response.responses(2).response_range().kvs(0).value(), "new");
  EXPECT_EQ(response.responses(2).response_range().kvs(0).mod_revision(), 3);
  EXPECT_EQ(response.responses(2).response_range().header().revision(), 3);
  EXPECT_EQ(response.responses(3).response_delete_range().header().revision(), 3);
  EXPECT_EQ(store.model().revision(), 3);
}

TEST_F(Transactions, ReadThePastBesideWriting) {
  store.put("a", "old");
  add_put(*txn.mutable_success(), "a", "new");
  add_range(*txn.mutable_success(), "a");
  txn.mutable_success(1)->mutable_request_range()->set_revision(2);
  EXPECT_EQ(run().responses(1).response_range().kvs(0).value(), "old");
  EXPECT_EQ(store.show("a"), "a=new");
}

TEST_F(Transactions, NestAndDecideAllComparisonsOnTheStateBefore) {
  add_put(*txn.mutable_success(), "k", "outer");
  auto& inner = *txn.add_success()->mutable_request_txn();
  auto& compare = *inner.add_compare();  // false: k is only put by this very transaction
  compare.set_key("k");
  compare.set_target(pb::Compare::VERSION);
  compare.set_result(pb::Compare::GREATER);
  add_put(*inner.mutable_success(), "then", "1");
  add_put(*inner.mutable_failure(), "else", "1");
  auto response = run();
  EXPECT_FALSE(response.responses(1).response_txn().succeeded());
  EXPECT_EQ(store.show("e", "z"), "else=1 k=outer");
  response = run();
  EXPECT_TRUE(response.responses(1).response_txn().succeeded());
  EXPECT_EQ(response.responses(1).response_txn().responses_size(), 1);
  EXPECT_EQ(store.show("then"), "then=1");
}

// How many a client may ask for is checked in front of the log (--max-txn-ops).
TEST_F(Transactions, TakeAsManyOpsAsTheyHold) {
  for (int i = 0; i < 300; ++i) add_put(*txn.mutable_success(), "k" + std::to_string(i));
  EXPECT_EQ(run().responses_size(), 300);
}

TEST_F(Transactions, RefuseAKeyPutTwiceOrPutAndDeleted) {
  add_put(*txn.mutable_success(), "k");
  add_put(*txn.mutable_success(), "k");
  EXPECT_EQ(rejected(), Error::duplicate_key);

  for (const auto& [from, to] : {std::pair<std::string, std::string>{"k", ""}, {"a", "z"}, {"a", all}}) {
    txn.Clear();
    add_put(*txn.mutable_failure(), "k");
    add_delete(*txn.mutable_failure(), from, to);
    EXPECT_EQ(rejected(), Error::duplicate_key) << from << ".." << to;
  }
  txn.Clear();
  add_put(*txn.mutable_success(), "k");
  add_delete(*txn.mutable_success(), "a", "k");
  add_delete(*txn.mutable_success(), "c", "d");
  add_delete(*txn.mutable_success(), "l", "z");
  (void)run();  // neighbours, and deletes that overlap each other, are fine
}

TEST_F(Transactions, BranchesThatExcludeEachOtherMayShareAKey) {
  add_put(*txn.mutable_success(), "k");
  add_put(*txn.mutable_failure(), "k");
  (void)run();
  txn.Clear();
  auto* inner = txn.add_success()->mutable_request_txn();
  add_put(*inner->mutable_success(), "k");
  add_put(*inner->mutable_failure(), "k");
  (void)run();
  add_put(*txn.mutable_success(), "k");  // but not with the transaction around them
  EXPECT_EQ(rejected(), Error::duplicate_key);
}

TEST_F(Transactions, RefuseEmptyOpsAndKeys) {
  txn.add_success();
  EXPECT_EQ(rejected(), Error::key_not_found);
  txn.Clear();
  add_put(*txn.mutable_success(), "");
  EXPECT_EQ(rejected(), Error::empty_key);
  txn.Clear();
  add_compare(pb::Compare::VERSION, pb::Compare::EQUAL, "");
  EXPECT_EQ(rejected(), Error::empty_key);
}

TEST_F(Transactions, AreCheckedWholeBeforeTheFirstChange) {
  add_put(*txn.mutable_success(), "a");
  add_put(*txn.mutable_success(), "b");
  txn.mutable_success(1)->mutable_request_put()->set_lease(404);
  EXPECT_EQ(rejected(), Error::lease_not_found);
  txn.mutable_success(1)->mutable_request_put()->clear_lease();
  txn.mutable_success(1)->mutable_request_put()->clear_value();
  txn.mutable_success(1)->mutable_request_put()->set_ignore_value(true);
  EXPECT_EQ(rejected(), Error::key_not_found);
  txn.mutable_success()->RemoveLast();
  add_range(*txn.mutable_success(), "a");
  txn.mutable_success(1)->mutable_request_range()->set_revision(99);
  EXPECT_EQ(rejected(), Error::future_revision);
  EXPECT_EQ(store.model().revision(), 1);
}

TEST_F(Transactions, WithoutWritesAreReadsAndChangeNoRevision) {
  store.put("a", "1");
  add_compare(pb::Compare::VERSION, pb::Compare::EQUAL, "a").set_version(1);
  add_range(*txn.mutable_success(), "a");
  const Result logged = store.apply(Op::txn, txn);
  EXPECT_EQ(logged.revision, 2);
  EXPECT_EQ(store.model().read_txn(txn), logged);
  add_put(*txn.mutable_failure(), "a");
  EXPECT_EQ(store.model().read_txn(txn).error, Error::malformed);
}

// Every replica does the work of a transaction, and nothing else meanwhile.
TEST_F(Transactions, ThatCompareTooManyKeysChangeNothing) {
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(100 + i), "v");
  add_compare(pb::Compare::VERSION, pb::Compare::EQUAL, "k").set_version(1);
  txn.mutable_compare(0)->set_range_end("l");
  for (const auto& [rows, expected] : {std::pair(19, Error::too_large), std::pair(20, Error::none)}) {
    Effort effort(static_cast<std::size_t>(rows), 1'000);
    std::string body;
    const View before{store.engine(), store.model().revision(), 0, &effort};
    EXPECT_EQ(read(txn, before, body), expected);
  }
}

TEST_F(Transactions, WithMoreResultsThanAnAnswerHoldsAreCarriedOut) {
  store.put("big", std::string(1U << 20U, 'x'));
  add_put(*txn.mutable_success(), "a");
  for (int i = 0; i < 70; ++i) add_range(*txn.mutable_success(), "big");
  add_put(*txn.mutable_success(), "b");
  EXPECT_EQ(store.apply(Op::txn, txn).error, Error::too_large);
  EXPECT_EQ(store.show("a", "b0"), "a=v b=v");
}

TEST_F(Transactions, ThatDeleteMoreThanAnAnswerHoldsAreCarriedOut) {
  for (int i = 0; i < 70; ++i) store.put("k" + std::to_string(100 + i), std::string(1U << 20U, 'x'));
  pb::DeleteRangeRequest request;
  request.set_key("k");
  request.set_range_end("l");
  request.set_prev_kv(true);
  *txn.add_success()->mutable_request_delete_range() = request;
  EXPECT_EQ(store.apply(Op::txn, txn).error, Error::too_large);
  EXPECT_EQ(store.show("k", "l"), "");
  store.put("k", "v");
  EXPECT_EQ(body_of<pb::DeleteRangeResponse>(store.apply(Op::delete_range, request)).prev_kvs_size(), 1);
}

TEST_F(Transactions, ManyPutsAndDeletesAreCheckedInAcceptableTime) {
  // 127 levels would multiply; a quadratic check of 60 x 60 nested ranges would still be small: the point is
  // that disjoint ranges stay apart and touching ones merge.
  for (int i = 0; i < 60; ++i) {
    add_delete(*txn.mutable_success(), "d" + std::to_string(100 + 2 * i), "d" + std::to_string(101 + 2 * i));
    add_put(*txn.mutable_success(), "d" + std::to_string(101 + 2 * i));
  }
  (void)run();
  add_delete(*txn.mutable_success(), "d1");
  add_delete(*txn.mutable_success(), "d", "d2");
  EXPECT_EQ(rejected(), Error::duplicate_key);
}

}  // namespace
}  // namespace quorate::models::etcd::test
