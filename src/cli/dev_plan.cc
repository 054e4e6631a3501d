#include "cli/dev_plan.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <arpa/inet.h>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace quorate::cli {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::uint16_t usual_port = 2379;

std::string local(std::uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

// Binds 127.0.0.1:port (0: any) for a moment; the port, or nothing if it is taken.
std::optional<std::uint16_t> try_port(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return std::nullopt;
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::listen(socket, 1) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(socket);
  return bound ? std::optional(ntohs(address.sin_port)) : std::nullopt;
}

class Ports {
 public:
  std::uint16_t take(std::uint32_t wanted) {
    if (wanted != 0 && wanted <= 65535 && !taken_.contains(static_cast<std::uint16_t>(wanted)) &&
        try_port(static_cast<std::uint16_t>(wanted))) {
      return *taken_.insert(static_cast<std::uint16_t>(wanted)).first;
    }
    for (int attempts = 0; attempts < 100; ++attempts) {
      const auto port = try_port(0);
      if (port && taken_.insert(*port).second) return *port;
    }
    return 0;
  }

 private:
  std::set<std::uint16_t> taken_;
};

std::uint16_t port_of(const json::value& text) {
  const std::string address(text.as_string());
  return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
}

std::expected<DevPlan, std::string> read_cluster_file(const std::string& directory) {
  DevPlan plan;
  plan.directory = directory;
  std::ifstream file(plan.cluster_file());
  if (!file) return plan;
  std::ostringstream text;
  text << file.rdbuf();
  try {
    const auto root = json::parse(text.str());
    plan.protocol = std::string(root.at("protocol").as_string());
    plan.tls = root.as_object().contains("cacert");
    for (const auto& node : root.at("nodes").as_array()) {
      plan.nodes.push_back({.id = node.at("id").to_number<std::uint64_t>(),
                            .pid = 0,
                            .client = port_of(node.at("client")),
                            .peer = port_of(node.at("peer")),
                            .data = std::string(node.at("data").as_string())});
    }
  } catch (const std::exception& error) {
    return std::unexpected(plan.cluster_file() + " is damaged (" + error.what() +
                           "); remove it and name the number of nodes again");
  }
  return plan;
}

// The ports clients know by heart: P, P+20000, P+30000, then further on.
std::uint32_t usual_client_port(std::uint16_t first, std::size_t node) {
  if (node == 0) return first;
  return first + 10'000U * static_cast<std::uint32_t>(node + 1);
}

}  // namespace

std::expected<DevPlan, std::string> make_plan(const DevOptions& options) {
  auto plan = read_cluster_file(options.directory);
  if (!plan) return plan;
  const std::size_t found = plan->nodes.size();
  if (found != 0 && options.nodes != 0 && options.nodes != found) {
    return std::unexpected(
        fmt::format("{} holds a cluster of {} nodes; leave --nodes out, or use another --data",
                    options.directory, found));
  }
  if (found != 0 && !options.protocol.empty() && options.protocol != plan->protocol) {
    return std::unexpected(
        fmt::format("{} holds a cluster of protocol {}; leave --protocol out, or use another --data",
                    options.directory, plan->protocol));
  }
  if (found != 0 && options.tls && !plan->tls) {
    return std::unexpected(fmt::format(
        "{} holds a cluster without TLS; leave --tls out, or use another --data", options.directory));
  }
  if (found == 0) {
    plan->tls = options.tls;
    plan->protocol = options.protocol.empty() ? "raft" : options.protocol;
    plan->nodes.resize(options.nodes == 0 ? 3 : options.nodes);
  }
  Ports ports;
  for (std::size_t i = 0; i < plan->nodes.size(); ++i) {
    DevNode& node = plan->nodes[i];
    const bool as_found = found != 0 && options.port == 0;
    const std::uint16_t first = options.port == 0 ? usual_port : options.port;
    node.id = i + 1;
    node.data = fmt::format("{}/n{}", options.directory, node.id);
    node.client = ports.take(as_found ? node.client : usual_client_port(first, i));
  }
  // Beside the client's, as etcd's: a port of those that connections are given could be taken when it starts
  // again.
  for (auto& node : plan->nodes) node.peer = ports.take(node.peer != 0 ? node.peer : node.client + 1U);
  for (const auto& node : plan->nodes) {
    if (node.client == 0 || node.peer == 0) return std::unexpected("no free port on 127.0.0.1");
  }
  return plan;
}

std::expected<void, std::string> write_cluster_file(const DevPlan& plan) {
  std::string text = "{\"nodes\":[";
  for (const auto& node : plan.nodes) {
    text += fmt::format(R"({}{{"id":{},"pid":{},"client":"{}","peer":"{}","data":{}}})",
                        node.id == 1 ? "" : ",", node.id, node.pid, local(node.client), local(node.peer),
                        json::serialize(json::string(node.data)));
  }
  text += fmt::format("],\"protocol\":\"{}\"", plan.protocol);
  if (plan.tls) text += ",\"cacert\":" + json::serialize(json::string(plan.certificate()));
  text += "}\n";
  const std::string fresh = plan.cluster_file() + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << text;
    if (!file.flush()) return std::unexpected(fresh + ": cannot be written");
  }
  std::error_code error;
  fs::rename(fresh, plan.cluster_file(), error);
  if (error) return std::unexpected(plan.cluster_file() + ": " + error.message());
  return {};
}

std::string DevPlan::endpoints() const {
  std::string all;
  for (const auto& node : nodes)
    all += (all.empty() ? "" : ",") + ((tls ? "https://" : "") + local(node.client));
  return all;
}

std::string node_configuration(const DevPlan& plan, const DevNode& node) {
  std::string peers;
  for (const auto& each : plan.nodes) {
    peers += fmt::format("{}\"{}={}\"", peers.empty() ? "" : ", ", each.id, local(each.peer));
  }
  const auto quoted = [](const std::string& text) { return json::serialize(json::string(text)); };
  const std::string certificate =
      !plan.tls ? ""
                : fmt::format("certificate = {0}\nkey = {1}\nca = {0}\n", quoted(plan.certificate()),
                              quoted(plan.tls_directory() + "/key.pem"));
  const std::string peer_tls = plan.tls ? "\n[node.tls]\n" + certificate : "";
  const std::string client_tls =
      plan.tls ? "\n[keyspace.tls]\n" + certificate + "require_certificate = false\n" : "";
  return fmt::format(
      "# Written by `quorate dev`, anew at every start. One node by itself: quorate serve --config THIS "
      "FILE\n"
      "cluster = \"dev\"\n\n[node]\nid = {}\ndata = {}\npeers = [{}]\n{}\n"
      "[[keyspace]]\nname = \"default\"\nprotocol = \"{}\"\nmodel = \"etcd\"\nlisten = \"{}\"\n{}",
      node.id, quoted(node.data), peers, peer_tls, plan.protocol, local(node.client), client_tls);
}

}  // namespace quorate::cli
