#include "server/etcd_keyspace.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "api/http/transport.h"
#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "runtime/clock.h"
#include "server/metrics.h"
#include "tls/self_signed.h"

namespace quorate::server {
namespace {

namespace etcd = models::etcd;

api::etcd::Settings api_settings(const Keyspace& config, std::uint64_t answer_bytes) {
  using std::chrono::milliseconds;
  api::etcd::Settings settings;
  settings.max_request_bytes = config.max_request_bytes;
  settings.max_unread_bytes = answer_bytes;
  settings.max_txn_ops = static_cast<int>(config.max_txn_ops);
  settings.progress_interval = std::chrono::duration_cast<milliseconds>(config.progress_interval);
  settings.gateway = config.gateway;
  settings.hosts = config.hosts;
  settings.origins = config.cors;
  // A lease must outlive the election of a leader that could renew it (etcd server/etcdserver/server.go).
  settings.min_lease_ttl = std::chrono::ceil<std::chrono::seconds>(config.election_timeout * 3 / 2).count();
  return settings;
}

http::Limits limits_of(const Keyspace& config) {
  using std::chrono::milliseconds;
  http::Limits limits;
  limits.shutdown_grace = milliseconds(300);
  limits.max_concurrent_streams = config.max_concurrent_streams;
  limits.max_http1_body = 2 * config.max_request_bytes + (1U << 20U);  // base64 takes a third more
  limits.ping_min_time = std::chrono::duration_cast<milliseconds>(config.ping_min_time);
  limits.ping_interval = std::chrono::duration_cast<milliseconds>(config.ping_interval);
  limits.ping_timeout = std::chrono::duration_cast<milliseconds>(config.ping_timeout);
  return limits;
}

}  // namespace

EtcdKeyspace::EtcdKeyspace(runtime::Node& node, runtime::Keyspace& keyspace, const Config& node_config,
                           const Keyspace& config, std::uint64_t answer_bytes)
    : node_(node),
      keyspace_(keyspace),
      node_config_(node_config),
      config_(config),
      plan_(config.compaction_period, config.compaction_revisions),
      publish_timer_(node.context()),
      compact_timer_(node.context()),
      guard_timer_(node.context()),
      audit_timer_(node.context()),
      audits_(node.context()),
      api_(std::make_unique<api::etcd::EtcdApi>(node.context(), static_cast<api::etcd::Backend&>(*this),
                                                api_settings(config, answer_bytes))) {}

EtcdKeyspace::~EtcdKeyspace() {
  *alive_ = false;
  keyspace_.on_leader_changed(nullptr);
  for (auto& listener : listeners_) listener->close();
}

std::expected<void, std::string> EtcdKeyspace::listen() {
  if (config_.audit_at_start) {
    if (!model().begin_audit()()) {
      return std::unexpected(
          "keyspace '" + config_.name +
          "': its state is damaged: rows are not as they were written. Remove this member, "
          "empty its data directory and add it again");
    }
    spdlog::info("keyspace {}: the state was read and is as it was written", config_.name);
  }
  if (config_.tls) {
    auto settings = *config_.tls;
    if (const auto& where = config_.make_certificate; !where.empty()) {
      std::vector<std::string> hosts;
      for (const auto& address : config_.listen) hosts.push_back(address.host);
      if (auto made = tls::self_signed(where, hosts); !made)
        return std::unexpected("--auto-tls: " + made.error());
    }
    settings.alpn = http::http_protocols;
    auto context = tls::Context::open(tls::Side::server, std::move(settings));
    if (!context) return std::unexpected("keyspace '" + config_.name + "': TLS: " + context.error());
    tls_ = std::move(*context);
  }
  for (const auto& address : config_.listen) {
    if (auto listening = listen(address, api_->handler(), "clients"); !listening) return listening;
  }
  for (const auto& address : config_.listen_metrics) {
    if (auto listening = listen(address, api_->pages(), "metrics"); !listening) return listening;
  }
  return {};
}

std::expected<void, std::string> EtcdKeyspace::listen(const net::Address& address, http::Handler& handler,
                                                      const char* whom) {
  auto listener = std::make_unique<http::Listener>(node_.context(), handler, limits_of(config_),
                                                   address.tls ? tls_.get() : nullptr);
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  if (auto listening = listener->listen(host, address.port); !listening) {
    return std::unexpected("keyspace '" + config_.name + "': " + listening.error());
  }
  spdlog::info("keyspace {}: serving {} on {}{}", config_.name, whom, net::to_url(address),
               address.tls && config_.tls->verify ? ", who must show a certificate" : "");
  listeners_.push_back(std::move(listener));
  return {};
}

void EtcdKeyspace::start() {
  keyspace_.on_leader_changed([this] { api_->leader_changed(); });
  publish();
  if (plan_.wanted()) compact();
  guard();
  if (config_.audit_period > Duration::zero()) audit();
}

// Rows that changed on their own are in no digest. Whoever finds one tells all: then nobody writes on.
void EtcdKeyspace::audit() {
  audit_timer_.expires_after(config_.audit_period);
  audit_timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (error || !*alive) return;
    keyspace_.when_settled([this, alive] {
      if (*alive) audit_now();
    });
  });
}

void EtcdKeyspace::audit_now() {
  (void)audits_.run(model().begin_audit(), [this](bool intact) {
    const auto alarm = intact ? std::nullopt : model().diverged(node_.id());
    if (!intact)
      spdlog::critical("keyspace {}: the state is damaged: rows are not as they were written", config_.name);
    if (alarm) keyspace_.propose(*alarm, [](const replica::Outcome<Bytes>&) {});
    audit();
  });
}

// A node that runs out of space says so also when none of its own clients writes: what the others take in
// comes to its disk too.
void EtcdKeyspace::guard() {
  guard_timer_.expires_after(std::chrono::milliseconds(500));
  guard_timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (error || !*alive) return;
    if (node_.low_on_space()) api_->raise_no_space();
    guard();
  });
}

// A member that has started tells its name and client URLs through the log, so that every member can list
// them.
void EtcdKeyspace::publish() {
  NodeInfo info{
      .name = node_config_.name, .peer_urls = node_config_.peer_urls, .client_urls = config_.client_urls};
  const auto published = model().published();
  if (const auto known = published.find(node_.id()); known != published.end() && known->second == info)
    return;
  std::string command(1, static_cast<char>(etcd::Op::publish));
  codec::encode_to(command, etcd::Publish{node_.id(), std::move(info)});
  keyspace_.propose(Bytes::adopt(std::move(command)),
                    [this, alive = alive_](const replica::Outcome<Bytes>& outcome) {
                      if (!*alive || outcome || outcome.error() == replica::Failure::stopping) return;
                      publish_timer_.expires_after(std::chrono::milliseconds(500));
                      publish_timer_.async_wait([this, alive](boost::system::error_code error) {
                        if (!error && *alive) publish();
                      });
                    });
}

void EtcdKeyspace::compact() {
  compact_timer_.expires_after(plan_.interval());
  compact_timer_.async_wait([this, alive = alive_](boost::system::error_code error) {
    if (error || !*alive) return;
    if (auto upto = plan_.observe(runtime::now(), model().revision());
        upto && keyspace_.leader() == node_.id()) {
      etcdserverpb::CompactionRequest request;
      request.set_revision(*upto);
      spdlog::info("keyspace {}: compacting history up to revision {}", config_.name, *upto);
      keyspace_.propose(etcd::command(etcd::Op::compact, request.SerializeAsString()),
                        [](const replica::Outcome<Bytes>&) {});
    }
    compact();
  });
}

void EtcdKeyspace::shutdown(std::function<void()> done) {
  publish_timer_.cancel();
  compact_timer_.cancel();
  guard_timer_.cancel();
  audit_timer_.cancel();
  api_->stop();
  auto left = std::make_shared<std::size_t>(listeners_.size());
  auto shared_done = std::make_shared<std::function<void()>>(std::move(done));
  if (*left == 0) return (*shared_done)();
  for (auto& listener : listeners_) {
    listener->shutdown([left, shared_done] {
      if (--*left == 0) (*shared_done)();
    });
  }
}

void EtcdKeyspace::write_metrics(std::string& out) const { write_node_metrics(out, node_, keyspace_); }

}  // namespace quorate::server
