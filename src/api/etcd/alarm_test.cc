// A quota and its alarm, as etcd's clients see them.
#include "api/etcd/testing/api_server.h"
#include "models/etcd/alarms.h"

namespace quorate::api::etcd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Alarms : public ApiTest {
 protected:
  pb::AlarmResponse alarm(pb::AlarmRequest::AlarmAction action, pb::AlarmType type = pb::NONE,
                          std::uint64_t member = 0) {
    pb::AlarmRequest request;
    request.set_action(action);
    request.set_alarm(type);
    request.set_memberid(member);
    return call<pb::AlarmResponse>("etcdserverpb.Maintenance/Alarm", request);
  }
  std::string failing_put() {
    pb::PutRequest request;
    request.set_key("k");
    request.set_value(std::string(1000, 'x'));
    return failure("etcdserverpb.KV/Put", request);
  }
  std::string page(const std::string& path) {
    RawClient raw(server.io, server.listener.port());
    raw.write("GET " + path + " HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    EXPECT_TRUE(raw.until_closed());
    return raw.received();
  }
};

constexpr const char* exceeded = "8: etcdserver: mvcc: database space exceeded";

TEST_F(Alarms, ThePutThatWouldPassTheQuotaRaisesTheAlarm) {
  server.node.quota_bytes = 5000;
  for (int i = 0; i < 4; ++i) put("k", std::string(1000, 'x'));
  EXPECT_THAT(alarm(pb::AlarmRequest::GET).alarms(), IsEmpty());
  EXPECT_EQ(failing_put(), exceeded);
  const auto raised = alarm(pb::AlarmRequest::GET);
  ASSERT_EQ(raised.alarms_size(), 1);
  EXPECT_EQ(raised.alarms(0).memberid(), 1U);
  EXPECT_EQ(raised.alarms(0).alarm(), pb::NOSPACE);
  EXPECT_NE(raised.header().revision(), 0);
  const auto status = call<pb::StatusResponse>("etcdserverpb.Maintenance/Status", pb::StatusRequest());
  EXPECT_THAT(status.errors(), ElementsAre("memberID:1 alarm:NOSPACE "));
  EXPECT_EQ(status.dbsizequota(), 5000);
  EXPECT_GT(status.dbsize(), 4000);
  EXPECT_THAT(page("/health"), HasSubstr(R"({"health":"false","reason":"ALARM NOSPACE"})"));
  EXPECT_THAT(page("/health?exclude=NOSPACE"), HasSubstr(R"({"health":"true")"));
  EXPECT_THAT(page("/metrics"), HasSubstr("etcd_server_quota_backend_bytes 5000"));
}

// Whatever the size: what the log decided holds at every member alike.
TEST_F(Alarms, AnAlarmOfAnotherMemberRefusesToo) {
  alarm(pb::AlarmRequest::ACTIVATE, pb::NOSPACE, 3);
  EXPECT_EQ(failing_put(), exceeded);
  pb::LeaseGrantRequest grant;
  grant.set_ttl(60);
  EXPECT_EQ(failure("etcdserverpb.Lease/LeaseGrant", grant), exceeded);
  pb::TxnRequest txn;
  txn.add_success()->mutable_request_put()->set_key("k");
  EXPECT_EQ(failure("etcdserverpb.KV/Txn", txn), exceeded);
  del("k");
  get("k");
  alarm(pb::AlarmRequest::DEACTIVATE, pb::NOSPACE, 3);
  put("k", "v");
}

TEST_F(Alarms, CompactedAndDisarmedItTakesPutsAgain) {
  server.node.quota_bytes = 5000;
  for (int i = 0; i < 4; ++i) put("k", std::string(1000, 'x'));
  EXPECT_EQ(failing_put(), exceeded);
  pb::CompactionRequest compact;
  compact.set_revision(5);
  call<pb::CompactionResponse>("etcdserverpb.KV/Compact", compact);
  server.node.tick(std::chrono::milliseconds(250));
  call<pb::DefragmentResponse>("etcdserverpb.Maintenance/Defragment", pb::DefragmentRequest());
  EXPECT_EQ(server.node.defragmented, 1);
  EXPECT_EQ(failing_put(), exceeded) << "until it is disarmed";
  alarm(pb::AlarmRequest::DEACTIVATE, pb::NOSPACE, 1);
  put("k", "v");
}

TEST_F(Alarms, ACorruptClusterTakesNoWrites) {
  alarm(pb::AlarmRequest::ACTIVATE, pb::CORRUPT, 2);
  EXPECT_EQ(failing_put(), "15: etcdserver: corrupt cluster");
  get("k");
  EXPECT_THAT(page("/health"), HasSubstr("ALARM CORRUPT"));
  EXPECT_THAT(page("/readyz"), HasSubstr("HTTP/1.1 503 "));
  EXPECT_THAT(page("/readyz?exclude=data_corruption"), HasSubstr("HTTP/1.1 200 "));
  EXPECT_THAT(page("/livez"), HasSubstr("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace quorate::api::etcd::testing
