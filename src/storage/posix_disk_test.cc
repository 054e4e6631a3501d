#include "storage/posix_disk.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/wal.h"

namespace quorate::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixDiskTest : public ::testing::Test {
 protected:
  PosixDiskTest() {
    std::string name = ::testing::TempDir() + "quorate-disk-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~PosixDiskTest() override { std::filesystem::remove_all(path_); }
  std::string path_;
};

TEST_F(PosixDiskTest, TellsTheSpaceOfItsFileSystem) {
  auto disk = open_directory(path_);
  ASSERT_TRUE(disk) << disk.error().what;
  const auto space = (*disk)->space();
  ASSERT_TRUE(space) << space.error().what;
  EXPECT_LE(space->free, space->total);
  EXPECT_GT(space->total, 1U << 20U);
}

TEST_F(PosixDiskTest, CreatesMissingDirectories) {
  EXPECT_TRUE(open_directory(path_ + "/a/b/c/"));
  EXPECT_TRUE(std::filesystem::is_directory(path_ + "/a/b/c"));
}

TEST_F(PosixDiskTest, SaysWhyADirectoryCanNotBe) {
  auto disk = open_directory(path_);
  ASSERT_TRUE((*disk)->create("file"));
  const auto refused = open_directory(path_ + "/file/below");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, HasSubstr(path_ + "/file"));
}

TEST_F(PosixDiskTest, ReadsWhatWasWritten) {
  auto disk = open_directory(path_).value();
  auto file = disk->create("f").value();
  ASSERT_TRUE(file->write(0, "hello"));
  ASSERT_TRUE(file->write(10, "world"));
  ASSERT_TRUE(file->sync());
  ASSERT_TRUE(disk->sync_directory());
  EXPECT_EQ(file->read(0, 5), "hello");
  EXPECT_EQ(file->read(12, 100), "rld") << "fewer at the end";
  EXPECT_EQ(file->read(100, 5), "");
  EXPECT_EQ(file->read(5, 5), std::string(5, '\0'));
  EXPECT_EQ(file->size(), 15U);
  EXPECT_EQ(disk->open("f").value()->read(0, 5), "hello");
}

TEST_F(PosixDiskTest, AllocatesZeroesAndNeverShrinks) {
  auto disk = open_directory(path_).value();
  auto file = disk->create("f").value();
  ASSERT_TRUE(file->write(0, "x"));
  ASSERT_TRUE(file->allocate(8192));
  EXPECT_EQ(file->size(), 8192U);
  EXPECT_EQ(file->read(0, 3), std::string("x\0\0", 3));
  ASSERT_TRUE(file->allocate(100));
  EXPECT_EQ(file->size(), 8192U);
  ASSERT_TRUE(file->truncate(2));
  EXPECT_EQ(file->size(), 2U);
}

TEST_F(PosixDiskTest, ListsSortedWithoutTheLock) {
  auto disk = open_directory(path_).value();
  for (const auto* name : {"b", "a", "c"}) ASSERT_TRUE(disk->create(name));
  ASSERT_TRUE(disk->rename("c", "a"));
  ASSERT_TRUE(disk->remove("b"));
  EXPECT_THAT(disk->list().value(), ElementsAre("a"));
}

TEST_F(PosixDiskTest, TellsErrorsApart) {
  auto disk = open_directory(path_).value();
  ASSERT_TRUE(disk->create("there"));
  EXPECT_EQ(disk->create("there").error().kind, IoErrorKind::exists);
  EXPECT_EQ(disk->open("missing").error().kind, IoErrorKind::not_found);
  EXPECT_EQ(disk->remove("missing").error().kind, IoErrorKind::not_found);
  EXPECT_EQ(disk->rename("missing", "x").error().kind, IoErrorKind::not_found);
  EXPECT_THAT(disk->open("missing").error().what, HasSubstr("missing: No such file"));
}

TEST_F(PosixDiskTest, IsLockedWhileOpen) {
  auto disk = open_directory(path_).value();
  const auto second = open_directory(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, IoErrorKind::exists);
  EXPECT_THAT(second.error().what,
              HasSubstr("in use by another process (pid " + std::to_string(::getpid()) + ")"));
  disk.reset();
  EXPECT_TRUE(open_directory(path_));
}

TEST_F(PosixDiskTest, IsLockedAgainstOtherProcesses) {
  auto disk = open_directory(path_).value();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(open_directory(path_) ? 1 : 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(PosixDiskTest, CarriesTheLog) {
  const WalConfig config{.segment_bytes = 64U << 10U, .cluster = ClusterId(1), .node = NodeId(1)};
  for (std::uint64_t life = 0; life < 3; ++life) {
    auto disk = open_directory(path_ + "/wal").value();
    auto opened = Wal::open(*disk, config);
    ASSERT_TRUE(opened) << opened.error().what;
    auto& log = opened->keyspaces[KeyspaceId(1)].log;
    EXPECT_EQ(log.empty() ? 0 : log.back().index.value, life * 100);
    for (std::uint64_t i = 1; i <= 100; ++i) {
      const Index index(life * 100 + i);
      const Entry entry{Epoch(1), index, EntryKind::payload, Bytes::adopt(std::string(3000, 'x'))};
      opened->wal->append(KeyspaceId(1), std::vector<Write>{AppendEntries{{entry}},
                                                            SnapshotTaken{{index.prev(), Epoch(1), {}, {}}}});
      ASSERT_TRUE(opened->wal->sync());
    }
    EXPECT_LE(opened->wal->stats().segments, 5U);
  }
}

}  // namespace
}  // namespace quorate::storage
