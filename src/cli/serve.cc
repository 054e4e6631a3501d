#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/command.h"
#include "cli/etcd_options.h"
#include "cli/help.h"
#include "cli/server_verbs.h"
#include "registry/registry.h"
#include "server/etcd_yaml.h"
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
  [keyspace.tls]                     # optional, and [node.tls] for links between nodes: certificate, key, ca
  docs/guide/configuration.md tells every key and every flag, docs/guide/tls.md how to make certificates.

ENVIRONMENT
  Each of etcd's flags has its variable: --data-dir is ETCD_DATA_DIR. A typed flag counts for more.

SIGNALS
  SIGINT, SIGTERM: hand over leadership, end open requests, stop. A second one: stop at once.

EXIT STATUS
  0 stopped on request   1 could not start or could not go on, the last line of the log says why   2 wrong usage
  3 the cluster removed this member: its data directory can not be started again

EXAMPLES
  quorate serve --config node1.toml
  quorate serve --name n0 --data-dir n0.etcd --listen-client-urls http://127.0.0.1:2379 \
      --advertise-client-urls http://127.0.0.1:2379)";

// As Go's flag package does, "-name x" is "--name x".
void double_dashes(std::vector<std::string>& args) {
  for (auto& arg : args) {
    if (arg.size() > 2 && arg[0] == '-' && arg[1] != '-' &&
        std::isalpha(static_cast<unsigned char>(arg[1])) != 0) {
      arg.insert(arg.begin(), '-');
    }
  }
}

std::string yaml_file(const std::vector<std::string>& args) {
  static const std::string name = "--config-file";
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (args[i] == name && i + 1 < args.size()) return args[i + 1];
    if (args[i].starts_with(name + "=")) return args[i].substr(name.size() + 1);
  }
  const bool otherwise = std::ranges::any_of(
      args, [](const auto& arg) { return arg.starts_with("--config") || arg == "-c" || arg == "--help"; });
  const char* from_environment = std::getenv("ETCD_CONFIG_FILE");
  return from_environment == nullptr || otherwise ? "" : from_environment;
}

class Serve {
 public:
  Serve()
      : app_("Run one node of a cluster, from a configuration file or from etcd's flags.", "quorate serve") {
    app_.footer(notes);
    app_.formatter(std::make_shared<HelpPage>());
    app_.add_option("--config,-c", file_, "TOML file; see below")->type_name("FILE");
    app_.add_option("--config-file", yaml_, "etcd's YAML file; other flags and the environment do not count")
        ->type_name("FILE")
        ->group("etcd's flags");
    app_.add_option("--log-format", log_format_, "text (for people) or json (an object a line)")
        ->check(CLI::IsMember({"text", "console", "json"}));
    app_.add_option("--log-level", log_level_, "debug, info, warn or error")
        ->envname("ETCD_LOG_LEVEL")
        ->check(CLI::IsMember({"debug", "info", "warn", "error", "panic", "fatal"}));
    app_.add_flag("--debug", debug_, "short for --log-level debug")->envname("ETCD_DEBUG");
    etcd_.add_to(app_);
  }

  int run(std::vector<std::string> args) {
    if (described(app_)) return 0;
    double_dashes(args);
    if (const std::string file = yaml_file(args); !file.empty()) {
      const auto known = [this](const std::string& flag) {
        return app_.get_option_no_throw(flag) != nullptr;
      };
      auto flags = server::read_etcd_yaml(file, known);
      if (!flags) {
        std::fprintf(stderr, "quorate serve: %s\n", flags.error().c_str());
        return server::exit_usage;
      }
      etcd_.ignore_environment();
      args = std::move(*flags);
    }
    if (const auto ended = ended_by_words(app_, std::move(args))) return *ended;
    auto config = configure();
    if (!config) {
      std::fprintf(stderr, "quorate serve: %s\n", config.error().c_str());
      return server::exit_usage;
    }
    const auto format = log_format_ == "json" ? server::LogFormat::json : server::LogFormat::text;
    if (auto set = server::set_up_logging(config->log_level, format, config->log_outputs); !set) {
      std::fprintf(stderr, "quorate serve: %s\n", set.error().c_str());
      return server::exit_failed;
    }
    return server::run_server(*config);
  }

 private:
  std::expected<server::Config, std::string> configure() {
    std::vector<std::string> protocols;
    for (const auto& protocol : registry::all()) protocols.emplace_back(protocol.name);
    if (!file_.empty()) return from_file(protocols);
    if (!etcd_.any()) {
      return std::unexpected(
          "name a configuration file (--config FILE) or a member (--name NAME ...); see --help");
    }
    if (std::ranges::find(protocols, etcd_.flags.protocol) == protocols.end()) {
      return std::unexpected("--protocol: " + registry::find(etcd_.flags.protocol).error());
    }
    etcd_.flags.log_level = log_level();
    return etcd_.configure();
  }

  std::expected<server::Config, std::string> from_file(const std::vector<std::string>& protocols) {
    // What the environment says gives way to the file.
    if (const auto typed = etcd_.typed(); !typed.empty()) {
      return std::unexpected(typed + " and --config do not go together");
    }
    auto config = server::read_config(file_, protocols);
    if (config && (debug_ || app_.get_option("--log-level")->count() != 0)) config->log_level = log_level();
    return config;
  }

  [[nodiscard]] std::string log_level() const {
    if (debug_) return "debug";
    return log_level_ == "panic" || log_level_ == "fatal" ? "error" : log_level_;
  }

  CLI::App app_;
  std::string file_;
  std::string yaml_;
  std::string log_format_ = "text";
  std::string log_level_ = "info";
  bool debug_ = false;
  EtcdOptions etcd_;
};

}  // namespace

int serve(std::vector<std::string> args) { return Serve().run(std::move(args)); }

}  // namespace quorate::cli
