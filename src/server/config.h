// What a server is told: the same structure from a TOML file and from etcd's flags.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "core/node_info.h"
#include "core/time.h"
#include "net/address.h"
#include "tls/context.h"

namespace quorate::server {

struct Keyspace {
  std::string name;
  std::string protocol = "raft";
  std::string model = "etcd";
  std::vector<net::Address> listen;          // for clients; with TLS where it says https
  std::vector<net::Address> listen_metrics;  // for metrics and health alone, beside the clients' addresses
  std::vector<std::string> client_urls;      // where clients reach it; by default what it listens on
  Duration heartbeat = 30ms;
  Duration election_timeout = 180ms;
  std::uint64_t flush_after_entries = 100'000;  // applied between two flushes of the state
  std::uint64_t cache_bytes = 0;                // of the state engine; 0: by the memory there is
  Duration compaction_period{};                 // keep so much history; 0: all
  std::int64_t compaction_revisions = 0;        // keep so many revisions; 0: all
  Duration audit_period{};                      // the whole state is read and checked so often; 0: never
  bool audit_at_start = false;                  // and before clients are served
  std::uint64_t quota = 0;                      // bytes of keys and values in all kept revisions; 0: no bound
  std::optional<tls::Settings> tls;             // of what listens with https
  std::string make_certificate;                 // a directory: make a certificate for it there; empty: no
  // Limits on clients.
  std::uint64_t max_request_bytes = 3U << 19U;
  std::uint32_t max_txn_ops = 128;
  std::uint32_t max_concurrent_streams = 4096;  // calls in flight on one connection
  Duration ping_min_time{};                     // clients that ping more often are sent away; 0: never
  Duration ping_interval = 2h;                  // a silent connection is pinged after so long; 0: never ...
  Duration ping_timeout = 20s;                  // ... and closed when it does not answer within
  Duration progress_interval = 10min;           // of watchers that asked for progress
  bool gateway = true;                          // the JSON gateway
  std::vector<std::string> hosts;  // that a plain-text request over HTTP/1.1 may name; empty: any
  std::vector<std::string> cors;   // origins whose pages may use the gateway; "*": any
};

struct Config {
  std::string source;               // the file, or "flags", for messages
  std::string cluster = "quorate";  // the cluster's name: part of its id
  NodeId id;                        // none: a joining node, told by the cluster
  std::string name;
  std::string data;
  std::vector<net::Address> listen_peers;
  std::vector<std::string> peer_urls;     // this node's own
  std::optional<tls::Settings> peer_tls;  // of links with https, both ends; `verify`: of those that dial us
  std::string make_peer_certificate;      // likewise; one that proves nothing to other nodes
  std::map<NodeId, NodeInfo> members;  // the first members, this node among them; when joining, whom to ask
  bool join = false;
  std::uint64_t segment_bytes = 16U << 20U;
  std::uint64_t log_bytes = 512U << 20U;  // beyond it, quiet keyspaces are flushed so that the log can be cut
  std::string log_directory;              // of the write-ahead log; empty: below `data`
  bool repair = true;                     // a damaged log, from the other members; else refuse to start
  std::uint64_t memory_bytes = 0;  // that the node should manage with; 0: what its control group allows
  std::vector<Keyspace> keyspaces;
  std::string log_level = "info";
  std::vector<std::string> log_outputs;  // "stderr", "stdout" or files; empty: standard error
  std::vector<std::string> notes;        // told once at the start: flags without effect, say
};

// From the cluster's name and first members, the same at every node.
[[nodiscard]] ClusterId cluster_id(const std::string& cluster, const std::map<NodeId, NodeInfo>& members);
// From a node's peer URLs, in any order, and the cluster's name; for clusters configured by etcd's flags.
[[nodiscard]] NodeId node_id(const std::string& cluster, std::vector<std::string> peer_urls);

// A message that quotes what people wrote, without what would break its line.
[[nodiscard]] std::string one_line(const std::string& message);

// As etcd takes it: 0 is its default of 2 GiB, a negative number no bound at all.
[[nodiscard]] constexpr std::uint64_t quota_of(std::int64_t backend_bytes) {
  if (backend_bytes == 0) return std::uint64_t{2} << 30U;
  return backend_bytes < 0 ? 0 : static_cast<std::uint64_t>(backend_bytes);
}
// One request is one message between nodes, which is bounded (net::PeersConfig::max_frame_bytes).
inline constexpr std::uint64_t largest_request_bytes = 32U << 20U;

inline constexpr const char* known_models[] = {"etcd"};

// `protocols`: the names the registry knows. The error is one line: file:line: key: what is wrong, what is
// allowed.
[[nodiscard]] std::expected<Config, std::string> parse_config(const std::string& text,
                                                              const std::string& file_name,
                                                              const std::vector<std::string>& protocols);
[[nodiscard]] std::expected<Config, std::string> read_config(const std::string& file_name,
                                                             const std::vector<std::string>& protocols);

}  // namespace quorate::server
