#include "api/etcd/metrics.h"

#include <fstream>

#include <fmt/format.h>
#include <unistd.h>

#include "api/etcd/maintenance.h"

namespace quorate::api::etcd {

namespace {

struct Name {
  std::string_view service, method;
};
Name split(std::string_view path) {  // "/service/method"
  const auto slash = path.rfind('/');
  return {path.substr(1, slash - 1), path.substr(slash + 1)};
}
const char* type_of(const http::Method& method) {
  if (method.client_streams) return "bidi_stream";
  return method.server_streams ? "server_stream" : "unary";
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

void CallMetrics::handled(const http::Method& method, http::Code code, std::chrono::nanoseconds took) {
  auto& m = methods_[method.number];
  ++m.handled[static_cast<std::size_t>(code)];
  if (method.client_streams || method.server_streams) return;  // how long a stream lives says nothing
  const double seconds = std::chrono::duration<double>(took).count();
  std::size_t i = 0;
  while (i < bounds.size() && seconds > bounds[i]) ++i;
  ++m.buckets[i];
  m.sum += took;
}

void CallMetrics::write(std::string& out, const Router& router) const {
  const auto each = [&](auto&& f) {
    for (const auto& endpoint : router.endpoints()) {
      const auto name = split(endpoint->method.path);
      f(fmt::format("grpc_service=\"{}\",grpc_method=\"{}\",grpc_type=\"{}\"", name.service, name.method,
                    type_of(endpoint->method)),
        methods_[endpoint->method.number]);
    }
  };
  auto to = std::back_inserter(out);
  head(out, "grpc_server_started_total", "counter", "RPCs begun.");
  each([&](const std::string& labels, const PerMethod& m) {
    fmt::format_to(to, "grpc_server_started_total{{{}}} {}\n", labels, m.started);
  });
  head(out, "grpc_server_handled_total", "counter", "RPCs ended, by code.");
  each([&](const std::string& labels, const PerMethod& m) {
    for (std::size_t code = 0; code < m.handled.size(); ++code) {
      if (code != 0 && m.handled[code] == 0) continue;
      fmt::format_to(to, "grpc_server_handled_total{{{},grpc_code=\"{}\"}} {}\n", labels,
                     http::to_string(static_cast<http::Code>(code)), m.handled[code]);
    }
  });
  head(out, "grpc_server_handling_seconds", "histogram",
       "Time from the head of a unary request to its answer.");
  each([&](const std::string& labels, const PerMethod& m) {
    if (m.started == 0) return;
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      cumulative += m.buckets[i];
      fmt::format_to(to, "grpc_server_handling_seconds_bucket{{{},le=\"{}\"}} {}\n", labels, bounds[i],
                     cumulative);
    }
    cumulative += m.buckets.back();
    fmt::format_to(to, "grpc_server_handling_seconds_bucket{{{},le=\"+Inf\"}} {}\n", labels, cumulative);
    fmt::format_to(to, "grpc_server_handling_seconds_sum{{{}}} {}\n", labels,
                   std::chrono::duration<double>(m.sum).count());
    fmt::format_to(to, "grpc_server_handling_seconds_count{{{}}} {}\n", labels, cumulative);
  });
}

void write_metric(std::string& out, std::string_view name, std::string_view type, std::string_view help,
                  double value) {
  head(out, name, type, help);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

void write_server_metrics(std::string& out, Core& core) {
  auto& backend = core.backend();
  const auto status = backend.status();
  const auto store = core.model().statistics();
  const auto number = [](auto n) { return static_cast<double>(n); };
  write_metric(out, "etcd_server_has_leader", "gauge", "1 if a leader is known.",
               status.leader.none() ? 0 : 1);
  write_metric(out, "quorate_rejoining", "gauge",
               "1 if this member's log was damaged and it has not got back from the others what it lost.",
               status.rejoining ? 1 : 0);
  write_metric(out, "etcd_server_is_leader", "gauge", "1 if this member leads.", status.is_leader ? 1 : 0);
  write_metric(out, "etcd_server_is_learner", "gauge", "1 if this member is a learner.",
               backend.head().learner ? 1 : 0);
  write_metric(out, "etcd_server_leader_changes_seen_total", "counter",
               "Leader changes seen since the start.", number(core.counters.leader_changes));
  write_metric(out, "etcd_server_proposals_committed_total", "gauge", "Highest committed index.",
               number(status.committed.value));
  write_metric(out, "etcd_server_proposals_applied_total", "gauge", "Highest applied index.",
               number(status.applied.value));
  write_metric(out, "etcd_server_proposals_pending", "gauge", "Operations without an outcome.",
               number(status.pending));
  write_metric(out, "etcd_server_proposals_failed_total", "counter", "Operations that failed.",
               number(core.counters.proposals_failed));
  write_metric(out, "etcd_server_quota_backend_bytes", "gauge", "The quota; 0: there is none.",
               number(backend.quota()));
  head(out, "etcd_server_version", "gauge", "1, the version is the label.");
  fmt::format_to(std::back_inserter(out), "etcd_server_version{{server_version=\"{}\"}} 1\n", server_version);
  head(out, "etcd_server_id", "gauge", "1, the member's id in hexadecimal is the label.");
  fmt::format_to(std::back_inserter(out), "etcd_server_id{{server_id=\"{:x}\"}} 1\n", status.self.value);
  write_metric(out, "etcd_mvcc_db_total_size_in_bytes", "gauge",
               "Bytes of keys and values in all kept revisions: what the quota is of.", number(store.bytes));
  write_metric(out, "etcd_mvcc_db_total_size_in_use_in_bytes", "gauge", "The same.", number(store.bytes));
  write_metric(out, "etcd_debugging_mvcc_current_revision", "gauge", "Revision of the store.",
               number(store.revision));
  write_metric(out, "etcd_debugging_mvcc_compact_revision", "gauge", "Compacted revision.",
               number(store.compact_revision));
  write_metric(out, "etcd_debugging_mvcc_keys_total", "gauge", "Live keys.", number(store.keys));
  write_metric(out, "etcd_debugging_mvcc_watcher_total", "gauge", "Watchers.", number(store.watchers));
  write_metric(out, "etcd_debugging_mvcc_watch_stream_total", "gauge", "Watch streams.",
               number(core.counters.watch_streams));
  write_metric(out, "etcd_debugging_mvcc_events_total", "counter", "Events sent to watchers.",
               number(core.counters.watch_events));
  write_metric(out, "etcd_debugging_lease_granted_total", "gauge", "Leases alive.", number(store.leases));
  write_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
  backend.write_metrics(out);
}

}  // namespace quorate::api::etcd
