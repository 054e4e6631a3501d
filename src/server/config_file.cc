// The TOML form of a Config. Every key is known or an error; every error names file, line and key.
#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "server/config.h"

namespace quorate::server {
namespace {

struct Wrong {  // thrown and caught within this file only
  std::string words;
};

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::size_t distance(std::string_view a, std::string_view b) {  // Levenshtein's
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// A table of the file that remembers which keys were asked for: what is left over is unknown.
class Section {
 public:
  Section(std::string file, std::string name, const toml::table& table)
      : file_(std::move(file)), name_(std::move(name)), table_(&table) {}

  [[noreturn]] void fail(const toml::node& at, const std::string& key, const std::string& why) const {
    throw Wrong{file_ + ":" + std::to_string(at.source().begin.line) + ": " + path(key) + ": " + why};
  }
  [[noreturn]] void missing(const std::string& key, const std::string& what) const {
    throw Wrong{file_ + ":" + std::to_string(table_->source().begin.line) + ": " + path(key) +
                " is missing: " + what};
  }

  const toml::node* find(const std::string& key) {
    if (std::ranges::find(known_, key) == known_.end()) known_.push_back(key);
    return table_->get(key);
  }
  std::string text(const std::string& key, const std::string& fallback) {
    const auto* node = find(key);
    return node ? string_of(*node, key) : fallback;
  }
  std::string choice(const std::string& key, const std::string& fallback,
                     const std::vector<std::string>& allowed) {
    const auto* node = find(key);
    if (!node) return fallback;
    const std::string value = string_of(*node, key);
    if (std::ranges::find(allowed, value) == allowed.end()) {
      fail(*node, key, "unknown value \"" + value + "\"; allowed: " + joined(allowed));
    }
    return value;
  }
  bool flag(const std::string& key, bool fallback) {
    const auto* node = find(key);
    if (!node) return fallback;
    if (!node->is_boolean()) fail(*node, key, "must be true or false");
    return **node->as_boolean();
  }
  std::uint64_t number(const std::string& key, std::uint64_t fallback, std::uint64_t low,
                       std::uint64_t high) {
    const auto* node = find(key);
    if (!node) return fallback;
    const bool in_range = node->is_integer() && **node->as_integer() >= 0 &&
                          static_cast<std::uint64_t>(**node->as_integer()) >= low &&
                          static_cast<std::uint64_t>(**node->as_integer()) <= high;
    if (!in_range) {
      fail(*node, key, "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    }
    return static_cast<std::uint64_t>(**node->as_integer());
  }
  Duration duration(const std::string& key, Duration fallback, Duration low, Duration high) {
    const auto* node = find(key);
    if (!node) return fallback;
    const auto value = node->is_string() ? parse_duration(**node->as_string()) : std::nullopt;
    if (!value || *value < low || *value > high) {
      fail(*node, key,
           "must be a duration such as \"150ms\", \"2s\", \"5m\" or \"1h\", from " + words(low) + " to " +
               words(high));
    }
    return *value;
  }
  std::uint64_t bytes(const std::string& key, std::uint64_t fallback, std::uint64_t low) {
    const auto* node = find(key);
    if (!node) return fallback;
    std::optional<std::uint64_t> value;
    if (node->is_integer() && **node->as_integer() >= 0)
      value = static_cast<std::uint64_t>(**node->as_integer());
    if (node->is_string()) value = parse_bytes(**node->as_string());
    if (!value || *value < low) {
      fail(*node, key,
           "must be a size such as 67108864 or \"64MiB\", at least " + std::to_string(low) + " bytes");
    }
    return *value;
  }
  std::uint64_t quota(const std::string& key) {  // none where nothing is said
    const auto* node = table_->get(key);
    if (node && node->is_integer() && **node->as_integer() <= 0) {
      find(key);
      return quota_of(**node->as_integer());
    }
    return bytes(key, 0, 1U << 20U);
  }
  std::vector<net::Address> addresses(const std::string& key) {
    std::vector<net::Address> all;
    for_each_text(key, [&](const toml::node& node, const std::string& text) {
      auto address = net::parse_address(text);
      if (!address) fail(node, key, address.error());
      all.push_back(std::move(*address));
    });
    return all;
  }
  template <class Use>
  void for_each_text(const std::string& key, Use&& use) {  // a string, or an array of them
    const auto* node = find(key);
    if (!node) return;
    if (node->is_string()) return use(*node, **node->as_string());
    const auto* array = node->as_array();
    if (!array) fail(*node, key, "must be a string or an array of strings");
    for (const auto& element : *array) use(element, string_of(element, key));
  }
  void finish() const {
    for (const auto& [key, node] : *table_) {
      const std::string name(key.str());
      if (std::ranges::find(known_, name) != known_.end()) continue;
      const auto nearest =
          std::ranges::min_element(known_, {}, [&](const auto& k) { return distance(k, name); });
      std::string hint;
      if (nearest != known_.end() && distance(*nearest, name) <= 2)
        hint = " (did you mean " + *nearest + "?)";
      throw Wrong{file_ + ":" + std::to_string(key.source().begin.line) + ": " + path(name) +
                  ": unknown key" + hint + "; allowed: " + joined(known_)};
    }
  }
  [[nodiscard]] const toml::table& table() const { return *table_; }

 private:
  [[nodiscard]] std::string path(const std::string& key) const {
    return name_.empty() ? key : name_ + "." + key;
  }
  std::string string_of(const toml::node& node, const std::string& key) const {
    if (!node.is_string()) fail(node, key, "must be a string in quotes");
    return **node.as_string();
  }
  static std::optional<Duration> parse_duration(const std::string& text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string unit(end, text.data() + text.size());
    if (error != std::errc() || count < 0 || count > 1'000'000) return std::nullopt;
    if (unit == "ms") return std::chrono::milliseconds(count);
    if (unit == "s") return std::chrono::seconds(count);
    if (unit == "m") return std::chrono::minutes(count);
    if (unit == "h") return std::chrono::hours(count);
    return std::nullopt;
  }
  static std::optional<std::uint64_t> parse_bytes(const std::string& text) {
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string unit(end, text.data() + text.size());
    if (error != std::errc() || count > (1U << 30U)) return std::nullopt;
    if (unit == "KiB") return count << 10U;
    if (unit == "MiB") return count << 20U;
    if (unit == "GiB") return count << 30U;
    return std::nullopt;
  }
  static std::string words(Duration value) {
    if (value >= 1h) return std::to_string(value / 1h) + "h";
    if (value >= 1s) return std::to_string(value / 1s) + "s";
    return std::to_string(value / 1ms) + "ms";
  }

  std::string file_;
  std::string name_;
  const toml::table* table_;
  std::vector<std::string> known_;
};

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

// Links are then authenticated at both ends.
void read_peer_tls(Section& section, Config& config) {
  auto& tls = config.peer_tls;
  tls.certificate = section.text("peer_certificate", "");
  tls.key = section.text("peer_key", "");
  tls.ca = section.text("peer_ca", "");
  const bool whole = !tls.certificate.empty() && !tls.key.empty() && !tls.ca.empty();
  const bool wanted = !tls.certificate.empty() || !tls.key.empty() || !tls.ca.empty() ||
                      std::ranges::any_of(config.listen_peers, &net::Address::tls);
  if (wanted && !whole) {
    section.missing("peer_certificate", "https between nodes takes peer_certificate, peer_key and peer_ca");
  }
}

void read_node(Section& section, Config& config) {
  const auto* id = section.find("id");
  config.id = NodeId(section.number("id", 0, 1, INT64_MAX));
  config.join = section.flag("join", false);
  config.data = section.text("data", "");
  if (config.data.empty()) section.missing("data", "the directory that holds the node's state");
  read_peers(section, config);
  config.listen_peers = section.addresses("listen");
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
  if (const auto told = section.addresses("advertise"); !told.empty()) {
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
  read_peer_tls(section, config);
  config.name = section.text("name", config.id.none() ? "" : "n" + to_string(config.id));
  config.segment_bytes = section.bytes("log_segment", config.segment_bytes, 1U << 20U);
  config.log_bytes = section.bytes("log_limit", std::max(config.log_bytes, 4 * config.segment_bytes),
                                   4 * config.segment_bytes);
  section.finish();
}

void read_tls(Section& section, Keyspace& keyspace) {
  keyspace.tls.certificate = section.text("certificate", "");
  keyspace.tls.key = section.text("key", "");
  keyspace.tls.client_ca = section.text("client_ca", "");
  const bool either = keyspace.tls.certificate.empty() || keyspace.tls.key.empty();
  if (keyspace.tls.wanted() && either)
    section.missing("certificate", "certificate and key must both be named");
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
  keyspace.listen = section.addresses("listen");
  if (keyspace.listen.empty()) section.missing("listen", "where clients connect, such as \"127.0.0.1:2379\"");
  for (const auto& address : section.addresses("advertise"))
    keyspace.client_urls.push_back(net::to_url(address));
  keyspace.heartbeat = section.duration("heartbeat", keyspace.heartbeat, 1ms, 60s);
  keyspace.election_timeout = section.duration("election_timeout", keyspace.election_timeout, 10ms, 600s);
  if (keyspace.election_timeout < 3 * keyspace.heartbeat) {
    const auto* node = section.table().get("election_timeout");
    const auto* other = section.table().get("heartbeat");
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
  read_tls(section, keyspace);
  if (keyspace.client_urls.empty()) {
    for (auto address : keyspace.listen) {
      address.tls = keyspace.tls.wanted();
      keyspace.client_urls.push_back(net::to_url(address));
    }
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
