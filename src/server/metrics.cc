#include "server/metrics.h"

#include <iterator>

#include <fmt/format.h>

namespace quorate::server {
namespace {

void head(std::string& out, const char* name, const char* type, const char* help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

// The samples of a histogram; `label` is one, or empty.
void write_durations(std::string& out, const char* name, const std::string& label, const Durations& times) {
  const auto to = std::back_inserter(out);
  const std::string before = label.empty() ? "" : label + ",", alone = label.empty() ? "" : "{" + label + "}";
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < times.counts.size(); ++i) {
    total += times.counts[i];
    if (i < Durations::bounds.size())
      fmt::format_to(to, "{}_bucket{{{}le=\"{}\"}} {}\n", name, before, Durations::bounds[i], total);
  }
  fmt::format_to(to, "{0}_bucket{{{1}le=\"+Inf\"}} {2}\n{0}_sum{3} {4}\n{0}_count{3} {2}\n", name, before,
                 total, alone, times.sum);
}

template <class Value>
void write_per_peer(std::string& out, const std::vector<net::Peers::PeerStatus>& peers, const char* name,
                    const char* type, const char* help, Value&& value) {
  head(out, name, type, help);
  for (const auto& peer : peers) {
    fmt::format_to(std::back_inserter(out), "{}{{To=\"{:x}\"}} {}\n", name, peer.id.value, value(peer));
  }
}

}  // namespace

void write_node_metrics(std::string& out, const runtime::Node& node, const runtime::Keyspace& keyspace) {
  using Peer = net::Peers::PeerStatus;
  const char* name = "etcd_disk_wal_fsync_duration_seconds";
  head(out, name, "histogram", "Time to write and flush a batch of the log.");
  write_durations(out, name, "", node.flush_times());
  name = "etcd_disk_backend_commit_duration_seconds";
  head(out, name, "histogram", "Time to write the state to disk; the log is cut behind it.");
  write_durations(out, name, "", node.state_flush_times());
  const auto log = node.log_stats();
  head(out, "quorate_log_live_bytes", "gauge", "Bytes of the log that a restart would read.");
  fmt::format_to(std::back_inserter(out), "quorate_log_live_bytes {}\n", log.live_bytes);
  head(out, "quorate_log_segments", "gauge", "Files of the log, those kept for reuse included.");
  fmt::format_to(std::back_inserter(out), "quorate_log_segments {}\n", log.segments);

  head(out, "quorate_bytes_on_disk", "gauge", "Bytes of log and state, of all keyspaces of the node.");
  fmt::format_to(std::back_inserter(out), "quorate_bytes_on_disk {}\n", node.bytes_on_disk());
  head(out, "quorate_low_on_space", "gauge", "1 if the disk is so full that the node takes nothing new.");
  fmt::format_to(std::back_inserter(out), "quorate_low_on_space {}\n", node.low_on_space() ? 1 : 0);

  const auto peers = node.peers();
  write_per_peer(out, peers, "etcd_network_active_peers", "gauge", "Whether a connection to the peer stands.",
                 [](const Peer& peer) { return peer.connected ? 1 : 0; });
  write_per_peer(out, peers, "etcd_network_peer_sent_bytes_total", "counter", "Bytes sent to the peer.",
                 [](const Peer& peer) { return peer.traffic.sent_bytes; });
  write_per_peer(out, peers, "etcd_network_peer_received_bytes_total", "counter",
                 "Bytes received from the peer.",
                 [](const Peer& peer) { return peer.traffic.received_bytes; });
  write_per_peer(out, peers, "etcd_network_peer_sent_failures_total", "counter",
                 "Messages dropped: the peer was not connected, or too much waited for it.",
                 [](const Peer& peer) { return peer.traffic.dropped_frames; });
  write_per_peer(out, peers, "quorate_peer_round_trip_seconds", "gauge",
                 "The last measured time to the peer and back.",
                 [](const Peer& peer) { return static_cast<double>(peer.round_trip.count()) / 1e6; });
  name = "etcd_network_peer_round_trip_time_seconds";
  head(out, name, "histogram", "Times to the peer and back.");
  for (const auto& peer : peers)
    write_durations(out, name, fmt::format("To=\"{:x}\"", peer.id.value), peer.round_trips);

  head(out, "quorate_keyspace_info", "gauge", "The keyspace this port serves.");
  fmt::format_to(std::back_inserter(out), "quorate_keyspace_info{{name=\"{}\",protocol=\"{}\"}} 1\n",
                 keyspace.name(), keyspace.protocol_name());
}

}  // namespace quorate::server
