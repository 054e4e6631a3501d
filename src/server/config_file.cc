// The TOML form of a Config. Every key is known or an error; every error names file, line and key.
#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "server/config.h"
#include "server/section.h"

namespace quorate::server {
namespace {

constexpr const char* needs_certificate = "https needs a table [keyspace.tls] with certificate and key";

tls::Version read_version(Section& section, const std::string& key) {
  const auto text = section.choice(key, "", {"TLS1.2", "TLS1.3"});
  return tls::parse_version(text).value_or(tls::Version::any);
}

// [node.tls] or [keyspace.tls]. `verify`: of who connects here.
tls::Settings read_tls(Section& section, const std::string& name) {
  tls::Settings settings;
  settings.names = {.certificate = name + ".certificate", .key = name + ".key", .ca = name + ".ca"};
  settings.certificate = section.text("certificate", "");
  settings.key = section.text("key", "");
  if (settings.certificate.empty() || settings.key.empty()) {
    section.missing(settings.certificate.empty() ? "certificate" : "key",
                    "certificate and key must both be named");
  }
  settings.ca = section.text("ca", "");
  settings.crl = section.text("crl", "");
  settings.allowed_cn = section.text("allowed_cn", "");
  settings.allowed_host = section.text("allowed_host", "");
  settings.lowest = read_version(section, "min_version");
  settings.highest = read_version(section, "max_version");
  section.for_each_text("ciphers", [&](const toml::node& node, const std::string& cipher) {
    if (!tls::known_cipher(cipher))
      section.fail(node, "ciphers", "\"" + cipher + "\" is no cipher suite (IANA's names)");
    settings.ciphers.push_back(cipher);
  });
  settings.verify = section.flag("require_certificate", !settings.ca.empty());
  if (settings.verify && settings.ca.empty()) {  // the system's CAs sign for everybody
    section.missing("ca", "whose certificates are taken; or say require_certificate = false");
  }
  section.finish();
  return settings;
}

void read_peers(Section& section, Config& config) {
  section.for_each_text("peers", [&](const toml::node& node, const std::string& text) {
    const auto equals = text.find('=');
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + std::min(equals, text.size()), id);
    if (equals == std::string::npos || error != std::errc() || end != text.data() + equals || id == 0) {
      section.fail(node, "peers",
                   "\"" + text + "\" must be ID=HOST:PORT with an ID from 1, such as \"1=127.0.0.1:7001\"");
    }
    auto address = net::parse_address(text.substr(equals + 1));
    if (!address) section.fail(node, "peers", address.error());
    if (config.peer_tls && text.find("://") == std::string::npos) address->tls = true;
    if (address->tls && !config.peer_tls) {
      section.fail(node, "peers",
                   "https needs certificates: a table [node.tls] with certificate, key and ca");
    }
    if (config.members.contains(NodeId(id))) {
      section.fail(node, "peers", "node " + std::to_string(id) + " is there twice");
    }
    for (const auto& [other, info] : config.members) {
      if (info.peer_urls.front() != net::to_url(*address)) continue;
      section.fail(node, "peers",
                   "nodes " + to_string(other) + " and " + std::to_string(id) + " have the same address");
    }
    config.members[NodeId(id)] = {
        .name = "n" + std::to_string(id), .peer_urls = {net::to_url(*address)}, .client_urls = {}};
  });
}

void read_node(Section& section, Config& config) {
  const auto* id = section.find("id");
  config.id = NodeId(section.number("id", 0, 1, INT64_MAX));
  config.join = section.flag("join", false);
  config.data = section.text("data", "");
  if (config.data.empty()) section.missing("data", "the directory that holds the node's state");
  if (auto tls = section.table("tls")) config.peer_tls = read_tls(*tls, "node.tls");
  read_peers(section, config);
  config.listen_peers = section.addresses("listen", config.peer_tls.has_value());
  if (config.id.none() && !config.join) {
    section.missing("id", "a number from 1, the node's own among peers");
  }
  const auto self = config.members.find(config.id);
  if (!config.join && !config.members.empty() && self == config.members.end()) {
    section.fail(*id, "id", "node " + to_string(config.id) + " is not among peers");
  }
  if (config.members.empty()) {
    if (config.join) section.missing("peers", "the members of the cluster to join, as ID=HOST:PORT");
    config.members[config.id] = {.name = "n" + to_string(config.id), .peer_urls = {}, .client_urls = {}};
  }
  const auto& own = config.members.find(config.id);
  if (own != config.members.end()) config.peer_urls = own->second.peer_urls;
  if (const auto told = section.addresses("advertise", config.peer_tls.has_value()); !told.empty()) {
    config.peer_urls.clear();
    for (const auto& address : told) config.peer_urls.push_back(net::to_url(address));
  }
  if (config.listen_peers.empty()) {
    for (const auto& url : config.peer_urls) config.listen_peers.push_back(net::parse_address(url).value());
  }
  if (config.peer_urls.empty()) {
    for (const auto& address : config.listen_peers) config.peer_urls.push_back(net::to_url(address));
  }
  if (config.join && config.peer_urls.empty()) section.missing("listen", "where other nodes reach this one");
  config.name = section.text("name", config.id.none() ? "" : "n" + to_string(config.id));
  config.segment_bytes = section.bytes("log_segment", config.segment_bytes, 1U << 20U);
  config.log_bytes = section.bytes("log_limit", std::max(config.log_bytes, 4 * config.segment_bytes),
                                   4 * config.segment_bytes);
  config.log_directory = section.text("log", "");
  config.repair = section.choice("repair", "auto", {"auto", "refuse"}) == "auto";
  config.memory_bytes = section.bytes("memory", 0, 32U << 20U);
  section.finish();
}

void read_client_limits(Section& section, Keyspace& keyspace) {
  keyspace.max_request_bytes =
      section.bytes("max_request_bytes", keyspace.max_request_bytes, 1024, largest_request_bytes);
  keyspace.max_txn_ops =
      static_cast<std::uint32_t>(section.number("max_txn_ops", keyspace.max_txn_ops, 1, 1'000'000));
  keyspace.max_concurrent_streams = static_cast<std::uint32_t>(
      section.number("max_concurrent_streams", keyspace.max_concurrent_streams, 1, UINT32_MAX));
  keyspace.ping_min_time = section.duration("ping_min_time", keyspace.ping_min_time, 0s, 24h);
  keyspace.ping_interval = section.duration("ping_interval", keyspace.ping_interval, 0s, 1000h);
  keyspace.ping_timeout = section.duration("ping_timeout", keyspace.ping_timeout, 1s, 24h);
  keyspace.progress_interval = section.duration("progress_interval", keyspace.progress_interval, 100ms, 24h);
  keyspace.gateway = section.flag("gateway", true);
  keyspace.hosts = section.texts("hosts");
  keyspace.cors = section.texts("cors");
}

Keyspace read_keyspace(Section& section, const std::vector<std::string>& protocols) {
  Keyspace keyspace;
  keyspace.name = section.text("name", "");
  if (keyspace.name.empty()) section.missing("name", "the same at every node");
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; };
  if (!std::ranges::all_of(keyspace.name, plain) || keyspace.name.size() > 64) {
    section.fail(*section.find("name"), "name", "must be at most 64 letters, digits, '-' and '_'");
  }
  keyspace.protocol = section.choice("protocol", "raft", protocols);
  keyspace.model = section.choice("model", "etcd", {std::begin(known_models), std::end(known_models)});
  if (auto table = section.table("tls")) keyspace.tls = read_tls(*table, "keyspace.tls");
  const bool tls = keyspace.tls.has_value();
  keyspace.listen = section.addresses("listen", tls);
  for (const auto& address : keyspace.listen) {
    if (address.tls && !tls) section.fail(*section.find("listen"), "listen", needs_certificate);
  }
  if (keyspace.listen.empty()) section.missing("listen", "where clients connect, such as \"127.0.0.1:2379\"");
  for (const auto& address : section.addresses("advertise", tls))
    keyspace.client_urls.push_back(net::to_url(address));
  keyspace.listen_metrics = section.addresses("listen_metrics", false);
  for (const auto& address : keyspace.listen_metrics) {
    if (address.tls && !tls)
      section.fail(*section.find("listen_metrics"), "listen_metrics", needs_certificate);
  }
  keyspace.heartbeat = section.duration("heartbeat", keyspace.heartbeat, 1ms, 60s);
  keyspace.election_timeout = section.duration("election_timeout", keyspace.election_timeout, 10ms, 600s);
  if (keyspace.election_timeout < 3 * keyspace.heartbeat) {
    const auto* node = section.raw().get("election_timeout");
    const auto* other = section.raw().get("heartbeat");
    section.fail(
        node ? *node : *other, node ? "election_timeout" : "heartbeat",
        "election_timeout must be at least three times heartbeat, or one lost message costs the leader");
  }
  keyspace.flush_after_entries =
      section.number("flush_after_entries", keyspace.flush_after_entries, 100, 100'000'000);
  keyspace.cache_bytes = section.bytes("cache", keyspace.cache_bytes, 1U << 20U);
  keyspace.compaction_period = section.duration("compaction_period", 0s, 0s, 100'000h);
  keyspace.compaction_revisions =
      static_cast<std::int64_t>(section.number("compaction_revisions", 0, 0, 1'000'000'000'000));
  keyspace.quota = section.quota("quota");
  keyspace.audit_period = section.duration("audit_period", 0s, 0s, 100'000h);
  keyspace.audit_at_start = section.flag("audit_at_start", false);
  read_client_limits(section, keyspace);
  if (keyspace.client_urls.empty()) {
    for (const auto& address : keyspace.listen) keyspace.client_urls.push_back(net::to_url(address));
  }
  section.finish();
  return keyspace;
}

Config read_all(const toml::table& root, const std::string& file, const std::vector<std::string>& protocols) {
  Config config;
  config.source = file;
  Section top(file, "", root);
  config.cluster = top.text("cluster", config.cluster);
  if (config.cluster.find('\n') != std::string::npos)
    top.fail(*top.find("cluster"), "cluster", "must be one line");
  config.log_outputs = top.texts("log_outputs");
  config.log_level = top.choice("log_level", "info", {"debug", "info", "warn", "error"});
  const auto* node = top.find("node");
  if (!node) top.missing("[node]", "a table with id, data and peers");
  if (!node->is_table()) top.fail(*node, "node", "must be a table: [node]");
  Section node_section(file, "node", *node->as_table());
  read_node(node_section, config);

  const auto* keyspaces = top.find("keyspace");
  if (!keyspaces) top.missing("[[keyspace]]", "at least one table with name and listen");
  const auto* array = keyspaces->as_array();
  if (!array) top.fail(*keyspaces, "keyspace", "must be an array of tables: [[keyspace]]");
  for (const auto& element : *array) {
    if (!element.is_table()) top.fail(element, "keyspace", "must be an array of tables: [[keyspace]]");
    Section section(file, "keyspace", *element.as_table());
    Keyspace keyspace = read_keyspace(section, protocols);
    for (const auto& other : config.keyspaces) {
      if (other.name == keyspace.name)
        section.fail(element, "name", "keyspace \"" + keyspace.name + "\" is there twice");
      for (const auto& address : keyspace.listen) {
        if (std::ranges::find(other.listen, address) == other.listen.end()) continue;
        section.fail(element, "listen",
                     to_string(address) + " is also the address of keyspace \"" + other.name + "\"");
      }
    }
    config.keyspaces.push_back(std::move(keyspace));
  }
  top.finish();
  return config;
}

}  // namespace

std::expected<Config, std::string> parse_config(const std::string& text, const std::string& file_name,
                                                const std::vector<std::string>& protocols) {
  try {
    return read_all(toml::parse(text, file_name), file_name, protocols);
  } catch (const toml::parse_error& error) {
    return std::unexpected(file_name + ":" + std::to_string(error.source().begin.line) +
                           ": not valid TOML: " + one_line(std::string(error.description())));
  } catch (const Wrong& wrong) {
    return std::unexpected(one_line(wrong.words));
  }
}

std::expected<Config, std::string> read_config(const std::string& file_name,
                                               const std::vector<std::string>& protocols) {
  std::ifstream file(file_name);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return std::unexpected(file_name +
                           ": cannot be read; name a TOML file that exists (see `quorate serve --help`)");
  }
  return parse_config(text.str(), file_name, protocols);
}

}  // namespace quorate::server
