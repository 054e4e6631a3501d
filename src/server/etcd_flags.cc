#include "server/etcd_flags.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

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
  const std::string unit(end, text.data() + text.size());
  const auto bad = wrong("--auto-compaction-retention",
                         "'" + text +
                             "' must be a number (hours, or revisions with --auto-compaction-mode=revision) "
                             "or a duration such as 30m or 10h");
  if (error != std::errc() || count < 0) return bad;
  constexpr std::int64_t longest = 1'000'000;  // hours: what a Duration holds
  if (flags.auto_compaction_mode == "revision") {
    if (!unit.empty()) return bad;
    keyspace.compaction_revisions = count;
  } else if (flags.auto_compaction_mode == "periodic") {
    if (count > longest) return bad;
    if (unit.empty() || unit == "h")
      keyspace.compaction_period = std::chrono::hours(count);
    else if (unit == "m")
      keyspace.compaction_period = std::chrono::minutes(count);
    else if (unit == "s")
      keyspace.compaction_period = std::chrono::seconds(count);
    else
      return bad;
  } else {
    return wrong("--auto-compaction-mode", "must be periodic or revision");
  }
  return {};
}

Or<Keyspace> keyspace_of(const EtcdFlags& flags) {
  Keyspace keyspace;
  keyspace.name = "default";
  keyspace.protocol = flags.protocol;
  auto listen = addresses("--listen-client-urls", flags.listen_client_urls);
  if (!listen) return std::unexpected(listen.error());
  const bool tls = std::ranges::any_of(*listen, &net::Address::tls);
  keyspace.listen = std::move(*listen);
  auto advertised =
      addresses("--advertise-client-urls",
                flags.advertise_client_urls.empty() ? flags.listen_client_urls : flags.advertise_client_urls);
  if (!advertised) return std::unexpected(advertised.error());
  keyspace.client_urls = urls_of(*advertised);
  constexpr std::uint64_t longest = 50'000;  // ms, as etcd
  if (flags.heartbeat_interval > longest || flags.election_timeout > longest) {
    return wrong(flags.heartbeat_interval > longest ? "--heartbeat-interval" : "--election-timeout",
                 "must be at most " + std::to_string(longest) + " ms");
  }
  if (flags.heartbeat_interval != 0) keyspace.heartbeat = std::chrono::milliseconds(flags.heartbeat_interval);
  if (flags.election_timeout != 0)
    keyspace.election_timeout = std::chrono::milliseconds(flags.election_timeout);
  if (keyspace.election_timeout < 3 * keyspace.heartbeat) {
    return wrong("--election-timeout", "must be at least three times --heartbeat-interval");
  }
  keyspace.quota = quota_of(flags.quota_backend_bytes);
  if (flags.snapshot_count != 0) keyspace.flush_after_entries = flags.snapshot_count;
  if (tls) {
    keyspace.tls = {flags.cert_file, flags.key_file, flags.client_cert_auth ? flags.trusted_ca_file : ""};
    if (flags.cert_file.empty() || flags.key_file.empty()) {
      return wrong("--listen-client-urls", "https needs --cert-file and --key-file");
    }
  }
  if (auto set = set_compaction(flags, keyspace); !set) return std::unexpected(set.error());
  return keyspace;
}

}  // namespace

std::expected<Config, std::string> from_etcd_flags(const EtcdFlags& flags) {
  Config config;
  config.source = "flags";
  config.cluster = flags.initial_cluster_token;
  config.name = flags.name;
  config.data = flags.data_dir.empty() ? flags.name + ".etcd" : flags.data_dir;
  config.log_level = flags.log_level;
  if (flags.initial_cluster_state != "new" && flags.initial_cluster_state != "existing") {
    return wrong("--initial-cluster-state", "must be new or existing");
  }
  config.join = flags.initial_cluster_state == "existing";
  auto listen = addresses("--listen-peer-urls", flags.listen_peer_urls);
  if (!listen) return std::unexpected(listen.error());
  const bool own = !flags.peer_cert_file.empty() && !flags.peer_key_file.empty();
  if (std::ranges::any_of(*listen, &net::Address::tls) && !own) {
    return wrong("--listen-peer-urls", "https needs --peer-cert-file and --peer-key-file");
  }
  if (flags.peer_client_cert_auth && flags.peer_trusted_ca_file.empty()) {
    return wrong("--peer-client-cert-auth", "needs --peer-trusted-ca-file");
  }
  config.peer_tls = {flags.peer_cert_file, flags.peer_key_file, flags.peer_trusted_ca_file,
                     flags.peer_client_cert_auth};
  config.listen_peers = std::move(*listen);
  if (auto set = set_members(flags, config); !set) return std::unexpected(set.error());
  auto keyspace = keyspace_of(flags);
  if (!keyspace) return std::unexpected(keyspace.error());
  config.keyspaces.push_back(std::move(*keyspace));
  return config;
}

}  // namespace quorate::server
