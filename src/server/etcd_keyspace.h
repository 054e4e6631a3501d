// A keyspace with the etcd model, served to clients: the API over a node's keyspace, its listeners, and what
// a member does by itself (publish its addresses, compact).
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "api/etcd/aside.h"
#include "api/etcd/backend.h"
#include "api/etcd/etcd_api.h"
#include "api/http/listener.h"
#include "runtime/node.h"
#include "server/compaction.h"
#include "server/config.h"
#include "tls/context.h"

namespace quorate::server {

class EtcdKeyspace final : private api::etcd::Backend {
 public:
  EtcdKeyspace(runtime::Node& node, runtime::Keyspace& keyspace, const Config& node_config,
               const Keyspace& config, std::uint64_t answer_bytes);
  ~EtcdKeyspace() override;

  [[nodiscard]] std::expected<void, std::string> listen();
  void start();
  void shutdown(std::function<void()> done);  // no new requests; `done` when the open ones have ended
  [[nodiscard]] runtime::Keyspace& keyspace() { return keyspace_; }

 private:
  [[nodiscard]] std::expected<void, std::string> listen(const net::Address& address, http::Handler& handler,
                                                        const char* whom);
  void publish();
  void compact();
  void guard();
  void audit();
  void audit_now();

  void propose(Bytes command, replica::Done done) override {
    keyspace_.propose(std::move(command), std::move(done));
  }
  void read(replicated_log::ReadMode mode, replica::ReadDone done) override {
    keyspace_.read(mode, std::move(done));
  }
  void reconfigure(std::vector<Member> base, std::vector<Member> members, replica::Done done) override {
    keyspace_.reconfigure(std::move(base), std::move(members), std::move(done));
  }
  void transfer(NodeId to, replica::Done done) override { keyspace_.transfer(to, std::move(done)); }
  [[nodiscard]] models::etcd::EtcdModel& model() override {
    return static_cast<models::etcd::EtcdModel&>(keyspace_.model());
  }
  [[nodiscard]] storage::Engine& engine() override { return keyspace_.engine(); }
  void when_settled(std::move_only_function<void()> call) override {
    keyspace_.when_settled(std::move(call));
  }
  [[nodiscard]] replica::Replica::Status status() const override { return keyspace_.status(); }
  [[nodiscard]] ClusterId cluster() const override { return node_.cluster(); }
  [[nodiscard]] std::vector<NodeId> known_at(const std::vector<std::string>& peer_urls) const override {
    return node_.known_at(peer_urls, keyspace_);
  }
  [[nodiscard]] std::uint64_t bytes_on_disk() const override { return node_.bytes_on_disk(); }
  [[nodiscard]] Head head() const override {
    return {node_.id(), keyspace_.leader(), keyspace_.epoch(), keyspace_.learner()};
  }
  void defragment(std::function<void(storage::IoResult<void>)> done) override {
    keyspace_.checkpoint();  // what was just deleted is to be given back too
    keyspace_.when_settled([this, done = std::move(done)]() mutable {
      node_.compact_state(keyspace_.engine(), std::move(done));
    });
  }
  [[nodiscard]] std::uint64_t quota() const override { return config_.quota; }
  [[nodiscard]] bool has_room(std::uint64_t bytes) const override {
    return !node_.low_on_space() && Backend::has_room(bytes);
  }
  void write_metrics(std::string& out) const override;

  runtime::Node& node_;
  runtime::Keyspace& keyspace_;
  const Config& node_config_;
  const Keyspace& config_;
  CompactionPlan plan_;
  boost::asio::steady_timer publish_timer_;
  boost::asio::steady_timer compact_timer_;
  boost::asio::steady_timer guard_timer_;
  boost::asio::steady_timer audit_timer_;
  api::etcd::Aside audits_;
  std::shared_ptr<tls::Context> tls_;
  std::unique_ptr<api::etcd::EtcdApi> api_;
  std::vector<std::unique_ptr<http::Listener>> listeners_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace quorate::server
