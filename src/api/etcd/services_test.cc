// Lease, Cluster, Maintenance, Lock, Election, Health over the wire.
#include <map>

#include <openssl/sha.h>

#include "api/etcd/testing/api_server.h"
#include "api/proto/election.pb.h"
#include "api/proto/health.pb.h"
#include "api/proto/lock.pb.h"

namespace quorate::api::etcd::testing {
namespace {

using namespace std::chrono_literals;

class Leases : public ApiTest {
 protected:
  pb::LeaseGrantResponse grant(std::int64_t ttl, std::int64_t id = 0) {
    pb::LeaseGrantRequest request;
    request.set_ttl(ttl);
    request.set_id(id);
    return call<pb::LeaseGrantResponse>("etcdserverpb.Lease/LeaseGrant", request);
  }
  pb::LeaseTimeToLiveResponse left(std::int64_t id) {
    pb::LeaseTimeToLiveRequest request;
    request.set_id(id);
    request.set_keys(true);
    return call<pb::LeaseTimeToLiveResponse>("etcdserverpb.Lease/LeaseTimeToLive", request);
  }
};

TEST_F(Leases, IdsAreChosenOrTaken) {
  const auto chosen = grant(10);
  EXPECT_GT(chosen.id(), 0);
  EXPECT_EQ(chosen.ttl(), 10);
  EXPECT_NE(grant(10).id(), chosen.id());
  EXPECT_EQ(grant(10, 7).id(), 7);
  pb::LeaseGrantRequest again;
  again.set_id(7);
  again.set_ttl(10);
  EXPECT_EQ(failure("etcdserverpb.Lease/LeaseGrant", again), "9: etcdserver: lease already exists");
  again.set_id(8);
  again.set_ttl(9'000'000'001);
  EXPECT_EQ(failure("etcdserverpb.Lease/LeaseGrant", again), "11: etcdserver: too large lease TTL");
  EXPECT_EQ(
      call<pb::LeaseLeasesResponse>("etcdserverpb.Lease/LeaseLeases", pb::LeaseLeasesRequest()).leases_size(),
      3);
}

class LeasesOfASlowCluster : public ApiTest {
 protected:
  LeasesOfASlowCluster()
      : ApiTest([] {
          Settings settings;
          settings.min_lease_ttl = 3;
          return settings;
        }()) {}
};

// Or a lease would end while a leader is elected that could renew it.
TEST_F(LeasesOfASlowCluster, OutliveAnElection) {
  for (const auto& [asked, granted] : std::map<std::int64_t, std::int64_t>{{-5, 3}, {1, 3}, {4, 4}}) {
    pb::LeaseGrantRequest request;
    request.set_ttl(asked);
    EXPECT_EQ(call<pb::LeaseGrantResponse>("etcdserverpb.Lease/LeaseGrant", request).ttl(), granted);
  }
}

TEST_F(Leases, LifeAndEnd) {
  grant(10, 7);
  put("k", "v", 7);
  EXPECT_EQ(left(7).grantedttl(), 10);
  EXPECT_EQ(left(7).keys(0), "k");
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(7);
  call<pb::LeaseRevokeResponse>("etcdserverpb.Lease/LeaseRevoke", revoke);
  EXPECT_EQ(get("k").count(), 0);
  EXPECT_EQ(left(7).ttl(), -1);  // unknown: no error
  EXPECT_EQ(failure("etcdserverpb.Lease/LeaseRevoke", revoke), "5: etcdserver: requested lease not found");
}

TEST_F(Leases, KeepAliveAnswersInOrderAndTellsUnknownByZero) {
  grant(10, 7);
  const auto id = client.open_call("/etcdserverpb.Lease/LeaseKeepAlive");
  for (const std::int64_t lease : {7, 8, 7}) {
    pb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    client.send_message(id, request.SerializeAsString());
  }
  const auto all = stream<pb::LeaseKeepAliveResponse>(id, 3);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].ttl(), 10);
  EXPECT_EQ(all[1].id(), 8);
  EXPECT_EQ(all[1].ttl(), 0);
  EXPECT_EQ(all[2].ttl(), 10);
  EXPECT_FALSE(client.response(id).closed);
  client.half_close(id);
  EXPECT_EQ(client.finished(id).grpc_status(), "0");
}

TEST_F(Leases, KeepAliveFailsWithTheNode) {
  server.node.failure = replica::Failure::no_leader;
  const auto id = client.open_call("/etcdserverpb.Lease/LeaseKeepAlive");
  pb::LeaseKeepAliveRequest request;
  client.send_message(id, request.SerializeAsString());
  client.send_message(id, request.SerializeAsString());
  EXPECT_EQ(client.finished(id).grpc_status(), "14");
}

class Cluster : public ApiTest {
 protected:
  pb::MemberListResponse list() {
    return call<pb::MemberListResponse>("etcdserverpb.Cluster/MemberList", pb::MemberListRequest());
  }
  static pb::MemberAddRequest adding(const std::string& url, bool learner = false) {
    pb::MemberAddRequest request;
    request.add_peerurls(url);
    request.set_islearner(learner);
    return request;
  }
};

TEST_F(Cluster, UnstartedMembersHaveNoName) {
  const auto members = list();
  ASSERT_EQ(members.members_size(), 3);
  EXPECT_EQ(members.members(0).name(), "one");
  EXPECT_EQ(members.members(0).clienturls(0), "http://127.0.0.1:2379");
  EXPECT_EQ(members.members(1).name(), "");
  EXPECT_EQ(members.members(1).clienturls_size(), 0);
  EXPECT_EQ(members.members(1).peerurls(0), "http://127.0.0.1:7002");
}

TEST_F(Cluster, AMemberHasTheIdThatItHasInAnotherKeyspace) {
  server.node.known = {NodeId(3), NodeId(44)};  // 3 is somebody else here
  const auto add = [this](const char* url) {
    return call<pb::MemberAddResponse>("etcdserverpb.Cluster/MemberAdd", adding(url)).member().id();
  };
  EXPECT_EQ(add("http://127.0.0.1:7004"), 44U);
  const auto other = add("http://127.0.0.1:7005");
  EXPECT_GT(other, 44U) << "drawn at random";
}

TEST_F(Cluster, AddPromoteUpdateRemove) {
  const auto added =
      call<pb::MemberAddResponse>("etcdserverpb.Cluster/MemberAdd", adding("http://127.0.0.1:7004", true));
  const auto id = added.member().id();
  EXPECT_NE(id, 0U);
  EXPECT_TRUE(added.member().islearner());
  EXPECT_EQ(added.members_size(), 4);
  pb::MemberPromoteRequest promote;
  promote.set_id(id);
  EXPECT_EQ(failure("etcdserverpb.Cluster/MemberPromote", promote),
            "9: etcdserver: can only promote a learner member which is in sync with leader");
  server.node.publish(NodeId(id), {"four", {"http://127.0.0.1:7004"}, {"http://127.0.0.1:2382"}});
  call<pb::MemberPromoteResponse>("etcdserverpb.Cluster/MemberPromote", promote);
  EXPECT_EQ(failure("etcdserverpb.Cluster/MemberPromote", promote),
            "9: etcdserver: can only promote a learner member");
  pb::MemberUpdateRequest update;
  update.set_id(id);
  update.add_peerurls("http://127.0.0.1:7009");
  call<pb::MemberUpdateResponse>("etcdserverpb.Cluster/MemberUpdate", update);
  bool found = false;
  const auto members = list();
  for (const auto& member : members.members()) {
    if (member.id() != id) continue;
    found = true;
    EXPECT_FALSE(member.islearner());
    EXPECT_EQ(member.peerurls(0), "http://127.0.0.1:7009");
  }
  EXPECT_TRUE(found);
  pb::MemberRemoveRequest remove;
  remove.set_id(id);
  EXPECT_EQ(call<pb::MemberRemoveResponse>("etcdserverpb.Cluster/MemberRemove", remove).members_size(), 3);
  EXPECT_EQ(failure("etcdserverpb.Cluster/MemberRemove", remove), "5: etcdserver: member not found");
}

TEST_F(Cluster, AddressesAreChecked) {
  EXPECT_EQ(failure("etcdserverpb.Cluster/MemberAdd", adding("http://127.0.0.1:7002")),
            "9: etcdserver: Peer URLs already exists");
  for (const char* url : {"", "127.0.0.1:1", "http://host", "http://:1", "http://host:", "http://host:1/path",
                          "ftp://host:1"}) {
    EXPECT_EQ(failure("etcdserverpb.Cluster/MemberAdd", adding(url)),
              "3: etcdserver: given member URLs are invalid")
        << url;
  }
  EXPECT_EQ(failure("etcdserverpb.Cluster/MemberAdd", pb::MemberAddRequest()),
            "3: etcdserver: given member URLs are invalid");
}

// By what it knew, this member would bring back who was removed at another one.
TEST_F(Cluster, AChangeIsByTheLatestMembership) {
  server.node.learns = [](Membership& membership) {
    std::erase_if(membership.members, [](const Member& member) { return member.id == NodeId(3); });
  };
  const auto added =
      call<pb::MemberAddResponse>("etcdserverpb.Cluster/MemberAdd", adding("http://127.0.0.1:7004"));
  EXPECT_EQ(added.members_size(), 3);
  for (const auto& member : added.members()) EXPECT_NE(member.id(), 3U);
}

TEST_F(Cluster, ChangesMayBeRefused) {
  server.node.refuses = replica::Failure::change_pending;
  EXPECT_THAT(failure("etcdserverpb.Cluster/MemberAdd", adding("http://127.0.0.1:7005")),
              ::testing::StartsWith("14: "));
  server.node.refuses = replica::Failure::invalid;
  EXPECT_EQ(failure("etcdserverpb.Cluster/MemberAdd", adding("http://127.0.0.1:7005")),
            "9: etcdserver: re-configuration failed due to not enough started members");
}

class Maintenance : public ApiTest {};

TEST_F(Maintenance, StatusTellsWhatClientsGateOn) {
  put("a", "1");
  const auto status = call<pb::StatusResponse>("etcdserverpb.Maintenance/Status", pb::StatusRequest());
  EXPECT_EQ(status.version(), "3.5.17");
  EXPECT_EQ(status.leader(), 1U);
  EXPECT_EQ(status.raftterm(), 2U);
  EXPECT_EQ(status.raftindex(), status.raftappliedindex());
  EXPECT_EQ(status.errors_size(), 0);
  EXPECT_EQ(status.storageversion(), "3.5.0");  // these are of etcd 3.6
  EXPECT_TRUE(status.has_downgradeinfo());
  EXPECT_FALSE(status.downgradeinfo().enabled());
  server.node.set_leader(NodeId());
  EXPECT_EQ(call<pb::StatusResponse>("etcdserverpb.Maintenance/Status", pb::StatusRequest()).errors(0),
            "etcdserver: no leader");
}

TEST_F(Maintenance, SmallCalls) {
  put("a", "1");
  const auto one = call<pb::HashKVResponse>("etcdserverpb.Maintenance/HashKV", pb::HashKVRequest());
  put("a", "2");
  EXPECT_NE(call<pb::HashKVResponse>("etcdserverpb.Maintenance/HashKV", pb::HashKVRequest()).hash(),
            one.hash());
  EXPECT_EQ(call<pb::AlarmResponse>("etcdserverpb.Maintenance/Alarm", pb::AlarmRequest()).alarms_size(), 0);
  call<pb::DefragmentResponse>("etcdserverpb.Maintenance/Defragment", pb::DefragmentRequest());
  call<pb::HashResponse>("etcdserverpb.Maintenance/Hash", pb::HashRequest());
  pb::MoveLeaderRequest move;
  move.set_targetid(99);
  EXPECT_EQ(failure("etcdserverpb.Maintenance/MoveLeader", move), "9: etcdserver: bad leader transferee");
  move.set_targetid(2);
  call<pb::MoveLeaderResponse>("etcdserverpb.Maintenance/MoveLeader", move);
  EXPECT_EQ(server.node.status().leader, NodeId(2));
  EXPECT_EQ(failure("etcdserverpb.Auth/Authenticate", pb::AuthenticateRequest()),
            "9: etcdserver: authentication is not enabled");
}

TEST_F(Maintenance, SnapshotIsWholeConsistentAndChecked) {
  for (int i = 0; i < 40; ++i) put("key" + std::to_string(i), std::string(50'000, 'v'));
  const auto id = client.call("/etcdserverpb.Maintenance/Snapshot", "");
  EXPECT_TRUE(client.until_messages(id, 1));
  put("later", "does not show");
  EXPECT_EQ(client.finished(id).grpc_status(), "0");
  const auto messages = client.response(id).messages();
  std::string content;
  pb::SnapshotResponse part;
  for (const auto& message : messages) {
    ASSERT_TRUE(part.ParseFromString(message));
    EXPECT_LE(part.blob().size(), 32U << 10U);
    content += part.blob();
  }
  EXPECT_EQ(part.remaining_bytes(), 0U);
  ASSERT_EQ(part.blob().size(), 32U);
  content.resize(content.size() - 32);
  EXPECT_EQ(content.size() % 512, 0U);  // etcdctl finds the checksum by this
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(content.data()), content.size(), hash);
  EXPECT_EQ(part.blob(), std::string(reinterpret_cast<char*>(hash), sizeof(hash)));
  EXPECT_TRUE(content.starts_with("QUORATE-SNAPSHOT-1\n"));
  EXPECT_EQ(content.find("does not show"), std::string::npos);
  EXPECT_GT(content.size(), 2'000'000U);
}

class Health : public ApiTest {
 protected:
  using Request = grpc::health::v1::HealthCheckRequest;
  using Response = grpc::health::v1::HealthCheckResponse;

  static Request of(const std::string& service) {
    Request request;
    request.set_service(service);
    return request;
  }
  std::int32_t watch(const std::string& service) {
    return client.call("/grpc.health.v1.Health/Watch", of(service).SerializeAsString());
  }
  Response::ServingStatus told(std::int32_t stream, std::size_t nth) {
    EXPECT_TRUE(client.until_messages(stream, nth + 1));
    Response response;
    response.ParseFromString(client.response(stream).messages().at(nth));
    return response.status();
  }
  void set_leader(NodeId leader) {
    server.node.set_leader(leader);
    server.api.leader_changed();
  }
};

TEST_F(Health, CheckTellsWhetherThereIsALeader) {
  const auto check = [&](const std::string& service) {
    return call<Response>("grpc.health.v1.Health/Check", of(service)).status();
  };
  EXPECT_EQ(check(""), Response::SERVING);
  EXPECT_EQ(check("etcdserverpb.KV"), Response::SERVING);
  EXPECT_EQ(failure("grpc.health.v1.Health/Check", of("other")), "5: unknown service");
  set_leader(NodeId());
  EXPECT_EQ(check(""), Response::NOT_SERVING);
}

TEST_F(Health, WatchTellsEachChangeOnce) {
  const auto stream = watch("");
  EXPECT_EQ(told(stream, 0), Response::SERVING);
  set_leader(NodeId(2));  // another leader: still served
  set_leader(NodeId());
  EXPECT_EQ(told(stream, 1), Response::NOT_SERVING);
  set_leader(NodeId(1));
  EXPECT_EQ(told(stream, 2), Response::SERVING);
  EXPECT_EQ(told(watch("other"), 0), Response::SERVICE_UNKNOWN);
  client.reset(stream);
  EXPECT_EQ(told(watch(""), 0), Response::SERVING);
  set_leader(NodeId());  // nobody is told who has gone
  EXPECT_EQ(client.response(stream).messages().size(), 3U);
  server.api.stop();
}

class Concurrency : public ApiTest {
 protected:
  std::int32_t lock(const std::string& name) {
    v3lockpb::LockRequest request;
    request.set_name(name);
    return client.call("/v3lockpb.Lock/Lock", request.SerializeAsString());
  }
  std::string key_of(std::int32_t id) {
    v3lockpb::LockResponse response;
    const auto messages = client.response(id).messages();
    EXPECT_TRUE(!messages.empty() && response.ParseFromString(messages[0]));
    return response.key();
  }
  void unlock(const std::string& key) {
    v3lockpb::UnlockRequest request;
    request.set_key(key);
    call<v3lockpb::UnlockResponse>("v3lockpb.Lock/Unlock", request);
  }
};

TEST_F(Concurrency, LocksAreTakenInOrder) {
  const auto first = lock("l"), second = lock("l"), third = lock("l");
  EXPECT_EQ(client.finished(first).grpc_status(), "0");
  settle();
  EXPECT_FALSE(client.response(second).closed);
  unlock(key_of(first));
  EXPECT_EQ(client.finished(second).grpc_status(), "0");
  settle();
  EXPECT_FALSE(client.response(third).closed);
  EXPECT_EQ(get("l/", "l0").count(), 2);
}

TEST_F(Concurrency, WhoGivesUpLeavesTheQueue) {
  const auto first = lock("l"), second = lock("l"), third = lock("l");
  client.finished(first);
  EXPECT_TRUE(client.until([&] { return server.node.model().statistics().keys == 3; }));
  client.reset(second);
  EXPECT_TRUE(client.until([&] { return server.node.model().statistics().keys == 2; }));
  settle();
  EXPECT_FALSE(client.response(third).closed);  // the second's departure is not the first's
  unlock(key_of(first));
  EXPECT_EQ(client.finished(third).grpc_status(), "0");
  EXPECT_EQ(server.node.model().watches().size(), 0U);
}

TEST_F(Concurrency, ElectionFromCampaignToResignation) {
  v3electionpb::LeaderRequest who;
  who.set_name("e");
  EXPECT_EQ(failure("v3electionpb.Election/Leader", who), "2: election: no leader");
  const auto observer = client.call("/v3electionpb.Election/Observe", who.SerializeAsString());
  v3electionpb::CampaignRequest campaign;
  campaign.set_name("e");
  campaign.set_value("one");
  const auto won = call<v3electionpb::CampaignResponse>("v3electionpb.Election/Campaign", campaign);
  EXPECT_EQ(won.leader().rev(), won.header().revision());
  campaign.set_value("two");
  const auto waiting = client.call("/v3electionpb.Election/Campaign", campaign.SerializeAsString());
  EXPECT_EQ(call<v3electionpb::LeaderResponse>("v3electionpb.Election/Leader", who).kv().value(), "one");
  v3electionpb::ProclaimRequest proclaim;
  *proclaim.mutable_leader() = won.leader();
  proclaim.set_value("still one");
  call<v3electionpb::ProclaimResponse>("v3electionpb.Election/Proclaim", proclaim);
  EXPECT_EQ(stream<v3electionpb::LeaderResponse>(observer, 2).at(1).kv().value(), "still one");
  v3electionpb::ResignRequest resign;
  *resign.mutable_leader() = won.leader();
  call<v3electionpb::ResignResponse>("v3electionpb.Election/Resign", resign);
  EXPECT_EQ(client.finished(waiting).grpc_status(), "0");
  EXPECT_EQ(stream<v3electionpb::LeaderResponse>(observer, 3).at(2).kv().value(), "two");
  EXPECT_EQ(failure("v3electionpb.Election/Proclaim", proclaim), "2: election: not leader");
}

TEST_F(Concurrency, HealthFollowsTheLeader) {
  namespace health = grpc::health::v1;
  EXPECT_EQ(
      call<health::HealthCheckResponse>("grpc.health.v1.Health/Check", health::HealthCheckRequest()).status(),
      health::HealthCheckResponse::SERVING);
  server.node.set_leader(NodeId());
  EXPECT_EQ(
      call<health::HealthCheckResponse>("grpc.health.v1.Health/Check", health::HealthCheckRequest()).status(),
      health::HealthCheckResponse::NOT_SERVING);
}

}  // namespace
}  // namespace quorate::api::etcd::testing
