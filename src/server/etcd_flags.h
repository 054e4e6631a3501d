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
  std::string listen_client_urls = "http://localhost:2379";
  std::string advertise_client_urls;
  std::string listen_peer_urls = "http://localhost:2380";
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
  std::string cert_file;
  std::string key_file;
  std::string trusted_ca_file;
  bool client_cert_auth = false;
  std::string peer_cert_file;
  std::string peer_key_file;
  std::string peer_trusted_ca_file;
  bool peer_client_cert_auth = false;
  std::string log_level = "info";
  std::string protocol = "raft";  // Quorate's own
};

[[nodiscard]] std::expected<Config, std::string> from_etcd_flags(const EtcdFlags& flags);

}  // namespace quorate::server
