#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/server_verbs.h"
#include "registry/registry.h"
#include "server/etcd_flags.h"
#include "server/logging.h"
#include "server/server.h"

namespace quorate::cli {
namespace {

const char* const notes = R"(A CONFIGURATION FILE
  cluster = "quorate"                # the cluster's name, the same at every node
  [node]
  id = 1                             # from 1, this node's among peers
  data = "data/n1"                   # directory of log and state
  peers = ["1=10.0.0.1:2380", "2=10.0.0.2:2380", "3=10.0.0.3:2380"]
  listen = "0.0.0.0:2380"            # for peers; by default this node's own entry of peers
  # With https:// in peers and listen, links are encrypted, and certificates checked at both ends:
  # peer_certificate = "n1.pem"  peer_key = "n1.key"  peer_ca = "ca.pem"
  join = false                       # true: join a running cluster, after `quorate member add`
  [[keyspace]]                       # one or more
  name = "config"
  protocol = "raft"                  # see `quorate version`
  model = "etcd"
  listen = "0.0.0.0:2379"            # for clients
  advertise = "10.0.0.1:2379"        # where clients reach it; by default what it listens on
  election_timeout = "180ms"         # heartbeat = "30ms"; longer for distant nodes
  quota = "4GiB"                     # of keys and values, all revisions; by default none; 0: 2 GiB
  compaction_period = "0s"           # forget history older than this; 0: never
  [keyspace.tls]                     # optional: certificate, key, client_ca

SIGNALS
  SIGINT, SIGTERM: hand over leadership, end open requests, stop. A second one: stop at once.

EXIT STATUS
  0 stopped on request   1 could not start or could not go on, the last line of the log says why   2 wrong usage

EXAMPLES
  quorate serve --config node1.toml
  quorate serve --name n0 --data-dir n0.etcd --listen-client-urls http://127.0.0.1:2379 \
      --advertise-client-urls http://127.0.0.1:2379)";

// Flags of etcd that Quorate takes and that change nothing, since there is nothing to change.
constexpr std::pair<const char*, const char*> without_effect[] = {
    {"--wal-dir", "the log is below the data directory"},
    {"--snapshot-catchup-entries", ""},
    {"--max-snapshots", "one state, no snapshot files"},
    {"--max-wals", "segments are reused"},
    {"--max-txn-ops", ""},
    {"--max-request-bytes", ""},
    {"--max-concurrent-streams", ""},
    {"--grpc-keepalive-min-time", ""},
    {"--grpc-keepalive-interval", ""},
    {"--grpc-keepalive-timeout", ""},
    {"--strict-reconfig-check", ""},
    {"--enable-v2", ""},
    {"--enable-grpc-gateway", "it is always on"},
    {"--pre-vote", "it is always on"},
    {"--logger", ""},
    {"--log-outputs", "the log goes to standard error"},
    {"--log-package-levels", ""},
    {"--debug", ""},
    {"--metrics", ""},
    {"--listen-metrics-urls", "metrics are on the clients' port"},
    {"--host-whitelist", ""},
    {"--cors", ""},
    {"--experimental-initial-corrupt-check", ""},
    {"--experimental-corrupt-check-time", ""},
    {"--experimental-compact-hash-check-enabled", ""},
    {"--experimental-watch-progress-notify-interval", ""},
    {"--force-new-cluster", ""},
    {"--unsafe-no-fsync", "what is acknowledged is on disk"},
    {"--backend-batch-interval", ""},
    {"--backend-batch-limit", ""},
    {"--initial-election-tick-advance", ""},
    {"--discovery", ""},
    {"--discovery-srv", ""},
};
constexpr std::string_view refused[] = {"--discovery", "--discovery-srv", "--force-new-cluster"};

std::string environment_name(std::string flag) {  // etcd's: --data-dir is ETCD_DATA_DIR
  std::string name = "ETCD_" + flag.substr(2);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// As Go's flag package does, "-name x" is "--name x".
void double_dashes(std::vector<std::string>& args) {
  for (auto& arg : args) {
    if (arg.size() > 2 && arg[0] == '-' && arg[1] != '-' &&
        std::isalpha(static_cast<unsigned char>(arg[1])) != 0) {
      arg.insert(arg.begin(), '-');
    }
  }
}

class Serve {
 public:
  Serve()
      : app_("Run one node of a cluster, from a configuration file or from etcd's flags.", "quorate serve") {
    app_.footer(notes);
    app_.get_formatter()->column_width(36);
    app_.add_option("--config,-c", file_, "TOML file; see below")->type_name("FILE");
    app_.add_option("--log-format", log_format_, "text (for people) or json (an object a line)")
        ->check(CLI::IsMember({"text", "json"}));
    app_.add_option("--log-level", log_level_, "debug, info, warn or error")
        ->envname("ETCD_LOG_LEVEL")
        ->check(CLI::IsMember({"debug", "info", "warn", "error", "panic", "fatal"}));
    add_etcd_flags();
  }

  int run(std::vector<std::string> args) {
    double_dashes(args);
    std::ranges::reverse(args);  // CLI11 wants them so
    try {
      app_.parse(std::move(args));
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? server::exit_ok : server::exit_usage;
    }
    auto config = configure();
    if (!config) {
      std::fprintf(stderr, "quorate serve: %s\n", config.error().c_str());
      return server::exit_usage;
    }
    server::set_up_logging(config->log_level,
                           log_format_ == "json" ? server::LogFormat::json : server::LogFormat::text);
    return server::run_server(*config);
  }

 private:
  template <class T>
  void etcd_flag(const std::string& name, T& value, const std::string& help, const char* type) {
    etcd_flags_.push_back(app_.add_option(name, value, help)
                              ->type_name(type)
                              ->envname(environment_name(name))
                              ->group("etcd's flags"));
  }

  void add_etcd_flags() {
    etcd_flag("--name", flags_.name, "this member's name", "NAME");
    etcd_flag("--data-dir", flags_.data_dir, "directory of log and state (NAME.etcd)", "DIR");
    etcd_flag("--listen-client-urls", flags_.listen_client_urls, "where to listen for clients", "URLS");
    etcd_flag("--advertise-client-urls", flags_.advertise_client_urls, "where clients reach this member",
              "URLS");
    etcd_flag("--listen-peer-urls", flags_.listen_peer_urls, "where to listen for other members", "URLS");
    etcd_flag("--initial-advertise-peer-urls", flags_.initial_advertise_peer_urls,
              "where members reach this one", "URLS");
    etcd_flag("--initial-cluster", flags_.initial_cluster, "NAME=URL of every first member", "LIST");
    etcd_flag("--initial-cluster-token", flags_.initial_cluster_token, "the cluster's name", "TOKEN");
    etcd_flag("--initial-cluster-state", flags_.initial_cluster_state, "new, or existing: join it", "STATE");
    etcd_flag("--heartbeat-interval", flags_.heartbeat_interval, "milliseconds (30)", "MS");
    etcd_flag("--election-timeout", flags_.election_timeout, "milliseconds (180)", "MS");
    etcd_flag("--snapshot-count", flags_.snapshot_count, "entries applied between flushes of the state", "N");
    etcd_flag("--quota-backend-bytes", flags_.quota_backend_bytes,
              "of keys and values, all kept revisions; 0: 2 GiB, negative: no bound", "BYTES");
    etcd_flag("--auto-compaction-mode", flags_.auto_compaction_mode, "periodic or revision", "MODE");
    etcd_flag("--auto-compaction-retention", flags_.auto_compaction_retention,
              "hours, a duration, or revisions", "N");
    etcd_flag("--cert-file", flags_.cert_file, "TLS certificate for clients", "FILE");
    etcd_flag("--key-file", flags_.key_file, "its key", "FILE");
    etcd_flag("--trusted-ca-file", flags_.trusted_ca_file, "who signs clients' certificates", "FILE");
    etcd_flags_.push_back(
        app_.add_flag("--client-cert-auth", flags_.client_cert_auth, "clients must show a certificate")
            ->group("etcd's flags"));
    etcd_flag("--peer-cert-file", flags_.peer_cert_file, "TLS certificate for other members, both ends",
              "FILE");
    etcd_flag("--peer-key-file", flags_.peer_key_file, "its key", "FILE");
    etcd_flag("--peer-trusted-ca-file", flags_.peer_trusted_ca_file, "who signs members' certificates",
              "FILE");
    etcd_flags_.push_back(app_.add_flag("--peer-client-cert-auth", flags_.peer_client_cert_auth,
                                        "members that dial must show a certificate")
                              ->group("etcd's flags"));
    etcd_flag("--protocol", flags_.protocol, "the consensus protocol (Quorate's own flag)", "NAME");
    for (const auto& [name, why] : without_effect) {
      ignored_.push_back(app_.add_option(name, unused_)->expected(0, 1)->group(""));
    }
  }

  std::expected<server::Config, std::string> configure() {
    std::vector<std::string> protocols;
    for (const auto& protocol : registry::all()) protocols.emplace_back(protocol.name);
    if (!file_.empty()) return from_file(protocols);
    const bool any =
        std::ranges::any_of(etcd_flags_, [](const CLI::Option* option) { return option->count() != 0; });
    if (!any)
      return std::unexpected(
          "name a configuration file (--config FILE) or a member (--name NAME ...); see --help");
    if (std::ranges::find(protocols, flags_.protocol) == protocols.end()) {
      return std::unexpected("--protocol: " + registry::find(flags_.protocol).error());
    }
    flags_.log_level = log_level_ == "panic" || log_level_ == "fatal" ? "error" : log_level_;
    auto config = server::from_etcd_flags(flags_);
    if (!config) return config;
    return note_ignored(std::move(*config));
  }

  std::expected<server::Config, std::string> from_file(const std::vector<std::string>& protocols) {
    for (const auto* option : etcd_flags_) {  // what the environment says gives way to the file
      const bool typed = option->count() != 0 && (option->get_envname().empty() ||
                                                  std::getenv(option->get_envname().c_str()) == nullptr);
      if (typed) return std::unexpected(option->get_name() + " and --config do not go together");
    }
    auto config = server::read_config(file_, protocols);
    if (config && app_.get_option("--log-level")->count() != 0) config->log_level = log_level_;
    return config;
  }

  std::expected<server::Config, std::string> note_ignored(server::Config config) {
    for (std::size_t i = 0; i < ignored_.size(); ++i) {
      const std::string name = without_effect[i].first;
      const std::string why = without_effect[i].second;
      if (ignored_[i]->count() == 0) continue;
      if (std::ranges::find(refused, name) != std::end(refused)) {
        return std::unexpected(name + ": " + (why.empty() ? "not available" : why));
      }
      config.notes.push_back(name + " changes nothing" + (why.empty() ? "" : ": " + why));
    }
    return config;
  }

  CLI::App app_;
  std::string file_;
  std::string log_format_ = "text";
  std::string log_level_ = "info";
  server::EtcdFlags flags_;
  std::vector<CLI::Option*> etcd_flags_;
  std::vector<CLI::Option*> ignored_;
  std::vector<std::string> unused_;
};

}  // namespace

int serve(std::vector<std::string> args) { return Serve().run(std::move(args)); }

}  // namespace quorate::cli
