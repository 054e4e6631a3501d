#include "api/etcd/kv.h"

#include "api/etcd/testing/api_server.h"

namespace quorate::api::etcd::testing {
namespace {

class Kv : public ApiTest {};

TEST_F(Kv, PutAndRangeCarryTheHeader) {
  const auto first = put("a", "1");
  EXPECT_EQ(first.header().cluster_id(), 0x51U);
  EXPECT_EQ(first.header().member_id(), 1U);
  EXPECT_EQ(first.header().revision(), 2);
  EXPECT_EQ(first.header().raft_term(), 2U);
  put("b", std::string(100'000, 'v'));
  const auto range = get("a", "c");
  EXPECT_EQ(range.header().revision(), 3);
  ASSERT_EQ(range.kvs_size(), 2);
  EXPECT_EQ(range.kvs(0).value(), "1");
  EXPECT_EQ(range.kvs(1).value().size(), 100'000U);
  EXPECT_EQ(range.count(), 2);
  EXPECT_EQ(del("a").deleted(), 1);
}

TEST_F(Kv, RequestsAreValidatedInFrontOfTheLog) {
  const auto before = server.node.status().applied;
  EXPECT_EQ(failure("etcdserverpb.KV/Range", pb::RangeRequest()), "3: etcdserver: key is not provided");
  EXPECT_EQ(failure("etcdserverpb.KV/Put", pb::PutRequest()), "3: etcdserver: key is not provided");
  EXPECT_EQ(failure("etcdserverpb.KV/DeleteRange", pb::DeleteRangeRequest()),
            "3: etcdserver: key is not provided");
  pb::PutRequest put;
  put.set_key("k");
  put.set_ignore_value(true);
  put.set_value("v");
  EXPECT_EQ(failure("etcdserverpb.KV/Put", put), "3: etcdserver: value is provided");
  put.clear_value();
  put.set_ignore_lease(true);
  put.set_lease(5);
  EXPECT_EQ(failure("etcdserverpb.KV/Put", put), "3: etcdserver: lease is provided");
  pb::RangeRequest sorted;
  sorted.set_key("k");
  sorted.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(100));
  EXPECT_EQ(failure("etcdserverpb.KV/Range", sorted), "3: etcdserver: invalid sort option");
  EXPECT_EQ(server.node.status().applied, before);
}

TEST_F(Kv, TxnBudgetShrinksWithNesting) {
  pb::TxnRequest txn;
  for (int i = 0; i < 129; ++i) txn.add_success()->mutable_request_put()->set_key("k" + std::to_string(i));
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", txn), "3: etcdserver: too many operations in txn request");
  txn.mutable_success()->RemoveLast();
  EXPECT_EQ(call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn).responses_size(), 128);
  pb::TxnRequest outer;
  auto& inner = *outer.add_success()->mutable_request_txn();
  for (int i = 0; i < 128; ++i) inner.add_success()->mutable_request_put()->set_key("k" + std::to_string(i));
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", outer), "3: etcdserver: too many operations in txn request");
}

class KvOfLongTransactions : public ApiTest {
 protected:
  KvOfLongTransactions()
      : ApiTest([] {
          Settings settings;
          settings.max_txn_ops = 300;
          return settings;
        }()) {}
};

TEST_F(KvOfLongTransactions, TakesAsManyOpsAsItIsToldTo) {
  pb::TxnRequest txn;
  for (int i = 0; i < 300; ++i) txn.add_success()->mutable_request_put()->set_key("k" + std::to_string(i));
  EXPECT_EQ(call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn).responses_size(), 300);
  txn.add_success()->mutable_request_put()->set_key("k300");
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", txn), "3: etcdserver: too many operations in txn request");
}

TEST_F(Kv, TxnOperationsAreChecked) {
  pb::TxnRequest empty_op;
  empty_op.add_success();
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", empty_op), "3: etcdserver: key not found");
  pb::TxnRequest compare;
  compare.add_compare();
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", compare), "3: etcdserver: key is not provided");
  pb::TxnRequest twice;
  for (int i = 0; i < 2; ++i) twice.add_failure()->mutable_request_put()->set_key("same");
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", twice), "3: etcdserver: duplicate key given in txn request");
}

TEST_F(Kv, TxnThatOnlyReadsStaysOutOfTheLog) {
  put("a", "1");
  const auto before = server.node.status().applied;
  pb::TxnRequest txn;
  auto& compare = *txn.add_compare();
  compare.set_key("a");
  compare.set_target(pb::Compare::VERSION);
  compare.set_version(1);
  auto& range = *txn.add_success()->mutable_request_txn()->add_success()->mutable_request_range();
  range.set_key("a");
  const auto response = call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn);
  EXPECT_TRUE(response.succeeded());
  EXPECT_EQ(response.responses(0).response_txn().responses(0).response_range().kvs(0).value(), "1");
  EXPECT_EQ(response.header().revision(), 2);
  server.node.failure = replica::Failure::no_leader;
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", txn), "14: etcdserver: no leader");
  range.set_serializable(true);
  call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn);
  EXPECT_EQ(server.node.status().applied, before);
}

TEST_F(Kv, SizeLimits) {
  pb::PutRequest large;
  large.set_key("k");
  large.set_value(std::string((3U << 19U) + 1, 'v'));
  EXPECT_EQ(failure("etcdserverpb.KV/Put", large), "3: etcdserver: request is too large");
  large.set_value(std::string((2U << 20U) + 1, 'v'));
  EXPECT_THAT(failure("etcdserverpb.KV/Put", large),
              ::testing::StartsWith("8: grpc: received message larger than max"));
}

TEST_F(Kv, MalformedMessageIsAnError) {
  const auto response = client.unary("/etcdserverpb.KV/Put", "\x0A\xFF");
  EXPECT_EQ(response.grpc_status(), "13");
}

TEST_F(Kv, RevisionsBeyondTheEnds) {
  for (int i = 0; i < 5; ++i) put("k", std::to_string(i));
  pb::CompactionRequest compact;
  compact.set_revision(4);
  call<pb::CompactionResponse>("etcdserverpb.KV/Compact", compact);
  EXPECT_EQ(failure("etcdserverpb.KV/Compact", compact),
            "11: etcdserver: mvcc: required revision has been compacted");
  pb::RangeRequest range;
  range.set_key("k");
  range.set_revision(3);
  EXPECT_EQ(failure("etcdserverpb.KV/Range", range),
            "11: etcdserver: mvcc: required revision has been compacted");
  range.set_revision(100);
  EXPECT_EQ(failure("etcdserverpb.KV/Range", range),
            "11: etcdserver: mvcc: required revision is a future revision");
}

TEST_F(Kv, FailuresOfTheNode) {
  pb::PutRequest put;
  put.set_key("k");
  pb::RangeRequest range;
  range.set_key("k");
  const std::pair<replica::Failure, const char*> expected[] = {
      {replica::Failure::no_leader, "14: etcdserver: no leader"},
      {replica::Failure::overloaded, "8: etcdserver: too many requests"},
      {replica::Failure::timed_out, "14: etcdserver: request timed out"},
      {replica::Failure::stopping, "14: etcdserver: server stopped"},
  };
  for (const auto& [failing, text] : expected) {
    server.node.failure = failing;
    EXPECT_EQ(failure("etcdserverpb.KV/Put", put), text);
    EXPECT_EQ(failure("etcdserverpb.KV/Range", range), text);
    range.set_serializable(true);  // asks nobody
    call<pb::RangeResponse>("etcdserverpb.KV/Range", range);
    range.set_serializable(false);
  }
}

TEST_F(Kv, LeaderRequiredByTheClient) {
  pb::RangeRequest range;
  range.set_key("k");
  range.set_serializable(true);
  server.node.set_leader(NodeId());
  call<pb::RangeResponse>("etcdserverpb.KV/Range", range);
  EXPECT_EQ(failure("etcdserverpb.KV/Range", range, {{"hasleader", "true"}}), "14: etcdserver: no leader");
}

TEST_F(Kv, LearnersServeLittle) {
  server.node.learner = true;
  pb::RangeRequest range;
  range.set_key("k");
  EXPECT_EQ(failure("etcdserverpb.KV/Range", range), "9: etcdserver: rpc not supported for learner");
  range.set_serializable(true);
  call<pb::RangeResponse>("etcdserverpb.KV/Range", range);
  EXPECT_EQ(failure("etcdserverpb.Watch/Watch", pb::WatchRequest()),
            "9: etcdserver: rpc not supported for learner");
  call<pb::StatusResponse>("etcdserverpb.Maintenance/Status", pb::StatusRequest());
}

TEST_F(Kv, RangeStreamEndsWithCountAndHeader) {
  for (char c = 'a'; c < 'e'; ++c) put(std::string(1, c), std::string(600'000, c));
  pb::RangeRequest range;
  range.set_key("a");
  range.set_range_end("z");
  const auto id = client.call("/etcdserverpb.KV/RangeStream", range.SerializeAsString());
  EXPECT_EQ(client.finished(id).grpc_status(), "0");
  const auto parts = client.response(id).messages();
  ASSERT_GE(parts.size(), 2U);
  pb::RangeResponse whole;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    pb::RangeStreamResponse part;
    ASSERT_TRUE(part.ParseFromString(parts[i]));
    EXPECT_EQ(part.range_response().has_header(), i + 1 == parts.size());
    whole.MergeFrom(part.range_response());
  }
  EXPECT_EQ(whole.kvs_size(), 4);
  EXPECT_EQ(whole.count(), 4);
  range.set_min_mod_revision(2);
  EXPECT_THAT(failure("etcdserverpb.KV/RangeStream", range), ::testing::StartsWith("12: "));
  range.set_min_mod_revision(0);
  range.set_sort_order(pb::RangeRequest::DESCEND);
  EXPECT_THAT(failure("etcdserverpb.KV/RangeStream", range), ::testing::StartsWith("12: "));
}

TEST_F(Kv, VersionsOfTheClientArePrintable) {
  pb::RangeRequest range;
  range.set_key("k");
  call<pb::RangeResponse>("etcdserverpb.KV/Range", range, {{"client-api-version", "3.5.9"}});
  EXPECT_EQ(failure("etcdserverpb.KV/Range", range, {{"client-api-version", "3.\xff"}}),
            "3: etcdserver: invalid client api version");
}

TEST_F(Kv, OtherContentTypesAreRefused) {
  const auto id = client.open("POST", "/etcdserverpb.KV/Put", {{"content-type", "application/json"}}, true);
  EXPECT_EQ(client.finished(id).status, "415");
  EXPECT_EQ(client.unary("/etcdserverpb.KV/Nothing", "").grpc_status(), "12");
}

// A thousand keys and more are read elsewhere: who comes behind does not wait for them.
class LongReads : private Elsewhere, public ApiTest {
 protected:
  LongReads() : ApiTest(settings()) {
    pb::TxnRequest txn;
    for (int i = 0; i < 1'100; ++i) {
      auto& put = *txn.add_success()->mutable_request_put();
      put.set_key("k" + std::to_string(10'000 + i));
      put.set_value("v");
      if (txn.success_size() < 110) continue;
      call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn);
      txn.Clear();
    }
  }
  using Elsewhere::waiting;
  using Elsewhere::work;

  static pb::RangeRequest all() {
    pb::RangeRequest request;
    request.set_key("k");
    request.set_range_end("l");
    return request;
  }
  std::int32_t begin(const std::string& method, const google::protobuf::MessageLite& request) {
    const auto id = client.call("/etcdserverpb.KV/" + method, request.SerializeAsString());
    EXPECT_TRUE(client.until([&] { return !waiting.empty(); }));
    return id;
  }
  template <class Response>
  Response end(std::int32_t id) {
    work();
    Response response;
    EXPECT_EQ(client.finished(id).grpc_status(), "0");
    EXPECT_TRUE(response.ParseFromString(client.response(id).messages().at(0)));
    return response;
  }
};

TEST_F(LongReads, KeepNobodyWaiting) {
  const auto id = begin("Range", all());
  EXPECT_EQ(get("k10000").count(), 1);  // answered before
  EXPECT_FALSE(client.response(id).closed);
  const auto range = end<pb::RangeResponse>(id);
  EXPECT_EQ(range.count(), 1'100);
  EXPECT_EQ(range.kvs_size(), 1'100);
}

TEST_F(LongReads, AreOfTheMomentTheyWereAskedFor) {
  auto sorted = all();
  sorted.set_sort_target(pb::RangeRequest::MOD);
  sorted.set_sort_order(pb::RangeRequest::DESCEND);
  sorted.set_limit(1);
  const auto id = begin("Range", sorted);
  const auto later = put("k10500", "later").header().revision();
  del("k10000");
  const auto range = end<pb::RangeResponse>(id);
  EXPECT_EQ(range.count(), 1'100);
  EXPECT_EQ(range.header().revision(), later - 1);
  EXPECT_LT(range.kvs(0).mod_revision(), later);
}

TEST_F(LongReads, OfAnEarlierRevisionAndOfTransactions) {
  put("k10500", "later");
  auto past = all();
  past.set_revision(get("k").header().revision() - 1);
  EXPECT_EQ(end<pb::RangeResponse>(begin("Range", past)).kvs(500).value(), "v");
  pb::TxnRequest txn;
  *txn.add_success()->mutable_request_range() = all();
  EXPECT_EQ(end<pb::TxnResponse>(begin("Txn", txn)).responses(0).response_range().count(), 1'100);
  past.set_revision(1'000'000);
  EXPECT_EQ(failure("etcdserverpb.KV/Range", past),
            "11: etcdserver: mvcc: required revision is a future revision");
}

TEST_F(LongReads, AreRefusedBeyondSoMany) {
  std::vector<std::int32_t> reads;
  for (std::size_t i = 0; i < Aside::most_waiting; ++i)
    reads.push_back(client.call("/etcdserverpb.KV/Range", all().SerializeAsString()));
  EXPECT_EQ(failure("etcdserverpb.KV/Range", all()), "8: etcdserver: too many requests");
  EXPECT_EQ(get("k10000").count(), 1);
  EXPECT_EQ(waiting.size(), Aside::at_once);
  for (const auto id : reads) {
    EXPECT_TRUE(client.until([&] {
      work();
      return client.response(id).closed;
    }));
    EXPECT_EQ(client.response(id).grpc_status(), "0");
  }
  EXPECT_EQ(end<pb::RangeResponse>(begin("Range", all())).count(), 1'100);
}

TEST_F(LongReads, AreNotBegunOnceTooMuchIsUnread) {
  std::vector<std::int32_t> reads;
  for (std::size_t i = 0; i < Aside::at_once + 2; ++i)
    reads.push_back(client.call("/etcdserverpb.KV/Range", all().SerializeAsString()));
  EXPECT_TRUE(client.until([&] { return waiting.size() == Aside::at_once; }));
  client.reset(reads[Aside::at_once]);
  server.api.handler().backlog->limit = 0;
  settle();
  work();
  EXPECT_EQ(client.finished(reads.back()).grpc_status(), "8");
  EXPECT_EQ(waiting.size(), 0U);
}

TEST_F(LongReads, OfAClientThatHasGoneAreDropped) {
  const auto id = begin("Range", all());
  client.reset(id);
  settle();
  work();
  settle();
  EXPECT_EQ(get("k10000").count(), 1);
}

TEST_F(LongReads, InPartsGiveWayToOthers) {
  auto counted = all();
  counted.set_count_only(true);
  for (const bool keys : {true, false}) {
    counted.set_count_only(!keys);
    const auto id = client.call("/etcdserverpb.KV/RangeStream", counted.SerializeAsString());
    EXPECT_EQ(client.finished(id).grpc_status(), "0");
    pb::RangeResponse whole;
    for (const auto& message : client.response(id).messages()) {
      pb::RangeStreamResponse part;
      ASSERT_TRUE(part.ParseFromString(message));
      whole.MergeFrom(part.range_response());
    }
    EXPECT_EQ(whole.count(), 1'100);
    EXPECT_EQ(whole.kvs_size(), keys ? 1'100 : 0);
  }
}

}  // namespace
}  // namespace quorate::api::etcd::testing
