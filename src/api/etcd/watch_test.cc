#include "api/etcd/watch.h"

#include <algorithm>

#include "api/etcd/testing/api_server.h"

namespace quorate::api::etcd::testing {
namespace {

class Watch : public ApiTest {
 protected:
  explicit Watch(Settings settings = {}) : ApiTest(settings) {}
  std::int32_t open(const Http2Client::Headers& headers = {}) {
    return client.open_call("/etcdserverpb.Watch/Watch", headers);
  }
  void create(std::int32_t id, const std::string& key, const std::string& end = "", std::int64_t start = 0,
              const std::function<void(pb::WatchCreateRequest&)>& more = {}) {
    pb::WatchRequest request;
    auto& created = *request.mutable_create_request();
    created.set_key(key);
    created.set_range_end(end);
    created.set_start_revision(start);
    if (more) more(created);
    client.send_message(id, request.SerializeAsString());
  }
  void cancel(std::int32_t id, std::int64_t watch) {
    pb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(watch);
    client.send_message(id, request.SerializeAsString());
  }
  void ask_progress(std::int32_t id) {
    pb::WatchRequest request;
    request.mutable_progress_request();
    client.send_message(id, request.SerializeAsString());
  }
  std::vector<pb::WatchResponse> responses(std::int32_t id, std::size_t n) {
    return stream<pb::WatchResponse>(id, n);
  }
};

TEST_F(Watch, EventsComeBehindCreated) {
  put("a", "0");
  const auto id = open();
  create(id, "a", "", 1);
  const auto first = responses(id, 2);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_TRUE(first[0].created());
  EXPECT_EQ(first[0].watch_id(), 0);
  EXPECT_EQ(first[0].header().revision(), 2);
  EXPECT_EQ(first[0].events_size(), 0);
  ASSERT_EQ(first[1].events_size(), 1);
  EXPECT_EQ(first[1].events(0).kv().value(), "0");
  put("a", "1");
  put("b", "other");
  del("a");
  const auto all = responses(id, 4);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[2].events(0).kv().mod_revision(), 3);
  EXPECT_EQ(all[3].events(0).type(), mvccpb::Event::DELETE);
  EXPECT_EQ(all[3].header().revision(), 5);
}

TEST_F(Watch, IdsAreChosenFromZeroAroundTheClients) {
  const auto id = open();
  create(id, "a");
  create(id, "b", "", 0, [](auto& request) { request.set_watch_id(1); });
  create(id, "c");
  create(id, "d", "", 0, [](auto& request) { request.set_watch_id(2); });
  const auto all = responses(id, 4);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].watch_id(), 0);
  EXPECT_EQ(all[1].watch_id(), 1);
  EXPECT_EQ(all[2].watch_id(), 2);
  EXPECT_TRUE(all[3].created());  // failed: 2 is taken
  EXPECT_TRUE(all[3].canceled());
  EXPECT_EQ(all[3].watch_id(), -1);
  EXPECT_EQ(all[3].cancel_reason(), "mvcc: duplicate watch ID provided on the WatchStream");
}

TEST_F(Watch, EmptyRangeIsRefusedEmptyKeyIsEverything) {
  const auto id = open();
  create(id, "b", "a");
  create(id, "", std::string("\0", 1));
  auto all = responses(id, 2);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].watch_id(), -1);
  EXPECT_EQ(all[0].cancel_reason(), "mvcc: watcher range is empty");
  EXPECT_FALSE(all[1].canceled());
  put("anything", "v");
  EXPECT_EQ(responses(id, 3).at(2).events(0).kv().key(), "anything");
}

TEST_F(Watch, CancelledWatcherIsSilentTheOthersGoOn) {
  const auto id = open();
  create(id, "a");
  create(id, "a");
  responses(id, 2);
  cancel(id, 0);
  cancel(id, 77);  // unknown: no answer
  const auto canceled = responses(id, 3).at(2);
  EXPECT_TRUE(canceled.canceled());
  EXPECT_EQ(canceled.watch_id(), 0);
  put("a", "1");
  const auto event = responses(id, 4).at(3);
  EXPECT_EQ(event.watch_id(), 1);
  EXPECT_EQ(event.events_size(), 1);
  settle();
  EXPECT_EQ(client.response(id).messages().size(), 4U);
}

TEST_F(Watch, PrevKvAndFilters) {
  put("a", "0");
  const auto id = open();
  create(id, "a", "", 0, [](auto& request) {
    request.set_prev_kv(true);
    request.add_filters(pb::WatchCreateRequest::NODELETE);
  });
  responses(id, 1);
  put("a", "1");
  del("a");
  put("a", "2");
  const auto all = responses(id, 3);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].events(0).prev_kv().value(), "0");
  EXPECT_FALSE(all[2].events(0).has_prev_kv());  // it was gone in between
}

TEST_F(Watch, CompactedStartIsCancelledWithTheRevision) {
  for (int i = 0; i < 5; ++i) put("a", std::to_string(i));
  pb::CompactionRequest compact;
  compact.set_revision(5);
  call<pb::CompactionResponse>("etcdserverpb.KV/Compact", compact);
  const auto id = open();
  create(id, "a", "", 2);
  const auto all = responses(id, 2);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].created());
  EXPECT_TRUE(all[1].canceled());
  EXPECT_EQ(all[1].compact_revision(), 5);
  EXPECT_EQ(all[1].header().revision(), 0);
  cancel(id, 0);  // it is gone
  ask_progress(id);
  EXPECT_EQ(responses(id, 3).at(2).watch_id(), -1);
}

TEST_F(Watch, ProgressByHandSpeaksForAllWatchers) {
  put("a", "0");
  const auto id = open();
  create(id, "x");
  create(id, "y", "", 1);
  responses(id, 2);
  ask_progress(id);
  const auto progress = responses(id, 3).at(2);
  EXPECT_EQ(progress.watch_id(), -1);
  EXPECT_EQ(progress.header().revision(), 2);
  EXPECT_EQ(progress.events_size(), 0);
}

TEST_F(Watch, ProgressNeverOvertakesEvents) {
  const auto id = open();
  create(id, "k", "", 1);
  for (int i = 0; i < 20; ++i) {
    put("k", std::to_string(i));
    ask_progress(id);
  }
  ask_progress(id);
  std::int64_t seen = 0;
  EXPECT_TRUE(client.until([&] {
    pb::WatchResponse last;
    const auto messages = client.response(id).messages();
    return !messages.empty() && last.ParseFromString(messages.back()) && last.watch_id() == -1 &&
           last.header().revision() == 21;
  }));
  for (const auto& message : client.response(id).messages()) {
    pb::WatchResponse response;
    ASSERT_TRUE(response.ParseFromString(message));
    for (const auto& event : response.events()) seen = event.kv().mod_revision();
    if (response.watch_id() == -1) {
      EXPECT_EQ(response.header().revision(), std::max<std::int64_t>(seen, 1));
    }
  }
}

TEST_F(Watch, FutureStartGetsNeitherEarlierEventsNorProgress) {
  const auto id = open();
  create(id, "a", "", 5);
  responses(id, 1);
  ask_progress(id);
  for (int i = 0; i < 4; ++i) put("a", std::to_string(i));  // revisions 2 to 5
  const auto all = responses(id, 2);
  ASSERT_EQ(all.size(), 2U);
  ASSERT_EQ(all[1].events_size(), 1);
  EXPECT_EQ(all[1].events(0).kv().mod_revision(), 5);
  EXPECT_EQ(responses(id, 3).at(2).watch_id(), -1);  // the progress asked for, now that it may be told
}

TEST_F(Watch, ManyWatchersOnOneStream) {
  const auto id = open();
  for (int i = 0; i < 1000; ++i) create(id, "k" + std::to_string(i % 10));
  responses(id, 1000);
  put("k3", "v");
  const auto all = responses(id, 1100);
  ASSERT_EQ(all.size(), 1100U);
  for (std::size_t i = 1000; i < 1100; ++i) EXPECT_EQ(all[i].watch_id() % 10, 3);
}

TEST_F(Watch, SlowClientCostsABoundAndLosesNothing) {
  Http2Client slow(server.io, server.listener.port(), (1U << 31U) - 1);
  const auto id = slow.open_call("/etcdserverpb.Watch/Watch");
  pb::WatchRequest request;
  request.mutable_create_request()->set_key("k");
  slow.send_message(id, request.SerializeAsString());
  slow.until_messages(id, 1);
  slow.stop_reading();
  constexpr int puts = 300;
  for (int i = 0; i < puts; ++i) put("k", std::string(100'000, 'v'));  // 30 MB: beyond what sockets hold
  slow.resume_reading();
  std::vector<std::int64_t> revisions;
  EXPECT_TRUE(slow.until([&] {
    if (slow.response(id).body.size() < puts * 100'000U)
      return false;  // spares parsing it all again and again
    revisions.clear();
    for (const auto& message : slow.response(id).messages()) {
      pb::WatchResponse response;
      if (!response.ParseFromString(message)) return true;
      for (const auto& event : response.events()) revisions.push_back(event.kv().mod_revision());
    }
    return revisions.size() >= static_cast<std::size_t>(puts);
  }));
  ASSERT_EQ(revisions.size(), static_cast<std::size_t>(puts));
  for (std::size_t i = 0; i < revisions.size(); ++i)
    EXPECT_EQ(revisions[i], static_cast<std::int64_t>(i) + 2);
}

class WatchSmallMessages : public Watch {
 protected:
  WatchSmallMessages() : Watch(Settings{.max_request_bytes = 1000}) {}
};

TEST_F(WatchSmallMessages, WhoOnlyAsksAndNeverReadsIsEnded) {
  Http2Client deaf(server.io, server.listener.port(), 0);  // takes not a byte
  const auto id = deaf.open_call("/etcdserverpb.Watch/Watch");
  pb::WatchRequest request;
  request.mutable_create_request()->set_key("k");
  const std::string message = request.SerializeAsString();
  std::size_t peak = 0;
  EXPECT_TRUE(deaf.until([&] {
    for (int i = 0; i < 20; ++i) deaf.send_message(id, message);
    peak = std::max(peak, server.node.model().watches().size());
    return peak > 0 && server.node.model().watches().size() == 0;
  }));
  EXPECT_LE(peak, 200U);  // 4000 bytes of answers
}

TEST_F(WatchSmallMessages, FragmentsSplitBetweenEvents) {
  pb::TxnRequest txn;
  for (int i = 0; i < 3; ++i) {
    auto& put = *txn.add_success()->mutable_request_put();
    put.set_key("k" + std::to_string(i));
    put.set_value(std::string(250, 'v'));
  }
  const auto whole = open();
  create(whole, "k", "l");
  const auto split = open();
  create(split, "k", "l", 0, [](auto& request) { request.set_fragment(true); });
  responses(whole, 1);
  responses(split, 1);
  call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn);
  txn.Clear();
  EXPECT_EQ(responses(whole, 2).at(1).events_size(), 3);
  EXPECT_EQ(responses(split, 2).at(1).events_size(), 3);  // just below the limit: one response
  server.node.propose(  // larger than a request may be: only a fragmented response keeps below the limit
      models::etcd::command(models::etcd::Op::txn,
                            [&] {
                              for (int i = 0; i < 3; ++i) {
                                auto& put = *txn.add_success()->mutable_request_put();
                                put.set_key("k" + std::to_string(i));
                                put.set_value(std::string(600, 'v'));
                              }
                              return txn.SerializeAsString();
                            }()),
      [](const replica::Outcome<Bytes>&) {});
  const auto parts = responses(split, 5);
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_TRUE(parts[2].fragment());
  EXPECT_TRUE(parts[3].fragment());
  EXPECT_FALSE(parts[4].fragment());
  for (std::size_t i = 2; i < 5; ++i) EXPECT_EQ(parts[i].events_size(), 1);
  EXPECT_EQ(responses(whole, 3).at(2).events_size(), 3);
}

// More than is read or told at a stretch: in one response to each watcher all the same, and in its turn.
TEST_F(Watch, ALargeRevisionIsToldWholeToAllWhoWatchIt) {
  constexpr int txns = 100;
  constexpr int puts = 128;
  for (int i = 0; i < txns; ++i) {
    pb::TxnRequest txn;
    for (int j = 0; j < puts; ++j)
      txn.add_success()->mutable_request_put()->set_key("k" + std::to_string(1000 * (i + 100) + j));
    call<pb::TxnResponse>("etcdserverpb.KV/Txn", txn);
  }
  const auto one = open();
  const auto two = open();
  create(one, "k", "l");
  create(one, "k", "l", 0, [](auto& request) { request.set_fragment(true); });
  create(two, "k", "l");
  responses(one, 2);
  responses(two, 1);
  pb::DeleteRangeRequest del;
  del.set_key("k");
  del.set_range_end("l");
  call<pb::DeleteRangeResponse>("etcdserverpb.KV/DeleteRange", del);
  put("k", "next");
  auto told = responses(one, 6);
  std::ranges::stable_sort(told, {}, [](const auto& response) { return response.watch_id(); });
  const auto second = responses(two, 3);
  ASSERT_EQ(told.size(), 6U);
  ASSERT_EQ(second.size(), 3U);
  for (const auto& large : {told[1], told[4], second[1]}) {
    ASSERT_EQ(large.events_size(), txns * puts);
    EXPECT_EQ(large.events(1).kv().key(), "k100001");
    EXPECT_EQ(large.events(1).type(), mvccpb::Event::DELETE);
  }
  for (const auto& next : {told[2], told[5], second[2]}) EXPECT_EQ(next.events(0).kv().value(), "next");
}

class WatchQuickTimers : public Watch {
 protected:
  WatchQuickTimers()
      : Watch(Settings{.progress_interval = std::chrono::milliseconds(20),
                       .no_leader_timeout = std::chrono::milliseconds(60)}) {}
};

TEST_F(WatchQuickTimers, IdleWatchersThatAskAreToldOfProgress) {
  const auto id = open();
  create(id, "quiet", "", 0, [](auto& request) { request.set_progress_notify(true); });
  create(id, "silent");
  responses(id, 3);
  put("other", "v");
  EXPECT_TRUE(client.until([&] {
    pb::WatchResponse last;
    return last.ParseFromString(client.response(id).messages().back()) && last.header().revision() == 2;
  }));
  const auto all = responses(id, client.response(id).messages().size());
  for (std::size_t i = 2; i < all.size(); ++i) {
    EXPECT_EQ(all[i].watch_id(), 0);
    EXPECT_EQ(all[i].events_size(), 0);
  }
}

TEST_F(WatchQuickTimers, StreamsThatRequireALeaderEndWithoutOne) {
  const auto demanding = open({{"hasleader", "true"}});
  const auto content = open();
  create(demanding, "a");
  create(content, "a");
  responses(demanding, 1);
  responses(content, 1);
  server.node.set_leader(NodeId());
  EXPECT_EQ(client.finished(demanding).grpc_status(), "14");
  EXPECT_EQ(client.response(demanding).grpc_message(), "etcdserver: no leader");
  EXPECT_FALSE(client.response(content).closed);
  EXPECT_EQ(server.node.model().watches().size(), 1U);
}

TEST_F(Watch, StopEndsStreams) {
  const auto id = open();
  create(id, "a");
  responses(id, 1);
  server.api.stop();
  EXPECT_EQ(client.finished(id).grpc_message(), "etcdserver: server stopped");
  EXPECT_EQ(server.node.model().watches().size(), 0U);
}

TEST_F(Watch, GoneClientsLeaveNoWatchers) {
  {
    Http2Client other(server.io, server.listener.port());
    const auto id = other.open_call("/etcdserverpb.Watch/Watch");
    pb::WatchRequest request;
    request.mutable_create_request()->set_key("k");
    other.send_message(id, request.SerializeAsString());
    EXPECT_TRUE(other.until_messages(id, 1));
    EXPECT_EQ(server.node.model().watches().size(), 1U);
  }
  EXPECT_TRUE(client.until([&] { return server.node.model().watches().size() == 0; }));
  put("k", "nobody is told");
}

}  // namespace
}  // namespace quorate::api::etcd::testing
