#include "server/server.h"

#include <algorithm>
#include <csignal>
#include <thread>

#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "registry/registry.h"
#include "runtime/node.h"
#include "server/etcd_keyspace.h"
#include "server/identify.h"
#include "server/memory_budget.h"
#include "server/restore.h"
#include "server/start_code.h"
#include "tls/context.h"
#include "tls/self_signed.h"

namespace quorate::server {
namespace {

struct PeerTls {
  std::shared_ptr<tls::Context> accept;
  std::shared_ptr<tls::Context> dial;
};

// What a certificate made on the spot is valid for.
std::vector<std::string> hosts_of(const std::vector<net::Address>& addresses) {
  std::vector<std::string> hosts;
  for (const auto& address : addresses) hosts.push_back(address.host);
  return hosts;
}

// One certificate in both directions: as server's to those who dial this node, as client's to those it dials.
std::expected<PeerTls, std::string> open_peer_tls(const Config& config) {
  if (!config.peer_tls) return PeerTls{};
  auto settings = *config.peer_tls;
  if (const auto& where = config.make_peer_certificate; !where.empty()) {
    if (auto made = tls::self_signed(where, hosts_of(config.listen_peers)); !made)
      return std::unexpected("--peer-auto-tls: " + made.error());
  }
  auto accept = tls::Context::open(tls::Side::server, settings);
  settings.verify = config.make_peer_certificate.empty();
  auto dial = tls::Context::open(tls::Side::client, settings);
  for (const auto* each : {&accept, &dial}) {
    if (!*each) return std::unexpected("TLS between nodes: " + each->error());
  }
  return PeerTls{std::move(*accept), std::move(*dial)};
}

std::expected<runtime::KeyspaceConfig, std::string> keyspace_config(const Keyspace& keyspace,
                                                                    const MemoryBudget& budget) {
  auto protocol = registry::find(keyspace.protocol);
  if (!protocol) return std::unexpected("keyspace '" + keyspace.name + "': " + protocol.error());
  runtime::KeyspaceConfig out;
  out.name = keyspace.name;
  out.protocol_name = keyspace.protocol;
  out.protocol = (*protocol)->make;
  out.rejoin = (*protocol)->rejoin;
  out.model = [most = budget.answers] { return models::etcd::EtcdModel::create(most); };
  out.settings.heartbeat = keyspace.heartbeat;
  out.settings.election_timeout = keyspace.election_timeout;
  out.replica.flush_after_entries = keyspace.flush_after_entries;
  out.settings.keep_bytes = budget.kept_log;
  out.replica.flush_after_bytes = budget.unflushed;
  out.replica.max_pending_bytes = budget.requests;
  out.storage.cache_bytes = keyspace.cache_bytes != 0 ? keyspace.cache_bytes : budget.cache;
  return out;
}

MemoryBudget budget_of(const Config& config) {
  const std::uint64_t memory = config.memory_bytes != 0 ? config.memory_bytes : group_limit();
  if (memory != 0) spdlog::info("memory: {} MiB to manage with", memory >> 20U);
  return budget_for(memory, config.keyspaces.size());
}

std::expected<runtime::NodeConfig, std::string> node_config(const Config& config, const MemoryBudget& budget,
                                                            runtime::Identity identity) {
  runtime::NodeConfig out;
  out.identity = std::move(identity);
  // A cluster of one that nobody can join needs no port for peers.
  const bool alone = config.members.size() == 1 && !config.join && config.source != "flags";
  if (!alone || !config.listen_peers.empty()) out.listen = config.listen_peers;
  out.peer_urls = config.peer_urls;
  for (const auto& [id, info] : config.members) out.addresses[id] = info.peer_urls;
  out.segment_bytes = config.segment_bytes;
  out.log_bytes = config.log_bytes;
  out.log_directory = config.log_directory;
  out.repair = config.repair;
  for (const auto& keyspace : config.keyspaces) {
    auto one = keyspace_config(keyspace, budget);
    if (!one) return std::unexpected(one.error());
    out.keyspaces.push_back(std::move(*one));
  }
  return out;
}

// Ends in order: leadership is handed over, clients' requests end, the node stops. Each step is bounded.
class Shutdown {
 public:
  Shutdown(runtime::Node& node, std::vector<std::unique_ptr<EtcdKeyspace>>& keyspaces)
      : node_(node),
        keyspaces_(keyspaces),
        signals_(node.context(), SIGINT, SIGTERM),
        limit_(node.context()) {}

  // The cluster removed this member. It stays for a moment: whoever asked for that at this node waits for the
  // answer, and the others may yet ask it for what they lack.
  void leave() {
    if (begun_) return;
    limit_.expires_after(std::chrono::seconds(1));
    limit_.async_wait([this](boost::system::error_code error) {
      if (!error && !std::exchange(begun_, true)) hand_over();
    });
  }

  void await_signal() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
      if (error) return;
      if (begun_) {
        spdlog::warn("second signal: ending at once");
        _exit(exit_failed);
      }
      spdlog::info("{}: stopping", signal == SIGINT ? "SIGINT" : "SIGTERM");
      begun_ = true;
      await_signal();
      hand_over();
    });
  }

 private:
  void hand_over() {
    for (auto& keyspace : keyspaces_) {
      const auto status = keyspace->keyspace().status();
      const NodeId heir = status.is_leader ? find_heir(status.membership) : NodeId();
      if (heir.none()) continue;
      ++waiting_;
      spdlog::info("keyspace {}: handing leadership to node {}", keyspace->keyspace().name(), heir.value);
      keyspace->keyspace().transfer(heir, [this](const replica::Outcome<Bytes>&) {
        if (--waiting_ == 0) close_listeners();
      });
    }
    if (waiting_ == 0) return close_listeners();
    limit_.expires_after(std::chrono::milliseconds(500));
    limit_.async_wait([this](boost::system::error_code error) {
      if (!error) close_listeners();
    });
  }
  [[nodiscard]] NodeId find_heir(const Membership& membership) const {
    for (const auto& peer : node_.peers()) {
      if (peer.connected && membership.votes(peer.id)) return peer.id;
    }
    return {};
  }
  void close_listeners() {
    if (std::exchange(closing_, true)) return;
    limit_.cancel();
    open_ = keyspaces_.size();
    for (auto& keyspace : keyspaces_) {
      keyspace->shutdown([this] {
        if (--open_ == 0) node_.stop();
      });
    }
  }

  runtime::Node& node_;
  std::vector<std::unique_ptr<EtcdKeyspace>>& keyspaces_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer limit_;
  bool begun_ = false;
  bool closing_ = false;
  int waiting_ = 0;
  std::size_t open_ = 0;
};

// Of a node that gave up. Its disk or its state is not to be trusted, and closing the engine would write to
// it once more (RocksDB aborts when that fails).
[[noreturn]] void end_at_once(const std::string& why) {
  spdlog::critical("{}", why);
  spdlog::shutdown();
  _exit(exit_failed);
}

std::expected<Exit, std::string> run_checked(const Config& config) {
  auto directory = runtime::DataDirectory::open(config.data);
  if (!directory) return std::unexpected(directory.error());
  auto peer_tls = open_peer_tls(config);
  if (!peer_tls) return std::unexpected(peer_tls.error());
  auto identity = identify(config, *directory, peer_tls->dial);
  if (!identity) return std::unexpected(identity.error());
  const auto budget = budget_of(config);
  auto of_node = node_config(config, budget, std::move(*identity));
  if (!of_node) return std::unexpected(of_node.error());
  of_node->links.accept_tls = peer_tls->accept;
  of_node->links.dial_tls = peer_tls->dial;

  boost::asio::io_context context(1);
  const bool removed = directory->identity() && directory->identity()->removed;
  auto node = runtime::Node::open(context, std::move(*directory), std::move(*of_node));
  if (!node && removed) {
    spdlog::critical("{}", node.error());
    return exit_removed;
  }
  if (!node) return std::unexpected(node.error());
  spdlog::info("node {} ({}) of cluster {}, start {}", (*node)->id().value, config.name,
               (*node)->cluster().value, (*node)->incarnation());
  std::vector<std::unique_ptr<EtcdKeyspace>> keyspaces;
  for (const auto& keyspace : config.keyspaces) {
    keyspaces.push_back(std::make_unique<EtcdKeyspace>(**node, *(*node)->keyspace(keyspace.name), config,
                                                       keyspace, budget.answers));
    if (auto listening = keyspaces.back()->listen(); !listening) return std::unexpected(listening.error());
    keyspaces.back()->start();
  }
  Shutdown shutdown(**node, keyspaces);
  shutdown.await_signal();
  (*node)->on_removed([&shutdown] { shutdown.leave(); });
  unmap_start_code();
  boost::asio::steady_timer settled(context, std::chrono::seconds(2));  // by then there is a leader
  settled.async_wait([](boost::system::error_code error) {
    if (!error) unmap_start_code();
  });
  auto ended = (*node)->run();
  if (!ended) end_at_once(ended.error());
  if (!(*node)->removed()) return exit_ok;
  spdlog::critical("stopped: the cluster has removed this member; its data directory {} may be deleted",
                   config.data);
  return exit_removed;
}

}  // namespace

int run_server(const Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  for (const auto& note : config.notes) spdlog::info("{}", note);
  const auto ended = run_checked(config);
  if (!ended) {
    spdlog::critical("{}", ended.error());
    return exit_failed;
  }
  if (*ended == exit_ok) spdlog::info("stopped");
  return *ended;
}

}  // namespace quorate::server
