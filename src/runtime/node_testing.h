// For tests of the runtime: a protocol of one member and a model of one register, small enough to see the
// runtime alone at work, over a real log and a real engine in a temporary directory.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "core/protocol.h"
#include "runtime/node.h"
#include "runtime/test_directory.h"

namespace quorate::runtime::test {

namespace rl = replicated_log;

// A replicated log of one: what is durable is committed.
class Solo final : public rl::Protocol {
 public:
  Solo(const rl::Settings& settings, Recovered recovered)
      : self_(settings.self), recovered_(std::move(recovered)) {}

  void start(Env&) override {
    emit(rl::LeaderChanged{self_, Epoch(1)});
    if (recovered_.snapshot) last_ = recovered_.snapshot->index;
    if (!recovered_.log.empty()) {
      last_ = recovered_.log.back().index;
      emit(rl::Committed{recovered_.log});
    }
  }
  void step(Env&, In&& input) override {
    if (auto* ask = std::get_if<Ask<rl::Request>>(&input)) {
      if (auto* propose = std::get_if<rl::Propose>(&ask->request)) append(*propose);
      if (auto* barrier = std::get_if<rl::ReadBarrier>(&ask->request))
        emit(rl::ReadReady{{barrier->id}, committed_});
      if (auto* available = std::get_if<rl::SnapshotAvailable>(&ask->request))
        effects_.push_back(Persist{++ticket_, {SnapshotTaken{available->meta}}});
    } else if (auto* persisted = std::get_if<Persisted>(&input)) {
      commit(persisted->upto);
    }
  }
  std::optional<std::string> check_invariants() const override { return std::nullopt; }
  std::string describe() const override { return "solo"; }
  std::string explain(const Bytes&) const override { return "{}"; }

 private:
  void emit(rl::Event event) { effects_.push_back(Emit<rl::Event>{std::move(event), {}}); }
  void append(const rl::Propose& propose) {
    std::vector<Entry> entries;
    for (const auto& payload : propose.payloads) {
      entries.push_back({Epoch(1), ++last_, EntryKind::payload, payload});
    }
    waiting_.emplace_back(++ticket_, entries);
    effects_.push_back(Persist{ticket_, {AppendEntries{std::move(entries)}}});
  }
  void commit(Ticket upto) {
    while (!waiting_.empty() && waiting_.front().first <= upto) {
      committed_ = waiting_.front().second.back().index;
      emit(rl::Committed{std::move(waiting_.front().second)});
      waiting_.pop_front();
    }
  }

  NodeId self_;
  Recovered recovered_;
  Index last_;
  Index committed_;
  Ticket ticket_;
  std::deque<std::pair<Ticket, std::vector<Entry>>> waiting_;
};

// The commands it was given, in order, joined.
class Journal final : public models::Model {
 public:
  void open(storage::Engine& state) override { state_ = &state; }
  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    std::string text;
    txn.get(storage::Table(1), "journal", text);
    text += command.view();
    txn.put(storage::Table(1), "journal", text);
    return Bytes::copy(text);
  }
  void committed(Index) override {}
  std::optional<Bytes> periodic(const models::ClockReading&) override { return std::nullopt; }
  Bytes query(const Bytes&) override {
    std::string text;
    state_->get(storage::Table(1), "journal", text);
    return Bytes::copy(text);
  }
  Bytes digest() const override { return {}; }

 private:
  storage::Engine* state_ = nullptr;
};

struct NodeTest : testing::Test {
  NodeConfig config(std::uint64_t id = 1, std::uint64_t cluster = 9) {
    NodeConfig c;
    c.identity.node = NodeId(id);
    c.identity.cluster = ClusterId(cluster);
    c.identity.initial[NodeId(id)] = {"solo", {}, {}};
    c.segment_bytes = 1U << 20U;
    for (const char* name : {"left", "right"}) {
      KeyspaceConfig keyspace;
      keyspace.name = name;
      keyspace.protocol = [](const rl::Settings& settings, Recovered recovered) {
        return std::make_unique<Solo>(settings, std::move(recovered));
      };
      keyspace.model = [] { return std::make_unique<Journal>(); };
      c.keyspaces.push_back(std::move(keyspace));
    }
    return c;
  }
  // Opens the node, lets `work` start something, runs until it stops the node.
  template <class Work>
  std::expected<void, std::string> with_node(NodeConfig node_config, Work&& work) {
    boost::asio::io_context context(1);
    auto directory = DataDirectory::open(path);
    if (!directory) return std::unexpected(directory.error());
    auto node = Node::open(context, std::move(*directory), std::move(node_config));
    if (!node) return std::unexpected(node.error());
    work(**node);
    return (*node)->run();
  }

  const TestDirectory scratch;
  const std::string& path = scratch.path();
};

}  // namespace quorate::runtime::test
