#include "server/etcd_flags.h"

#include <gmock/gmock.h>

namespace quorate::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

EtcdFlags member(const std::string& name, int port) {
  EtcdFlags flags;
  flags.name = name;
  flags.data_dir = "d";
  flags.listen_client_urls = flags.advertise_client_urls = "http://127.0.0.1:" + std::to_string(port);
  flags.listen_peer_urls = flags.initial_advertise_peer_urls = "http://127.0.0.1:" + std::to_string(port + 1);
  flags.initial_cluster = "n0=http://127.0.0.1:2380,n1=http://127.0.0.1:2480,n2=http://127.0.0.1:2580";
  flags.initial_cluster_token = "bench";
  return flags;
}

TEST(EtcdFlags, MembersOfOneClusterAgreeOnWhoIsWho) {
  auto a = from_etcd_flags(member("n0", 2379));
  auto b = from_etcd_flags(member("n1", 2479));
  ASSERT_TRUE(a) << a.error();
  ASSERT_TRUE(b) << b.error();
  EXPECT_EQ(a->members, b->members);
  EXPECT_NE(a->id, b->id);
  EXPECT_EQ(a->members.at(b->id).name, "n1");
  EXPECT_EQ(cluster_id(a->cluster, a->members), cluster_id(b->cluster, b->members));
}

TEST(EtcdFlags, AQuotaIsEtcdsUnlessSaid) {
  auto flags = member("n0", 2379);
  const auto quota = [&] { return from_etcd_flags(flags).value().keyspaces.at(0).quota; };
  EXPECT_EQ(quota(), std::uint64_t{2} << 30U);
  flags.quota_backend_bytes = 16 << 20;
  EXPECT_EQ(quota(), 16U << 20U);
  flags.quota_backend_bytes = -1;
  EXPECT_EQ(quota(), 0U) << "none";
}

TEST(EtcdFlags, AnotherTokenIsAnotherCluster) {
  auto flags = member("n0", 2379);
  const auto a = from_etcd_flags(flags).value();
  flags.initial_cluster_token = "other";
  const auto b = from_etcd_flags(flags).value();
  EXPECT_NE(a.id, b.id);
  EXPECT_NE(cluster_id(a.cluster, a.members), cluster_id(b.cluster, b.members));
}

TEST(EtcdFlags, DefaultsAreEtcds) {
  auto config = from_etcd_flags({});
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->data, "default.etcd");
  EXPECT_EQ(config->members.size(), 1U);
  EXPECT_EQ(config->keyspaces[0].listen[0].port, 2379);
}

TEST(EtcdFlags, AJoiningNodeDoesNotKnowItsId) {
  auto flags = member("n2", 2579);
  flags.initial_cluster_state = "existing";
  auto config = from_etcd_flags(flags);
  ASSERT_TRUE(config) << config.error();
  EXPECT_TRUE(config->join);
  EXPECT_TRUE(config->id.none());
  EXPECT_EQ(config->members.size(), 3U);
}

TEST(EtcdFlags, CompactionHasEtcdsUnits) {
  EtcdFlags flags;
  flags.auto_compaction_retention = "2";
  EXPECT_EQ(from_etcd_flags(flags)->keyspaces[0].compaction_period, 2h);
  flags.auto_compaction_retention = "30m";
  EXPECT_EQ(from_etcd_flags(flags)->keyspaces[0].compaction_period, 30min);
  flags.auto_compaction_mode = "revision";
  EXPECT_FALSE(from_etcd_flags(flags));
  flags.auto_compaction_retention = "1000";
  EXPECT_EQ(from_etcd_flags(flags)->keyspaces[0].compaction_revisions, 1000);
}

template <class Change>
std::string error_with(Change&& change) {
  auto flags = member("n0", 2379);
  change(flags);
  auto config = from_etcd_flags(flags);
  return config ? std::string("accepted") : config.error();
}

TEST(EtcdFlags, AHeartbeatAloneBringsTheElectionTimeout) {
  EtcdFlags flags;
  flags.heartbeat_interval = 100;
  EXPECT_EQ(from_etcd_flags(flags)->keyspaces[0].election_timeout, 1s);
  flags.election_timeout = 500;
  EXPECT_EQ(from_etcd_flags(flags)->keyspaces[0].election_timeout, 500ms);
}

TEST(EtcdFlags, LimitsOnClients) {
  EtcdFlags flags;
  flags.max_request_bytes = 1 << 20;
  flags.max_txn_ops = 9;
  flags.grpc_keepalive_min_time = "1m30s";
  flags.grpc_keepalive_interval = "0s";
  flags.host_whitelist = "a,b";
  flags.listen_metrics_urls = "http://127.0.0.1:9000";
  auto config = from_etcd_flags(flags);
  ASSERT_TRUE(config) << config.error();
  const auto& keyspace = config->keyspaces[0];
  EXPECT_EQ(keyspace.max_request_bytes, 1U << 20U);
  EXPECT_EQ(keyspace.max_txn_ops, 9U);
  EXPECT_EQ(keyspace.ping_min_time, 90s);
  EXPECT_EQ(keyspace.ping_interval, 0s);
  EXPECT_THAT(keyspace.hosts, testing::ElementsAre("a", "b"));
  EXPECT_EQ(keyspace.listen_metrics.at(0).port, 9000);
  flags.host_whitelist = "a,*";
  EXPECT_TRUE(from_etcd_flags(flags)->keyspaces[0].hosts.empty());
}

TEST(EtcdFlags, Tls) {
  EtcdFlags flags;
  flags.listen_client_urls = "https://127.0.0.1:1,http://127.0.0.1:2";
  flags.client_tls = {.cert_file = "c", .key_file = "k", .trusted_ca_file = "ca"};
  flags.tls_min_version = "TLS1.3";
  auto config = from_etcd_flags(flags);
  ASSERT_TRUE(config) << config.error();
  EXPECT_TRUE(config->keyspaces[0].tls.value().verify) << "a trusted CA is for checking certificates";
  EXPECT_EQ(config->keyspaces[0].tls->lowest, tls::Version::tls13);
  EXPECT_FALSE(config->peer_tls);
  EXPECT_THAT(config->notes, testing::ElementsAre(HasSubstr("http URLs of --listen-client-urls")));
  flags.client_tls.trusted_ca_file.clear();
  EXPECT_FALSE(from_etcd_flags(flags)->keyspaces[0].tls->verify);
}

TEST(EtcdFlags, TlsMistakesNameTheFlag) {
  EXPECT_THAT(error_with([](auto& f) { f.client_tls.cert_file = "c"; }),
              StartsWith("--cert-file: goes together"));
  EXPECT_THAT(error_with([](auto& f) { f.client_tls.client_cert_auth = true; }),
              StartsWith("--client-cert-auth: needs --cert-file"));
  EXPECT_THAT(error_with([](auto& f) {
                f.client_tls = {.cert_file = "c", .key_file = "k", .client_cert_auth = true};
              }),
              StartsWith("--client-cert-auth: needs --trusted-ca-file"));
  EXPECT_THAT(error_with([](auto& f) { f.listen_metrics_urls = "https://127.0.0.1:1"; }),
              StartsWith("--listen-metrics-urls: https needs --cert-file"));
  EXPECT_THAT(error_with([](auto& f) { f.listen_peer_urls = "https://127.0.0.1:1"; }),
              StartsWith("--listen-peer-urls: https needs --peer-cert-file"));
  EXPECT_THAT(
      error_with([](auto& f) { f.initial_cluster = "n0=http://127.0.0.1:2380,n1=https://127.0.0.1:2480"; }),
      StartsWith("--initial-cluster: 'n1' has an https URL"));
}

TEST(EtcdFlags, MistakesNameTheFlag) {
  EXPECT_THAT(error_with([](auto& f) { f.name = "n9"; }), StartsWith("--initial-cluster: does not hold"));
  EXPECT_THAT(error_with([](auto& f) { f.initial_cluster = "n0"; }), HasSubstr("must be NAME=URL"));
  EXPECT_THAT(error_with([](auto& f) { f.initial_advertise_peer_urls = "http://127.0.0.1:1"; }),
              StartsWith("--initial-cluster: has 'n0' at"));
  EXPECT_THAT(error_with([](auto& f) { f.listen_client_urls = "127.0.0.1"; }),
              StartsWith("--listen-client-urls"));
  EXPECT_THAT(error_with([](auto& f) { f.listen_client_urls = "https://127.0.0.1:1"; }),
              HasSubstr("--cert-file"));
  EXPECT_THAT(error_with([](auto& f) { f.initial_cluster_state = "old"; }),
              StartsWith("--initial-cluster-state"));
  EXPECT_THAT(error_with([](auto& f) { f.election_timeout = 20; }), StartsWith("--election-timeout"));
  EXPECT_THAT(error_with([](auto& f) { f.election_timeout = 50'001; }), StartsWith("--election-timeout"));
  EXPECT_THAT(error_with([](auto& f) { f.heartbeat_interval = UINT64_MAX; }),
              StartsWith("--heartbeat-interval"));
  EXPECT_THAT(error_with([](auto& f) { f.max_request_bytes = 1U << 30U; }),
              StartsWith("--max-request-bytes"));
  EXPECT_THAT(error_with([](auto& f) { f.max_txn_ops = 0; }), StartsWith("--max-txn-ops"));
  EXPECT_THAT(error_with([](auto& f) { f.grpc_keepalive_interval = "2"; }),
              StartsWith("--grpc-keepalive-interval: '2' must be a duration"));
  for (const char* much : {"1000001", "9223372036854775807h", "9223372036854775807s"}) {
    EXPECT_THAT(error_with([&](auto& f) { f.auto_compaction_retention = much; }),
                StartsWith("--auto-compaction-retention"));
  }
  EXPECT_EQ(error_with([](auto& f) { f.initial_cluster = "a\nb"; }).find('\n'), std::string::npos);
  EXPECT_THAT(error_with([](auto& f) { f.auto_compaction_mode = "x"; }),
              StartsWith("--auto-compaction-mode"));
}

}  // namespace
}  // namespace quorate::server
