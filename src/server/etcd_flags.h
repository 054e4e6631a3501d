// etcd's own flags as a Config, so that a command line that starts etcd starts Quorate.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "server/config.h"

namespace quorate::server {

struct EtcdFlags {  // with etcd's names, defaults and units
  std::string name = "default";
  std::string data_dir;  // default: <name>.etcd
  std::string wal_dir;   // default: below data_dir
  std::string listen_client_urls = "http://localhost:2379";
  std::string advertise_client_urls;
  std::string listen_peer_urls = "http://localhost:2380";
  std::string listen_metrics_urls;
  std::string initial_advertise_peer_urls = "http://localhost:2380";
  std::string initial_cluster;  // default: <name>=<initial_advertise_peer_urls>
  std::string initial_cluster_token = "etcd-cluster";
  std::string initial_cluster_state = "new";
  std::uint64_t snapshot_count = 0;      // 0: Quorate's default
  std::uint64_t heartbeat_interval = 0;  // ms; 0: Quorate's default, likewise
  std::uint64_t election_timeout = 0;    // ms
  std::int64_t quota_backend_bytes = 0;  // 0: 2 GiB; negative: none
  std::string auto_compaction_mode = "periodic";
  std::string auto_compaction_retention = "0";
  std::uint64_t max_request_bytes = 3U << 19U;
  std::uint64_t max_txn_ops = 128;
  std::uint64_t max_concurrent_streams = 4096;
  std::string grpc_keepalive_min_time = "0s";  // etcd: 5s
  std::string grpc_keepalive_interval = "2h";
  std::string grpc_keepalive_timeout = "20s";
  std::string watch_progress_notify_interval = "10m";
  std::string corrupt_check_time = "0s";
  bool initial_corrupt_check = false;
  bool enable_grpc_gateway = true;
  std::string host_whitelist = "*";
  std::string cors;  // etcd: "*", for any page in a browser

  struct Tls {
    std::string cert_file{};
    std::string key_file{};
    std::string trusted_ca_file{};
    std::string crl_file{};
    std::string allowed_cn{};
    std::string allowed_hostname{};
    bool client_cert_auth = false;
    bool automatic = false;  // --auto-tls, --peer-auto-tls
  };
  Tls client_tls;  // --cert-file and so on
  Tls peer_tls;    // --peer-cert-file and so on
  std::string cipher_suites;
  std::string tls_min_version;
  std::string tls_max_version;

  std::string log_level = "info";
  std::string log_outputs = "default";
  std::string protocol = "raft";  // Quorate's own
};

[[nodiscard]] std::expected<Config, std::string> from_etcd_flags(const EtcdFlags& flags);

}  // namespace quorate::server
