#include "cli/etcd_options.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace quorate::cli {
namespace {

struct Idle {
  const char* name;
  const char* why;
};

// Taken, and they change nothing, since there is nothing to change.
constexpr Idle without_effect[] = {
    {"--auth-token", "there are no users yet"},
    {"--auth-token-ttl", "there are no users yet"},
    {"--bcrypt-cost", "there are no users yet"},
    {"--backend-batch-interval", "state is flushed by the log's size; see --snapshot-count"},
    {"--backend-batch-limit", "state is flushed by the log's size; see --snapshot-count"},
    {"--backend-bbolt-freelist-type", "there is no bbolt here"},
    {"--experimental-backend-bbolt-freelist-type", "there is no bbolt here"},
    {"--discovery-fallback", "there is no discovery"},
    {"--discovery-proxy", "there is no discovery"},
    {"--discovery-srv-name", "there is no discovery"},
    {"--enable-pprof", "there is no profiler of Go here"},
    {"--enable-v2", "there is no v2 store"},
    {"--v2-deprecation", "there is no v2 store"},
    {"--experimental-enable-v2v3", "there is no v2 store"},
    {"--experimental-compact-hash-check-enabled", "a digest of the state is kept with every write"},
    {"--experimental-compaction-batch-limit", "compaction goes on beside the service"},
    {"--experimental-enable-lease-checkpoint", "leases run by the log's own time"},
    {"--experimental-peer-skip-client-san-verification", "names of a member that dials are not checked"},
    {"--experimental-snapshot-catchup-entries", "what a follower lacks is kept by bytes"},
    {"--snapshot-catchup-entries", "what a follower lacks is kept by bytes"},
    {"--experimental-warning-apply-duration", "the metrics tell how long things take"},
    {"--initial-election-tick-advance", "there are no ticks"},
    {"--log-package-levels", "there is one level; see --log-level"},
    {"--logger", "there is one; see --log-format"},
    {"--max-snapshots", "one state, no snapshot files"},
    {"--max-wals", "segments are reused"},
    {"--metrics", "all of them are always there"},
    {"--pre-vote", "it is always on"},
    {"--proxy-dial-timeout", "there is no proxy mode"},
    {"--proxy-failure-wait", "there is no proxy mode"},
    {"--proxy-read-timeout", "there is no proxy mode"},
    {"--proxy-refresh-interval", "there is no proxy mode"},
    {"--proxy-write-timeout", "there is no proxy mode"},
    {"--socket-reuse-address", "it is always on"},
    {"--socket-reuse-port", "one process serves a port"},
    {"--strict-reconfig-check", "it is always on"},
    {"--unsafe-no-fsync", "what is acknowledged is on disk"},
};

struct Refused {
  const char* name;
  const char* harmless;  // the value that asks for nothing
  const char* instead;
};

// Leaving them out silently would do something else than what was asked for.
constexpr Refused refused[] = {
    {"--discovery", "", "name the members: --initial-cluster"},
    {"--discovery-srv", "", "name the members: --initial-cluster"},
    {"--force-new-cluster", "false", "not available; lost members are removed while a majority lives"},
    {"--proxy", "off", "there is no proxy mode"},
};

std::string environment_name(const std::string& flag) {
  std::string name = "ETCD_" + flag.substr(2);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

void EtcdOptions::keep(CLI::Option* option, const std::string& name) {
  counting_.push_back(option->envname(environment_name(name))->group("etcd's flags"));
}

template <class T>
void EtcdOptions::value(const std::string& name, T& to, const std::string& help, const char* type) {
  keep(app_->add_option(name, to, help)->type_name(type), name);
}

void EtcdOptions::flag(const std::string& name, bool& to, const std::string& help) {
  keep(app_->add_flag(name, to, help), name);
}

void EtcdOptions::add_cluster_flags() {
  value("--name", flags.name, "this member's name", "NAME");
  value("--data-dir", flags.data_dir, "directory of log and state (NAME.etcd)", "DIR");
  value("--wal-dir", flags.wal_dir, "directory of the log, if not below --data-dir", "DIR");
  value("--listen-client-urls", flags.listen_client_urls, "where to listen for clients", "URLS");
  value("--advertise-client-urls", flags.advertise_client_urls, "where clients reach this member", "URLS");
  value("--listen-peer-urls", flags.listen_peer_urls, "where to listen for other members", "URLS");
  value("--listen-metrics-urls", flags.listen_metrics_urls, "where to serve metrics and health alone",
        "URLS");
  value("--initial-advertise-peer-urls", flags.initial_advertise_peer_urls, "where members reach this one",
        "URLS");
  value("--initial-cluster", flags.initial_cluster, "NAME=URL of every first member", "LIST");
  value("--initial-cluster-token", flags.initial_cluster_token, "the cluster's name", "TOKEN");
  value("--initial-cluster-state", flags.initial_cluster_state, "new, or existing: join it", "STATE");
  value("--heartbeat-interval", flags.heartbeat_interval, "milliseconds (30)", "MS");
  value("--election-timeout", flags.election_timeout, "milliseconds (180)", "MS");
  value("--snapshot-count", flags.snapshot_count, "entries applied between flushes of the state", "N");
  value("--quota-backend-bytes", flags.quota_backend_bytes,
        "of keys and values, all kept revisions; 0: 2 GiB, negative: no bound", "BYTES");
  value("--auto-compaction-mode", flags.auto_compaction_mode, "periodic or revision", "MODE");
  value("--auto-compaction-retention", flags.auto_compaction_retention, "hours, a duration, or revisions",
        "N");
  value("--experimental-corrupt-check-time", flags.corrupt_check_time,
        "the whole state is read and checked so often (0s: never)", "TIME");
  flag("--experimental-initial-corrupt-check", flags.initial_corrupt_check, "and before clients are served");
  value("--log-outputs", flags.log_outputs, "stderr, stdout or files", "LIST");
  value("--protocol", flags.protocol, "the consensus protocol (Quorate's own flag)", "NAME");
}

void EtcdOptions::add_limit_flags() {
  value("--max-request-bytes", flags.max_request_bytes, "of one request (1572864)", "N");
  value("--max-txn-ops", flags.max_txn_ops, "operations of one transaction (128)", "N");
  value("--max-concurrent-streams", flags.max_concurrent_streams, "calls in flight on a connection (4096)",
        "N");
  value("--grpc-keepalive-min-time", flags.grpc_keepalive_min_time, "clients may not ping more often (0s)",
        "TIME");
  value("--grpc-keepalive-interval", flags.grpc_keepalive_interval, "silent clients are pinged after (2h)",
        "TIME");
  value("--grpc-keepalive-timeout", flags.grpc_keepalive_timeout, "and given up after (20s)", "TIME");
  value("--experimental-watch-progress-notify-interval", flags.watch_progress_notify_interval,
        "of watchers that ask for progress (10m)", "TIME");
  flag("--enable-grpc-gateway", flags.enable_grpc_gateway, "the JSON gateway (true)");
  value("--host-whitelist", flags.host_whitelist, "names that plain HTTP requests may be addressed to (*)",
        "LIST");
  value("--cors", flags.cors, "origins whose pages may use the gateway (none)", "LIST");
}

void EtcdOptions::add_tls_flags() {
  value("--cert-file", flags.client_tls.cert_file, "TLS certificate for clients", "FILE");
  value("--key-file", flags.client_tls.key_file, "its key", "FILE");
  value("--trusted-ca-file", flags.client_tls.trusted_ca_file, "who signs clients' certificates", "FILE");
  flag("--auto-tls", flags.client_tls.automatic, "TLS for clients with a certificate made on the spot");
  flag("--client-cert-auth", flags.client_tls.client_cert_auth, "clients must show a certificate");
  value("--client-crl-file", flags.client_tls.crl_file, "revoked certificates of clients", "FILE");
  value("--client-cert-allowed-hostname", flags.client_tls.allowed_hostname,
        "a name clients' certificates must be valid for", "NAME");
  value("--peer-cert-file", flags.peer_tls.cert_file, "TLS certificate for other members", "FILE");
  value("--peer-key-file", flags.peer_tls.key_file, "its key", "FILE");
  value("--peer-trusted-ca-file", flags.peer_tls.trusted_ca_file, "who signs members' certificates", "FILE");
  flag("--peer-auto-tls", flags.peer_tls.automatic,
       "TLS between members with certificates made on the spot: encrypted, not authenticated");
  flag("--peer-client-cert-auth", flags.peer_tls.client_cert_auth, "members must show a certificate");
  value("--peer-crl-file", flags.peer_tls.crl_file, "revoked certificates of members", "FILE");
  value("--peer-cert-allowed-cn", flags.peer_tls.allowed_cn, "the CN members' certificates must have",
        "NAME");
  value("--peer-cert-allowed-hostname", flags.peer_tls.allowed_hostname,
        "a name members' certificates must be valid for", "NAME");
  value("--cipher-suites", flags.cipher_suites, "of TLS, by IANA's names", "LIST");
  value("--tls-min-version", flags.tls_min_version, "TLS1.2 or TLS1.3 (TLS1.2)", "VERSION");
  value("--tls-max-version", flags.tls_max_version, "TLS1.2 or TLS1.3", "VERSION");
}

void EtcdOptions::add_to(CLI::App& app) {
  app_ = &app;
  add_cluster_flags();
  add_limit_flags();
  add_tls_flags();
  const auto idle = [&](const char* name) {
    idle_.push_back(
        app.add_option(name, unused_)->expected(0, 1)->group("")->envname(environment_name(name)));
  };
  for (const auto& [name, why] : without_effect) idle(name);
  for (const auto& [name, harmless, instead] : refused) idle(name);
}

void EtcdOptions::ignore_environment() {
  for (const auto& options : {counting_, idle_}) {
    for (auto* option : options) option->envname("");
  }
}

bool EtcdOptions::any() const {
  return std::ranges::any_of(counting_, [](const CLI::Option* option) { return option->count() != 0; });
}

std::string EtcdOptions::typed() const {
  for (const auto* option : counting_) {
    if (option->count() != 0 && std::getenv(option->get_envname().c_str()) == nullptr)
      return option->get_name();
  }
  return {};
}

std::expected<server::Config, std::string> EtcdOptions::configure() const {
  auto config = server::from_etcd_flags(flags);
  if (!config) return config;
  std::size_t at = 0;
  for (const auto& [name, why] : without_effect) {
    if (idle_[at++]->count() != 0) config->notes.push_back(std::string(name) + " changes nothing: " + why);
  }
  for (const auto& [name, harmless, instead] : refused) {
    const auto& given = *idle_[at++];
    const std::string value = given.results().empty() ? "true" : given.results().front();
    if (given.count() != 0 && value != harmless) return std::unexpected(std::string(name) + ": " + instead);
  }
  return config;
}

}  // namespace quorate::cli
