// Where the nodes of a local cluster live: their ports and directories, kept in DIR/cluster.json so that a
// second start finds them again.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

namespace quorate::cli {

struct DevNode {
  std::uint64_t id = 0;
  int pid = 0;               // 0: not running
  std::uint16_t client = 0;  // ports of 127.0.0.1
  std::uint16_t peer = 0;
  std::string data;  // DIR/n1
};

struct DevPlan {
  std::string directory;
  std::string protocol;
  bool tls = false;
  std::vector<DevNode> nodes;

  [[nodiscard]] std::string cluster_file() const { return directory + "/cluster.json"; }
  // One certificate for all nodes, for clients and peers; it signs itself, so that it is also whom to trust.
  [[nodiscard]] std::string tls_directory() const { return directory + "/tls"; }
  [[nodiscard]] std::string certificate() const { return tls_directory() + "/cert.pem"; }
  [[nodiscard]] std::string endpoints() const;  // of clients, comma-separated
};

struct DevOptions {
  std::size_t nodes = 0;   // 0: as found, or 3
  std::string protocol{};  // empty: as found, or raft
  std::string directory = "data";
  std::uint16_t port = 0;  // 0: as found, or 2379
  bool tls = false;        // false: as found
};

// What is on disk completed by the options, with ports that are free now. An error says why they do not fit.
[[nodiscard]] std::expected<DevPlan, std::string> make_plan(const DevOptions& options);

// {"nodes":[{"id":1,"pid":4711,"client":"127.0.0.1:2379","peer":"127.0.0.1:2380","data":"data/n1"},...],
// "protocol":"raft"}, and with TLS "cacert":"data/tls/cert.pem"; replaced atomically.
[[nodiscard]] std::expected<void, std::string> write_cluster_file(const DevPlan& plan);

// The configuration of one node, as `quorate serve --config` reads it.
[[nodiscard]] std::string node_configuration(const DevPlan& plan, const DevNode& node);

}  // namespace quorate::cli
