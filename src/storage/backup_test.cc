#include "storage/backup.h"

#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "storage/memory_engine.h"

namespace quorate::storage {
namespace {

using Rows = std::map<std::pair<int, std::string>, std::string>;

class BackupTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "backup-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    auto opened = home_.open_live();
    ASSERT_TRUE(opened) << opened.error().what;
    engine_ = std::move(*opened);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void put(int table, const std::string& key, const std::string& value) {
    engine_->put(static_cast<Table>(table), key, Bytes::copy(value));
    rows_[{table, key}] = value;
  }
  [[nodiscard]] std::string whole(std::size_t piece) const {
    BackupWriter writer(engine_->snapshot());
    std::string all;
    while (!writer.done()) writer.fill(all, all.size() + piece);
    return all;
  }
  void save(const std::string& body) const {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    unsigned char sum[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), sum);
    file << body << std::string_view(reinterpret_cast<const char*>(sum), sizeof sum);
  }
  std::expected<BackupSummary, std::string> read(Rows& rows) const {
    return read_backup(path_, [&](Table table, std::string_view key, std::string_view value) {
      rows[{static_cast<int>(table), std::string(key)}] = value;
    });
  }

  MemoryHome home_;
  std::unique_ptr<Engine> engine_;
  std::string path_;
  Rows rows_;
};

TEST_F(BackupTest, GivesBackEveryRowWhateverThePieces) {
  put(0, "applied", "x");
  put(1, "", "a value under the empty key");
  put(1, std::string(300, 'k'), std::string(70'000, 'v'));
  put(7, std::string("\0\xFF", 2), "");
  const std::string body = whole(1);
  EXPECT_EQ(body.size() % 512, 0U);
  EXPECT_EQ(body, whole(1U << 20U));
  save(body);
  Rows found;
  const auto summary = read(found);
  ASSERT_TRUE(summary) << summary.error();
  EXPECT_EQ(found, rows_);
  EXPECT_EQ(summary->rows, rows_.size());
  EXPECT_EQ(summary->bytes, body.size() + 32);
}

TEST_F(BackupTest, AnEmptyStateHasABackup) {
  save(whole(100));
  Rows found;
  ASSERT_TRUE(read(found));
  EXPECT_TRUE(found.empty());
}

TEST_F(BackupTest, NoRowOfADamagedFileIsGiven) {
  for (int i = 0; i < 50; ++i) put(2, "key" + std::to_string(i), std::string(40, 'v'));
  std::string file;
  save(whole(100));
  {
    std::ifstream in(path_, std::ios::binary);
    file.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (const std::size_t at : {std::size_t{30}, file.size() / 2, file.size() - 1}) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << damaged;
    Rows found;
    const auto summary = read(found);
    ASSERT_FALSE(summary);
    EXPECT_NE(summary.error().find("SHA-256"), std::string::npos) << summary.error();
    EXPECT_TRUE(found.empty());
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{10}, std::size_t{40}, file.size() - 1}) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << file.substr(0, length);
    Rows found;
    EXPECT_FALSE(read(found)) << length;
  }
}

TEST_F(BackupTest, WhatIsNotAsTheFormatHasItIsRefused) {
  put(1, "k", "v");
  const std::string body = whole(100);
  const std::size_t begin = std::string_view("QUORATE-SNAPSHOT-1\n").size();
  std::string unknown_table = body;
  unknown_table[begin] = 8;
  std::string long_key = body;
  long_key[begin + 1] = '\x7F';
  std::string other_count = body;
  other_count[body.size() - 8] = 2;
  const std::string no_end = body.substr(0, begin + 5);
  for (const auto& content : {unknown_table, long_key, other_count, no_end}) {
    save(content);
    Rows found;
    EXPECT_FALSE(read(found));
  }
}

TEST_F(BackupTest, AFileOfAnotherKindIsNamedSo) {
  std::ofstream(path_, std::ios::binary) << std::string(1000, 'x');
  Rows found;
  const auto summary = read(found);
  ASSERT_FALSE(summary);
  EXPECT_NE(summary.error().find("make-mirror"), std::string::npos) << summary.error();
  EXPECT_FALSE(read_backup(path_ + ".missing", [](Table, std::string_view, std::string_view) {}));
}

}  // namespace
}  // namespace quorate::storage
