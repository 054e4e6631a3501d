// A node without a cluster, for tests of the API: one EtcdModel over a memory engine. What is proposed in one
// turn of the reactor is applied in one batch at the next, as the real node does it; nothing is durable.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "api/etcd/backend.h"
#include "core/codec.h"
#include "storage/memory_engine.h"
#include "storage/transaction.h"

namespace quorate::api::etcd {

class FakeNode final : public Backend {
 public:
  explicit FakeNode(boost::asio::io_context& io)
      : io_(&io), engine_(storage::make_memory_engine()), model_(models::etcd::EtcdModel::create()) {
    model_->open(*engine_);
    status_.self = status_.leader = NodeId(1);
    status_.is_leader = true;
    status_.epoch = Epoch(2);
    for (const std::uint64_t id : {1, 2, 3}) {
      NodeInfo info;
      info.peer_urls = {"http://127.0.0.1:" + std::to_string(7000 + id)};
      status_.membership.members.push_back({NodeId(id), Role::voter, codec::encode(info)});
    }
    NodeInfo self{"one", {"http://127.0.0.1:7001"}, {"http://127.0.0.1:2379"}};
    publish(NodeId(1), self);
  }

  // A member has started and tells its name.
  void publish(NodeId id, const NodeInfo& info) {
    apply(models::etcd::command(models::etcd::Op::publish,
                                codec::encode(models::etcd::Publish{id, info}).view()));
  }

  void propose(Bytes command, replica::Done done) override {
    if (failure) return fail(std::move(done));
    if (queue_.empty()) boost::asio::post(*io_, [this] { drain(); });
    queue_.emplace_back(std::move(command), std::move(done));
  }
  void read(replicated_log::ReadMode, replica::ReadDone done) override {
    boost::asio::post(*io_, [this, done = std::move(done)]() mutable {
      if (failure) return done(std::unexpected(*failure));
      if (learns) std::exchange(learns, nullptr)(status_.membership);
      done(status_.applied);
    });
  }
  void reconfigure(std::vector<Member> base, std::vector<Member> members, replica::Done done) override {
    if (base != status_.membership.members) return done(std::unexpected(replica::Failure::change_pending));
    if (refuses) return done(std::unexpected(*refuses));
    status_.membership.members = std::move(members);
    boost::asio::post(*io_, [done = std::move(done)]() mutable { done(Bytes()); });
  }
  void transfer(NodeId to, replica::Done done) override {
    if (failure) return fail(std::move(done));
    status_.leader = to;
    status_.is_leader = to == status_.self;
    boost::asio::post(*io_, [done = std::move(done)]() mutable { done(Bytes()); });
  }

  [[nodiscard]] models::etcd::EtcdModel& model() override { return *model_; }
  [[nodiscard]] storage::Engine& engine() override { return *engine_; }
  [[nodiscard]] replica::Replica::Status status() const override { return status_; }
  [[nodiscard]] ClusterId cluster() const override { return ClusterId(0x51); }
  [[nodiscard]] std::vector<NodeId> known_at(const std::vector<std::string>& /*peer_urls*/) const override {
    return known;
  }
  [[nodiscard]] std::uint64_t bytes_on_disk() const override { return engine_->bytes_on_disk(); }
  [[nodiscard]] std::uint64_t quota() const override { return quota_bytes; }
  void defragment(std::function<void(storage::IoResult<void>)> done) override {
    ++defragmented;
    done({});
  }
  [[nodiscard]] Head head() const override { return {status_.self, status_.leader, status_.epoch, learner}; }

  // What tests set: every operation fails with it; the leader is not known; this node is a learner.
  std::optional<replica::Failure> failure;
  std::optional<replica::Failure> refuses;  // a change of members
  std::function<void(Membership&)> learns;  // by the next read, of what the others did
  bool learner = false;
  std::uint64_t quota_bytes = 0;
  int defragmented = 0;
  std::vector<NodeId> known;  // in other keyspaces, wherever asked for
  void set_leader(NodeId leader) { status_.leader = leader; }
  void tick(Duration elapsed) {
    if (auto command = model_->periodic({status_.self, 1, clock_ += elapsed})) apply(*command);
  }

 private:
  void fail(replica::Done done) {
    boost::asio::post(*io_,
                      [done = std::move(done), why = *failure]() mutable { done(std::unexpected(why)); });
  }
  Bytes apply(const Bytes& command) {
    storage::Transaction txn(*engine_);
    Bytes result = model_->apply(command, txn);
    model_->settle(txn);
    model_->committed(++status_.applied);
    status_.committed = status_.applied;
    return result;
  }
  void drain() {
    auto batch = std::exchange(queue_, {});
    storage::Transaction txn(*engine_);
    std::vector<Bytes> results;
    results.reserve(batch.size());
    for (auto& [command, done] : batch) results.push_back(model_->apply(command, txn));
    model_->settle(txn);
    status_.applied = status_.applied + batch.size();
    status_.committed = status_.applied;
    model_->committed(status_.applied);
    for (std::size_t i = 0; i < batch.size(); ++i) batch[i].second(std::move(results[i]));
  }

  boost::asio::io_context* io_;
  std::unique_ptr<storage::Engine> engine_;
  Duration clock_{};
  std::unique_ptr<models::etcd::EtcdModel> model_;
  replica::Replica::Status status_;
  std::vector<std::pair<Bytes, replica::Done>> queue_;
};

}  // namespace quorate::api::etcd
