#include "server/etcd_flags.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>
#include <vector>

#include "server/go_duration.h"

namespace quorate::server {
namespace {

using Words = std::vector<std::string>;
template <class T>
using Or = std::expected<T, std::string>;

Words split(const std::string& text, char separator) {
  Words words;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find(separator, begin), text.size());
    if (end != begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::unexpected<std::string> wrong(const std::string& flag, const std::string& why) {
  return std::unexpected(one_line(flag + ": " + why));
}

std::string data_directory(const EtcdFlags& flags) {
  return flags.data_dir.empty() ? flags.name + ".etcd" : flags.data_dir;
}

Or<std::vector<net::Address>> addresses(const std::string& flag, const std::string& urls) {
  std::vector<net::Address> all;
  for (const auto& url : split(urls, ',')) {
    auto address = net::parse_address(url);
    if (!address) return wrong(flag, address.error());
    all.push_back(std::move(*address));
  }
  if (all.empty()) return wrong(flag, "needs at least one URL such as http://127.0.0.1:2379");
  return all;
}

Words urls_of(const std::vector<net::Address>& all) {
  Words urls;
  for (const auto& address : all) urls.push_back(net::to_url(address));
  std::ranges::sort(urls);
  return urls;
}

// name=url,name=url,...; a name may come several times, with one URL each.
Or<std::map<std::string, Words>> parse_cluster(const std::string& text) {
  std::map<std::string, Words> members;
  for (const auto& pair : split(text, ',')) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return wrong("--initial-cluster", "'" + pair + "' must be NAME=URL");
    }
    auto address = net::parse_address(pair.substr(equals + 1));
    if (!address) return wrong("--initial-cluster", address.error());
    members[pair.substr(0, equals)].push_back(net::to_url(*address));
  }
  for (auto& [name, urls] : members) std::ranges::sort(urls);
  return members;
}

Or<void> set_members(const EtcdFlags& flags, Config& config) {
  auto own = addresses("--initial-advertise-peer-urls", flags.initial_advertise_peer_urls);
  if (!own) return std::unexpected(own.error());
  config.peer_urls = urls_of(*own);
  auto members = parse_cluster(flags.initial_cluster.empty() ? flags.name + "=" + config.peer_urls.front()
                                                             : flags.initial_cluster);
  if (!members) return std::unexpected(members.error());
  const auto self = members->find(flags.name);
  if (self == members->end()) {
    return wrong("--initial-cluster", "does not hold this node's --name '" + flags.name + "'");
  }
  if (!flags.initial_cluster.empty() && self->second != config.peer_urls) {
    return wrong("--initial-cluster", "has '" + flags.name + "' at " + self->second.front() +
                                          ", but --initial-advertise-peer-urls says " +
                                          config.peer_urls.front());
  }
  for (const auto& [name, urls] : *members) {
    config.members[node_id(config.cluster, urls)] = {.name = name, .peer_urls = urls, .client_urls = {}};
  }
  if (config.members.size() != members->size())
    return wrong("--initial-cluster", "two members have the same URLs");
  if (!config.join) config.id = node_id(config.cluster, config.peer_urls);
  return {};
}

Or<void> set_compaction(const EtcdFlags& flags, Keyspace& keyspace) {
  const std::string& text = flags.auto_compaction_retention;
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool number = error == std::errc() && end == text.data() + text.size() && count >= 0;
  const auto duration = parse_go_duration(text);
  if (flags.auto_compaction_mode == "revision" && number) {
    keyspace.compaction_revisions = count;
  } else if (flags.auto_compaction_mode == "periodic" && number && count < 1'000'000) {
    keyspace.compaction_period = std::chrono::hours(count);
  } else if (flags.auto_compaction_mode == "periodic" && duration) {
    keyspace.compaction_period = *duration;
  } else if (flags.auto_compaction_mode != "revision" && flags.auto_compaction_mode != "periodic") {
    return wrong("--auto-compaction-mode", "must be periodic or revision");
  } else {
    return wrong("--auto-compaction-retention",
                 "'" + text +
                     "' must be a number (hours, or revisions with --auto-compaction-mode=revision) "
                     "or a duration such as 30m or 1h30m");
  }
  return {};
}

// A heartbeat that comes alone brings the election time-out with it, in the ratio of etcd's defaults, which
// are longer than ours.
Or<void> set_timing(const EtcdFlags& flags, Keyspace& keyspace) {
  constexpr std::uint64_t longest = 50'000;  // ms, as etcd
  if (flags.heartbeat_interval > longest || flags.election_timeout > longest) {
    return wrong(flags.heartbeat_interval > longest ? "--heartbeat-interval" : "--election-timeout",
                 "must be at most " + std::to_string(longest) + " ms");
  }
  if (flags.heartbeat_interval != 0) {
    keyspace.heartbeat = std::chrono::milliseconds(flags.heartbeat_interval);
    keyspace.election_timeout = std::max<Duration>(keyspace.election_timeout, 10 * keyspace.heartbeat);
  }
  if (flags.election_timeout != 0)
    keyspace.election_timeout = std::chrono::milliseconds(flags.election_timeout);
  if (keyspace.election_timeout < 3 * keyspace.heartbeat) {
    return wrong("--election-timeout", "must be at least three times --heartbeat-interval");
  }
  return {};
}

Or<void> set_duration(const char* flag, const std::string& text, Duration& to) {
  const auto parsed = parse_go_duration(text);
  if (!parsed) return wrong(flag, "'" + text + "' must be a duration such as 5s, 10m or 2h");
  to = *parsed;
  return {};
}

Or<void> set_limits(const EtcdFlags& flags, Keyspace& keyspace) {
  if (flags.max_request_bytes < 1024 || flags.max_request_bytes > largest_request_bytes) {
    return wrong("--max-request-bytes", "must be from 1024 to " + std::to_string(largest_request_bytes));
  }
  keyspace.max_request_bytes = flags.max_request_bytes;
  if (flags.max_txn_ops == 0 || flags.max_txn_ops > 1'000'000) {
    return wrong("--max-txn-ops", "must be from 1 to 1000000");
  }
  keyspace.max_txn_ops = static_cast<std::uint32_t>(flags.max_txn_ops);
  if (flags.max_concurrent_streams == 0 || flags.max_concurrent_streams > UINT32_MAX) {
    return wrong("--max-concurrent-streams", "must be from 1 to " + std::to_string(UINT32_MAX));
  }
  keyspace.max_concurrent_streams = static_cast<std::uint32_t>(flags.max_concurrent_streams);
  keyspace.gateway = flags.enable_grpc_gateway;
  keyspace.audit_at_start = flags.initial_corrupt_check;
  if (flags.host_whitelist != "*" && !flags.host_whitelist.empty()) {
    keyspace.hosts = split(flags.host_whitelist, ',');
    if (std::ranges::find(keyspace.hosts, "*") != keyspace.hosts.end()) keyspace.hosts.clear();
  }
  keyspace.cors = split(flags.cors, ',');
  const std::tuple<const char*, const std::string&, Duration&> durations[] = {
      {"--grpc-keepalive-min-time", flags.grpc_keepalive_min_time, keyspace.ping_min_time},
      {"--grpc-keepalive-interval", flags.grpc_keepalive_interval, keyspace.ping_interval},
      {"--grpc-keepalive-timeout", flags.grpc_keepalive_timeout, keyspace.ping_timeout},
      {"--experimental-watch-progress-notify-interval", flags.watch_progress_notify_interval,
       keyspace.progress_interval},
      {"--experimental-corrupt-check-time", flags.corrupt_check_time, keyspace.audit_period}};
  for (const auto& [flag, text, to] : durations) {
    if (auto set = set_duration(flag, text, to); !set) return set;
  }
  if (keyspace.progress_interval < 100ms) {
    return wrong("--experimental-watch-progress-notify-interval", "must be at least 100ms");
  }
  return {};
}

Or<std::optional<tls::Settings>> versions_and_ciphers(const EtcdFlags& flags, tls::Settings settings) {
  settings.ciphers = split(flags.cipher_suites, ',');
  for (const auto& cipher : settings.ciphers) {
    if (!tls::known_cipher(cipher)) return wrong("--cipher-suites", "'" + cipher + "' is no cipher suite");
  }
  for (const auto& [flag, text, to] :
       {std::tuple("--tls-min-version", flags.tls_min_version, &settings.lowest),
        std::tuple("--tls-max-version", flags.tls_max_version, &settings.highest)}) {
    if (text.empty()) continue;
    const auto version = tls::parse_version(text);
    if (!version) return wrong(flag, "must be TLS1.2 or TLS1.3");
    *to = *version;
  }
  return settings;
}

// As etcd has it: a trusted CA is for checking certificates, so clients must then show one.
Or<std::optional<tls::Settings>> tls_of(const EtcdFlags& flags, const EtcdFlags::Tls& files,
                                        const std::string& prefix, const std::string& made_in) {
  tls::Settings settings;
  settings.names = {
      .certificate = prefix + "cert-file", .key = prefix + "key-file", .ca = prefix + "trusted-ca-file"};
  if (files.cert_file.empty() && files.key_file.empty() && files.automatic) {
    if (files.client_cert_auth || !files.trusted_ca_file.empty()) {
      return wrong(prefix + "auto-tls",
                   "makes a certificate that nobody signed: to check those of others, name " +
                       settings.names.certificate + " and " + settings.names.key);
    }
    settings.verify = false;
    settings.certificate = made_in + "/cert.pem";
    settings.key = made_in + "/key.pem";
    return versions_and_ciphers(flags, std::move(settings));
  }
  if (files.cert_file.empty() && files.key_file.empty()) {
    if (!files.client_cert_auth) return std::nullopt;
    return wrong(prefix + "client-cert-auth",
                 "needs " + settings.names.certificate + " and " + settings.names.key);
  }
  // The system's CAs sign for everybody.
  if (files.client_cert_auth && files.trusted_ca_file.empty()) {
    return wrong(prefix + "client-cert-auth", "needs " + settings.names.ca);
  }
  if (files.cert_file.empty() || files.key_file.empty()) {
    return wrong(settings.names.certificate, "goes together with " + settings.names.key);
  }
  if (!files.allowed_cn.empty() && !files.allowed_hostname.empty()) {
    return wrong(prefix + "cert-allowed-cn", "does not go together with " + prefix + "cert-allowed-hostname");
  }
  settings.certificate = files.cert_file;
  settings.key = files.key_file;
  settings.ca = files.trusted_ca_file;
  settings.crl = files.crl_file;
  settings.allowed_cn = files.allowed_cn;
  settings.allowed_host = files.allowed_hostname;
  settings.verify = files.client_cert_auth || !files.trusted_ca_file.empty();
  return versions_and_ciphers(flags, std::move(settings));
}

Or<Keyspace> keyspace_of(const EtcdFlags& flags) {
  Keyspace keyspace;
  keyspace.name = "default";
  keyspace.protocol = flags.protocol;
  auto listen = addresses("--listen-client-urls", flags.listen_client_urls);
  if (!listen) return std::unexpected(listen.error());
  keyspace.listen = std::move(*listen);
  auto advertised =
      addresses("--advertise-client-urls",
                flags.advertise_client_urls.empty() ? flags.listen_client_urls : flags.advertise_client_urls);
  if (!advertised) return std::unexpected(advertised.error());
  keyspace.client_urls = urls_of(*advertised);
  if (auto set = set_timing(flags, keyspace); !set) return std::unexpected(set.error());
  keyspace.quota = quota_of(flags.quota_backend_bytes);
  if (flags.snapshot_count != 0) keyspace.flush_after_entries = flags.snapshot_count;
  const std::string made_in = data_directory(flags) + "/fixtures/client";  // where etcd keeps them
  auto tls = tls_of(flags, flags.client_tls, "--", made_in);
  if (!tls) return std::unexpected(tls.error());
  keyspace.tls = std::move(*tls);
  if (keyspace.tls && keyspace.tls->certificate == made_in + "/cert.pem") keyspace.make_certificate = made_in;
  if (!flags.listen_metrics_urls.empty()) {
    auto metrics = addresses("--listen-metrics-urls", flags.listen_metrics_urls);
    if (!metrics) return std::unexpected(metrics.error());
    keyspace.listen_metrics = std::move(*metrics);
  }
  for (const auto* listening : {&keyspace.listen, &keyspace.listen_metrics}) {
    if (!keyspace.tls && std::ranges::any_of(*listening, &net::Address::tls)) {
      return wrong(listening == &keyspace.listen ? "--listen-client-urls" : "--listen-metrics-urls",
                   "https needs --cert-file and --key-file, or --auto-tls");
    }
  }
  if (auto set = set_limits(flags, keyspace); !set) return std::unexpected(set.error());
  if (auto set = set_compaction(flags, keyspace); !set) return std::unexpected(set.error());
  return keyspace;
}

Or<void> set_peer_tls(const EtcdFlags& flags, Config& config) {
  const std::string made_in = config.data + "/fixtures/peer";
  auto tls = tls_of(flags, flags.peer_tls, "--peer-", made_in);
  if (!tls) return std::unexpected(tls.error());
  config.peer_tls = std::move(*tls);
  if (config.peer_tls && config.peer_tls->certificate == made_in + "/cert.pem")
    config.make_peer_certificate = made_in;
  if (config.peer_tls) return {};
  if (std::ranges::any_of(config.listen_peers, &net::Address::tls)) {
    return wrong("--listen-peer-urls",
                 "https needs --peer-cert-file and --peer-key-file, or --peer-auto-tls");
  }
  for (const auto& [id, info] : config.members) {
    if (std::ranges::any_of(info.peer_urls, [](const auto& url) { return url.starts_with("https:"); })) {
      return wrong("--initial-cluster", "'" + info.name +
                                            "' has an https URL, which needs --peer-cert-file and "
                                            "--peer-key-file, or --peer-auto-tls");
    }
  }
  return {};
}

// Certificates do not make an http URL secure.
void note_plain_text(Config& config) {
  const auto note = [&](bool tls, const std::vector<net::Address>& listen, const char* files,
                        const char* flag) {
    if (!tls || std::ranges::all_of(listen, &net::Address::tls)) return;
    config.notes.push_back(std::string(files) + " does not cover the http URLs of " + flag +
                           ": they are plain text");
  };
  const Keyspace& keyspace = config.keyspaces.front();
  note(keyspace.tls.has_value(), keyspace.listen, "--cert-file", "--listen-client-urls");
  note(config.peer_tls.has_value(), config.listen_peers, "--peer-cert-file", "--listen-peer-urls");
}

}  // namespace

std::expected<Config, std::string> from_etcd_flags(const EtcdFlags& flags) {
  Config config;
  config.source = "flags";
  config.cluster = flags.initial_cluster_token;
  config.name = flags.name;
  config.data = data_directory(flags);
  config.log_directory = flags.wal_dir;
  config.log_level = flags.log_level;
  if (flags.log_outputs != "default") config.log_outputs = split(flags.log_outputs, ',');
  if (flags.initial_cluster_state != "new" && flags.initial_cluster_state != "existing") {
    return wrong("--initial-cluster-state", "must be new or existing");
  }
  config.join = flags.initial_cluster_state == "existing";
  auto listen = addresses("--listen-peer-urls", flags.listen_peer_urls);
  if (!listen) return std::unexpected(listen.error());
  config.listen_peers = std::move(*listen);
  if (auto set = set_members(flags, config); !set) return std::unexpected(set.error());
  if (auto set = set_peer_tls(flags, config); !set) return std::unexpected(set.error());
  auto keyspace = keyspace_of(flags);
  if (!keyspace) return std::unexpected(keyspace.error());
  config.keyspaces.push_back(std::move(*keyspace));
  note_plain_text(config);
  return config;
}

}  // namespace quorate::server
