#include "runtime/restore.h"

#include <filesystem>
#include <fstream>

#include <openssl/sha.h>

#include "core/codec.h"
#include "replica/state.h"
#include "runtime/node_testing.h"
#include "storage/backup.h"
#include "storage/memory_engine.h"

namespace quorate::runtime::test {
namespace {

namespace fs = std::filesystem;

// A backup of a journal as a node of another cluster had it at index 40.
std::string backup_of(const std::string& journal) {
  storage::MemoryHome home;
  auto engine = home.open_live().value();
  storage::Transaction txn(*engine);
  txn.put(storage::Table(1), "journal", journal);
  txn.put(storage::Table::system, "session/00000000000000000007", std::string("of another cluster"));
  txn.put(storage::Table::system, "departed", codec::encode(replica::Departed{{NodeId(1)}}));
  Membership old;
  old.members = {{NodeId(7), Role::voter, {}}};
  replica::State::write_applied(txn, {Index(40), Epoch(12), old});
  storage::BackupWriter writer(engine->snapshot());
  std::string all;
  while (!writer.done()) writer.fill(all, all.size() + 4096);
  unsigned char sum[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(all.data()), all.size(), sum);
  return all.append(reinterpret_cast<const char*>(sum), sizeof sum);
}

struct RestoreTest : NodeTest {
  RestoreTest() { write(backup_of("abc")); }
  ~RestoreTest() override { fs::remove(backup); }

  void write(const std::string& content) const {
    std::ofstream(backup, std::ios::binary | std::ios::trunc) << content;
  }
  RestoreConfig how() {
    const NodeConfig node = config();
    RestoreConfig c;
    c.backup = backup;
    c.directory = path;
    c.identity = node.identity;
    c.keyspace = "left";
    c.begin_with = [](const SnapshotMeta& state) { return std::vector<Write>{SnapshotTaken{state}}; };
    c.model = node.keyspaces.front().model;
    c.segment_bytes = node.segment_bytes;
    return c;
  }
  std::string journal_after(const std::string& command) {
    std::string read;
    auto ended = with_node(config(), [&](Node& node) {
      EXPECT_EQ(node.keyspace("left")->status().applied, Index(40));
      node.keyspace("left")->propose(Bytes::copy(command), [&](const replica::Outcome<Bytes>& result) {
        read = result ? result->str() : "";
        EXPECT_EQ(node.keyspace("left")->status().applied, Index(41));
        EXPECT_EQ(node.keyspace("right")->model().query({}).str(), "");
        node.stop();
      });
    });
    EXPECT_TRUE(ended) << ended.error();
    return read;
  }

  std::string backup = path + ".backup";
};

TEST_F(RestoreTest, ANodeGoesOnBehindTheState) {
  const auto restored = restore(how());
  ASSERT_TRUE(restored) << restored.error();
  EXPECT_EQ(restored->index, Index(40));
  EXPECT_EQ(restored->rows, 4U);
  EXPECT_EQ(journal_after("d"), "abcd");
}

// A node of that id was a member of the old cluster, and left it.
TEST_F(RestoreTest, WhoLeftTheOldClusterIsForgotten) {
  ASSERT_TRUE(restore(how()));
  storage::RocksHome home(path + "/state/left", {});
  const auto engine = home.open_live().value();
  std::string row;
  EXPECT_FALSE(engine->get(storage::Table::system, "departed", row));
  EXPECT_FALSE(engine->get(storage::Table::system, "session/00000000000000000007", row));
  EXPECT_TRUE(engine->get(storage::Table::system, "applied", row));
}

TEST_F(RestoreTest, ANodesDirectoryIsNotOverwritten) {
  ASSERT_TRUE(restore(how()));
  ASSERT_EQ(journal_after("d"), "abcd");
  const auto again = restore(how());
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().find("already"), std::string::npos) << again.error();
}

TEST_F(RestoreTest, ADamagedBackupLeavesTheDirectoryAsItWas) {
  std::string damaged = backup_of("abc");
  damaged[100] = static_cast<char>(damaged[100] ^ 1);
  write(damaged);
  EXPECT_FALSE(restore(how()));
  EXPECT_FALSE(restore_unfinished(path));
  EXPECT_FALSE(fs::exists(path + "/identity"));
  write(backup_of("abc"));
  ASSERT_TRUE(restore(how()));
  EXPECT_EQ(journal_after("!"), "abc!");
}

// Whatever a crash leaves of a restore, no node begins with it, and the next restore succeeds.
TEST_F(RestoreTest, AnUnfinishedOneIsBegunAnew) {
  for (const char* left : {"", "identity", "log"}) {
    SCOPED_TRACE(left);
    fs::remove_all(path);
    fs::create_directories(path + "/restoring/state");
    if (*left != '\0') fs::create_directories(path + "/log");
    if (std::string_view(left) == "identity") std::ofstream(path + "/identity") << "half";
    const auto opened = DataDirectory::open(path);
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().find("restore"), std::string::npos) << opened.error();
    const auto restored = restore(how());
    ASSERT_TRUE(restored) << restored.error();
    EXPECT_EQ(journal_after("d"), "abcd");
  }
}

}  // namespace
}  // namespace quorate::runtime::test
