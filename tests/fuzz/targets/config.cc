// Configuration: any text as a TOML file, any values of etcd's flags. A configuration that can be run, or one
// line that says what is wrong.
#include "server/config.h"

#include "choices.h"
#include "fuzz.h"
#include "server/etcd_flags.h"

namespace quorate::fuzz {
namespace {

void check(const std::expected<server::Config, std::string>& config, std::string_view source) {
  if (!config) {
    require(!config.error().empty(), "a refusal without a reason");
    require(config.error().starts_with(source), "a refusal that does not name its source: " + config.error());
    require(config.error().find('\n') == std::string::npos, "a refusal of several lines: " + config.error());
    return;
  }
  require(!config->data.empty(), "a node without a place for its data");
  require(!config->members.empty(), "a cluster without members");
  require(!config->keyspaces.empty(), "a node without a keyspace");
  (void)server::cluster_id(config->cluster, config->members);
  for (const auto& keyspace : config->keyspaces) {
    require(keyspace.heartbeat > Duration::zero(), "a heartbeat of no time");
    require(keyspace.election_timeout > keyspace.heartbeat, "an election time-out below the heartbeat");
    require(!keyspace.listen.empty(), "a keyspace without an address");
  }
}

std::string some_text(Choices& choices) {
  static constexpr std::string_view texts[] = {"http://127.0.0.1:2379",
                                               "http://127.0.0.1:2380",
                                               "https://[::1]:1",
                                               "default",
                                               "new",
                                               "existing",
                                               "default=http://127.0.0.1:2380",
                                               "a=http://10.0.0.1:1,b=http://10.0.0.1:2",
                                               "periodic",
                                               "revision",
                                               "1h",
                                               "0",
                                               "1000",
                                               "info",
                                               "raft",
                                               "paxos",
                                               "/",
                                               ""};
  const auto which = choices.byte();
  if (which < 0xc0U) return std::string(texts[which % std::size(texts)]);
  return std::string(choices.text(60));
}

void flags(Choices& choices) {
  server::EtcdFlags flags;
  std::string* const fields[] = {&flags.name,
                                 &flags.data_dir,
                                 &flags.listen_client_urls,
                                 &flags.advertise_client_urls,
                                 &flags.listen_peer_urls,
                                 &flags.initial_advertise_peer_urls,
                                 &flags.initial_cluster,
                                 &flags.initial_cluster_token,
                                 &flags.initial_cluster_state,
                                 &flags.auto_compaction_mode,
                                 &flags.auto_compaction_retention,
                                 &flags.client_tls.cert_file,
                                 &flags.client_tls.key_file,
                                 &flags.client_tls.trusted_ca_file,
                                 &flags.peer_tls.cert_file,
                                 &flags.peer_tls.key_file,
                                 &flags.peer_tls.trusted_ca_file,
                                 &flags.cipher_suites,
                                 &flags.tls_min_version,
                                 &flags.listen_metrics_urls,
                                 &flags.grpc_keepalive_min_time,
                                 &flags.grpc_keepalive_interval,
                                 &flags.host_whitelist,
                                 &flags.cors,
                                 &flags.log_level,
                                 &flags.protocol};
  flags.initial_cluster = "default=http://localhost:2380";
  for (auto n = choices.below(12); n > 0; --n) *fields[choices.below(std::size(fields))] = some_text(choices);
  if (choices.flip()) flags.heartbeat_interval = choices.number();
  if (choices.flip()) flags.election_timeout = choices.number();
  flags.snapshot_count = choices.number();
  flags.client_tls.client_cert_auth = choices.flip();
  const auto config = server::from_etcd_flags(flags);
  check(config, config ? "" : config.error().substr(0, 1));
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(config) {
  using namespace quorate;
  if (!input.empty() && input.front() == '\0') {
    fuzz::Choices choices(input.substr(1));
    return fuzz::flags(choices);
  }
  fuzz::check(server::parse_config(std::string(input), "node.toml", {"raft", "paxos"}), "node.toml");
}
