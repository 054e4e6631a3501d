#include <filesystem>
#include <fstream>
#include <iterator>

#include "runtime/node_testing.h"

namespace quorate::runtime::test {
namespace {

// Takes commands of any size and keeps nothing.
class Deaf final : public models::Model {
 public:
  void open(storage::Engine&) override {}
  Bytes apply(const Bytes&, storage::Transaction&) override { return {}; }
  void committed(Index) override {}
  std::optional<Bytes> periodic(const models::ClockReading&) override { return std::nullopt; }
  Bytes query(const Bytes&) override { return {}; }
  Bytes digest() const override { return {}; }
};

using Records = std::map<RecordKey, Bytes>;
using Rejoined = std::expected<std::vector<Write>, std::string>;

Rejoined from_the_state(NodeId, const Records&, const std::optional<SnapshotMeta>& state) {
  if (!state) return std::vector<Write>{};
  return std::vector<Write>{SnapshotTaken{*state}};
}
Rejoined never(NodeId, const Records&, const std::optional<SnapshotMeta>&) {
  return std::unexpected("it is not to be");
}

struct DamagedLogTest : NodeTest {
  // Three batches, all applied and flushed by the orderly end, of which the second is damaged.
  DamagedLogTest() { write_and_damage(); }
  void write_and_damage() {
    auto ended = with_node(config(), [this](Node& node) { append(node, "abc"); });
    EXPECT_TRUE(ended) << ended.error();
    const std::string log = path + "/log/wal-0000000001";
    std::ifstream in(log, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    std::vector<std::size_t> batches;
    for (std::size_t at = 0; at < bytes.size(); at += 512) {
      if (bytes.compare(at, 4, "WABT") == 0) batches.push_back(at);
    }
    EXPECT_GE(batches.size(), 4U);
    bytes[batches.at(2) + 50] ^= 1;
    std::ofstream(log, std::ios::binary) << bytes;
  }
  void append(Node& node, const std::string& letters, const std::string& to = "left") {
    if (letters.empty()) return node.stop();
    node.keyspace(to)->propose(
        Bytes::copy(letters.substr(0, 1)), [this, &node, letters, to](const replica::Outcome<Bytes>& result) {
          last = result.value().str();
          node.post([this, &node, letters, to] { append(node, letters.substr(1), to); });
        });
  }
  NodeConfig rejoining(rl::Rejoin how) {
    auto c = config();
    for (auto& keyspace : c.keyspaces) keyspace.rejoin = how;
    return c;
  }
  std::string refusal(NodeConfig node_config) {
    const auto ended = with_node(std::move(node_config), [](Node& node) { node.stop(); });
    return ended ? "" : ended.error();
  }
  std::string last;
};

TEST_F(DamagedLogTest, IsGivenUpWhereTheProtocolCanGoOnWithoutIt) {
  const auto ended = with_node(rejoining(from_the_state), [this](Node& node) { append(node, "d"); });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(last, "abcd");
  EXPECT_TRUE(std::filesystem::exists(path + "/log/damaged-0000000001"));
  EXPECT_EQ(refusal(config()), "") << "it is whole again";
}

TEST_F(DamagedLogTest, StopsTheNodeOtherwiseAndChangesNothing) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal(config()), HasSubstr("wal-0000000001, offset "));
  EXPECT_THAT(refusal(config()), HasSubstr("its protocol can not go on without its entries"));
  EXPECT_THAT(refusal(rejoining(never)), HasSubstr("keyspace 'left': it is not to be"));
  auto off = rejoining(from_the_state);
  off.repair = false;
  EXPECT_THAT(refusal(std::move(off)), HasSubstr("repair = \"refuse\""));
  auto other = rejoining(from_the_state);
  other.keyspaces.erase(other.keyspaces.begin());
  EXPECT_THAT(refusal(std::move(other)), HasSubstr("a keyspace that is not configured"));
  EXPECT_EQ(refusal(rejoining(from_the_state)), "");
}

// The log tells nothing of a keyspace, and its state says that it should.
TEST_F(DamagedLogTest, AKeyspaceOfWhichOnlyTheStateIsLeftIsNotForgotten) {
  using testing::HasSubstr;
  namespace fs = std::filesystem;
  fs::remove_all(path);
  auto ended = with_node(config(), [this](Node& node) { append(node, "xy", "right"); });
  ASSERT_TRUE(ended) << ended.error();
  const TestDirectory elsewhere;
  fs::copy(path + "/state/right", elsewhere.path(), fs::copy_options::recursive);
  fs::remove_all(path);
  write_and_damage();
  fs::remove_all(path + "/state/right");
  fs::copy(elsewhere.path(), path + "/state/right", fs::copy_options::recursive);
  auto only_left = rejoining(from_the_state);
  only_left.keyspaces.back().rejoin = never;
  EXPECT_THAT(refusal(std::move(only_left)), HasSubstr("keyspace 'right': it is not to be"));
  ended = with_node(rejoining(from_the_state), [this](Node& node) { append(node, "z", "right"); });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(last, "xyz");
}

// Its disk is not mounted, or the configuration names another place.
TEST_F(DamagedLogTest, ALogThatIsGoneIsNotBegunAnew) {
  using testing::HasSubstr;
  std::filesystem::rename(path + "/log", path + "/elsewhere");
  for (int i = 0; i < 2; ++i) EXPECT_THAT(refusal(rejoining(from_the_state)), HasSubstr("/log is gone"));
  auto there = rejoining(from_the_state);
  there.log_directory = path + "/elsewhere";
  EXPECT_EQ(refusal(std::move(there)), "");
  EXPECT_THAT(refusal(config()), HasSubstr("/log is gone"));
}

// Once it can be looked at there would be a new log, and the state ahead of it.
TEST_F(DamagedLogTest, ALogIsNotBegunAnewWhereAStateCanNotBeLookedAt) {
  namespace fs = std::filesystem;
  using testing::HasSubstr;
  fs::rename(path + "/log", path + "/elsewhere");
  const std::string right = path + "/state/right";
  fs::remove_all(path + "/state/left");
  fs::rename(right, path + "/hidden");
  fs::create_directory_symlink("right", right);  // a loop
  EXPECT_THAT(refusal(config()), HasSubstr("/state/right: "));
  EXPECT_FALSE(fs::exists(path + "/log/wal-0000000001"));
  fs::rename(path + "/state", path + "/states");
  fs::create_directory_symlink("state", path + "/state");
  EXPECT_THAT(refusal(config()), HasSubstr("it can not be seen whether"));
  EXPECT_FALSE(fs::exists(path + "/log/wal-0000000001"));
}

// Log and states may be file systems of their own.
TEST_F(NodeTest, BeginsInFileSystemsThatWereJustMade) {
  for (const char* each : {"/log/lost+found", "/state/lost+found", "/state/left/lost+found"})
    std::filesystem::create_directories(path + each);
  std::ofstream(path + "/state/README") << "for states";
  const auto ended = with_node(config(), [](Node& node) { node.stop(); });
  EXPECT_TRUE(ended) << ended.error();
}

struct DamagedStateTest : DamagedLogTest {
  DamagedStateTest() { std::filesystem::remove_all(path); }
  // Where `cut`, there are commands until one is behind a flush, and the log is cut there. Then nothing of
  // the state is to be read.
  void live_and_die(bool cut) {
    auto c = rejoining(from_the_state);
    if (cut) c.keyspaces.front().replica.flush_after_entries = 1;
    const auto ended = with_node(std::move(c), [&](Node& node) {
      if (cut) return append_until_flushed(node, false);
      append(node, "abc");
    });
    ASSERT_TRUE(ended) << ended.error();
    for (const auto& file : std::filesystem::directory_iterator(path + "/state/left/live-1")) {
      if (file.path().filename().string().starts_with("MANIFEST"))
        std::ofstream(file.path(), std::ios::binary) << "nothing that RocksDB wrote";
    }
  }
  void append_until_flushed(Node& node, bool flushed) {
    if (flushed) return append(node, "a");
    node.keyspace("left")->propose(Bytes::copy("a"), [this, &node](const replica::Outcome<Bytes>&) {
      node.post(
          [this, &node] { append_until_flushed(node, !node.keyspace("left")->status().flushed.none()); });
    });
  }
};

TEST_F(DamagedStateTest, IsMadeAgainFromALogThatHasEverything) {
  live_and_die(false);
  const auto ended = with_node(config(), [this](Node& node) { append(node, "d"); });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(last, "abcd");
  EXPECT_TRUE(std::filesystem::exists(path + "/state/left/damaged"));
  EXPECT_FALSE(std::filesystem::exists(path + "/log/damaged-0000000001"));
}

TEST_F(DamagedStateTest, IsGivenUpWithTheLogBehindItWhereTheProtocolCanGoOnWithoutThem) {
  using testing::HasSubstr;
  live_and_die(true);
  EXPECT_THAT(refusal(config()), HasSubstr("keyspace 'left': open "));
  EXPECT_THAT(refusal(config()), HasSubstr("its protocol can not go on without its entries"));
  auto off = rejoining(from_the_state);
  off.repair = false;
  EXPECT_THAT(refusal(std::move(off)), HasSubstr("repair = \"refuse\""));
  EXPECT_FALSE(std::filesystem::exists(path + "/state/left/damaged")) << "a refusal changes nothing";
  const auto ended = with_node(rejoining(from_the_state), [this](Node& node) { append(node, "d"); });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(last, "d") << "a member of one has nobody who brings it the rest";
  EXPECT_TRUE(std::filesystem::exists(path + "/state/left/damaged"));
  EXPECT_TRUE(std::filesystem::exists(path + "/log/damaged-0000000001"));
  EXPECT_EQ(refusal(config()), "") << "it is whole again";
}

TEST_F(DamagedStateTest, ThatIsGoneIsTakenForLost) {
  live_and_die(true);
  std::filesystem::remove_all(path + "/state");
  const auto ended = with_node(rejoining(from_the_state), [this](Node& node) { append(node, "d"); });
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(last, "d");
}

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
  // Whoever writes waits where the log is long: how soon the quiet one is flushed is the machine's to say.
  constexpr std::uint64_t most = 20U << 20U;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  int written = 0;
  std::function<void(Node&, int)> next = [&](Node& node, int left) {
    if (left == 0 || std::chrono::steady_clock::now() > give_up) return node.stop();
    if (node.log_stats().live_bytes > most) return node.post([&, left] { next(node, left); });
    ++written;
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
  EXPECT_EQ(written, 120) << "30 MiB, never more than 20 of them in the log";
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
}  // namespace quorate::runtime::test
