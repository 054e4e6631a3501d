// A node over a real log and a real engine in a temporary directory, with a protocol of one member and a
// model of one register: small enough to see the runtime alone at work.
#include "runtime/node.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include "core/protocol.h"

namespace quorate::runtime {
namespace {

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
  void step(Env&, In input) override {
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
  std::optional<Bytes> periodic(Duration) override { return std::nullopt; }
  Bytes query(const Bytes&) override {
    std::string text;
    state_->get(storage::Table(1), "journal", text);
    return Bytes::copy(text);
  }
  Bytes digest() const override { return {}; }

 private:
  storage::Engine* state_ = nullptr;
};

// Takes commands of any size and keeps nothing.
class Deaf final : public models::Model {
 public:
  void open(storage::Engine&) override {}
  Bytes apply(const Bytes&, storage::Transaction&) override { return {}; }
  void committed(Index) override {}
  std::optional<Bytes> periodic(Duration) override { return std::nullopt; }
  Bytes query(const Bytes&) override { return {}; }
  Bytes digest() const override { return {}; }
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
  static std::string make_path() {
    std::string pattern = testing::TempDir() + "/node-XXXXXX";
    return mkdtemp(pattern.data());
  }

  std::string path = make_path();
};

TEST_F(NodeTest, AnswersOnceDurableAndRemembersAfterARestart) {
  std::vector<std::string> answers;
  auto ended = with_node(config(), [&](Node& node) {
    for (const char* command : {"a", "b", "c"}) {
      node.keyspace("left")->propose(Bytes::copy(command), [&](replica::Outcome<Bytes> result) {
        answers.push_back(result.value().str());
        if (answers.size() == 3) node.stop();
      });
    }
  });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_THAT(answers, testing::ElementsAre("a", "ab", "abc"));

  std::string read;
  ended = with_node(config(), [&](Node& node) {
    node.keyspace("left")->propose(Bytes::copy("d"), [&](replica::Outcome<Bytes> result) {
      read = result.value().str();
      EXPECT_EQ(node.keyspace("right")->model().query({}).str(), "");
      node.stop();
    });
  });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(read, "abcd");
}

TEST_F(NodeTest, ACompletionMayAskForMore) {
  int answered = 0;
  std::function<void(Node&)> next = [&](Node& node) {
    node.keyspace("left")->propose(Bytes::copy("."), [&](const replica::Outcome<Bytes>& result) {
      ASSERT_TRUE(result);
      if (++answered == 20) return node.stop();
      next(node);
    });
  };
  auto ended = with_node(config(), [&](Node& node) { next(node); });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(answered, 20);
}

TEST_F(NodeTest, ReadsAreAnswered) {
  bool read = false;
  auto ended = with_node(config(), [&](Node& node) {
    node.keyspace("right")->read(rl::ReadMode::quorum, [&](const replica::Outcome<Index>& at) {
      read = at.has_value();
      node.stop();
    });
  });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_TRUE(read);
}

TEST_F(NodeTest, WhatIsOutstandingAtTheEndIsAnswered) {
  bool answered = false;
  auto ended = with_node(config(), [&](Node& node) {
    node.stop();
    node.keyspace("left")->propose(Bytes::copy("x"),
                                   [&](const replica::Outcome<Bytes>&) { answered = true; });
  });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_TRUE(answered);
}

TEST_F(NodeTest, FlushesTheStateAndGoesOn) {
  auto with_flushes = config();
  for (auto& keyspace : with_flushes.keyspaces) keyspace.replica.flush_after_entries = 1;
  std::function<void(Node&, int)> next = [&](Node& node, int left) {
    if (left == 0) return node.stop();
    node.keyspace("left")->propose(Bytes::copy("."), [&, left](const replica::Outcome<Bytes>& result) {
      ASSERT_TRUE(result);
      next(node, left - 1);
    });
  };
  auto ended = with_node(std::move(with_flushes), [&](Node& node) { next(node, 10); });
  ASSERT_TRUE(ended) << ended.error();
}

// The quiet keyspace's one entry stands in the oldest segment of the shared log.
TEST_F(NodeTest, AQuietKeyspaceDoesNotHoldTheLogOfABusyOne) {
  auto bounded = config();
  bounded.log_bytes = 4U << 20U;
  bounded.tend_interval = std::chrono::milliseconds(1);
  for (auto& keyspace : bounded.keyspaces) keyspace.model = [] { return std::make_unique<Deaf>(); };
  bounded.keyspaces[1].replica.flush_after_bytes = 1U << 20U;
  std::uint64_t most = 0;
  std::function<void(Node&, int)> next = [&](Node& node, int left) {
    most = std::max(most, node.log_stats().live_bytes);
    if (left == 0) return node.stop();
    node.keyspace("right")->propose(Bytes::adopt(std::string(256U << 10U, 'x')),
                                    [&, left](const replica::Outcome<Bytes>& result) {
                                      ASSERT_TRUE(result);
                                      next(node, left - 1);
                                    });
  };
  auto ended = with_node(std::move(bounded), [&](Node& node) {
    node.keyspace("left")->propose(Bytes::copy("once"), [&](const replica::Outcome<Bytes>& result) {
      ASSERT_TRUE(result);
      next(node, 120);
    });
  });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_LT(most, 20U << 20U) << "of 30 MiB written";
}

TEST_F(NodeTest, AnothersDirectoryIsRefused) {
  ASSERT_TRUE(with_node(config(1, 9), [](Node& node) { node.stop(); }));
  auto ended = with_node(config(2, 9), [](Node& node) { node.stop(); });
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error(), testing::HasSubstr("belongs to node 1 of cluster 9, not to node 2"));
  EXPECT_FALSE(with_node(config(1, 8), [](Node& node) { node.stop(); }));
}

TEST_F(NodeTest, AHaltStopsTheNodeWithItsReason) {
  auto ended = with_node(config(), [](Node& node) { node.halt("for a reason"); });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), "for a reason");
}

}  // namespace
}  // namespace quorate::runtime
