#include "storage/rocks_room.h"

#include <atomic>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <unistd.h>

#include "core/rng.h"
#include "storage/rocks_engine.h"

namespace quorate::storage {
namespace {

using ::testing::HasSubstr;

constexpr Table table{1};
constexpr int rows = 600;
constexpr std::size_t row_bytes = 10'000;

class RocksRoomTest : public ::testing::Test {
 protected:
  ~RocksRoomTest() override {
    engine_.reset();
    home_.reset();
    std::filesystem::remove_all(path_);
  }

  static std::string key(int i) { return "row" + std::to_string(100'000 + i); }

  void fill() {
    Rng rng(1);
    for (int i = 0; i < rows; ++i) {
      std::string value(row_bytes, ' ');
      for (auto& c : value) c = static_cast<char>(rng.below(256));  // that does not compress
      engine_->put(table, key(i), Bytes::copy(value));
    }
  }
  void erase_all_but_one() {
    for (int i = 1; i < rows; ++i) engine_->erase(table, key(i));
  }
  IoResult<void> flush() { return engine_->begin_flush()(); }
  IoResult<void> compact() {
    std::atomic<bool> cancel{false};
    return engine_->compaction()(cancel);
  }
  [[nodiscard]] int files() const {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      if (entry.path().extension() == ".sst") ++count;
    }
    return count;
  }

  std::string path_ = [] {
    std::string name = ::testing::TempDir() + "quorate-room-XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  std::atomic<std::uint64_t> room_{0};  // of a compaction that is asked for; others have none
  std::atomic<std::uint64_t> staged_room_{0};
  std::unique_ptr<RocksHome> home_ = [this] {
    RocksConfig config;
    config.room_left = [this](const std::string& path, bool asked) -> std::uint64_t {
      if (path.contains("/staging/")) return staged_room_;
      return asked ? room_.load() : 0;
    };
    return std::make_unique<RocksHome>(path_, config);
  }();
  std::unique_ptr<Engine> engine_ = std::move(*home_->open_live());
};

TEST_F(RocksRoomTest, a_flush_takes_what_the_disk_has) {
  fill();
  ASSERT_TRUE(flush());
  EXPECT_GT(engine_->bytes_on_disk(), rows * row_bytes);
}

TEST_F(RocksRoomTest, a_compaction_without_room_fails_and_leaves_nothing_behind) {
  fill();
  ASSERT_TRUE(flush());
  fill();
  ASSERT_TRUE(flush());
  const int before = files();
  const auto compacted = compact();
  ASSERT_FALSE(compacted);
  EXPECT_EQ(compacted.error().kind, IoErrorKind::full);
  EXPECT_THAT(compacted.error().what, HasSubstr("kept for the log"));
  EXPECT_EQ(files(), before);
  std::string value;
  EXPECT_TRUE(engine_->get(table, key(rows - 1), value));
}

TEST_F(RocksRoomTest, deleted_rows_give_their_space_back_in_little_room) {
  fill();
  ASSERT_TRUE(flush());
  erase_all_but_one();
  ASSERT_TRUE(flush());
  ASSERT_FALSE(compact());
  room_ = 64U << 10U;
  const auto compacted = compact();  // at once, though one failed a moment ago
  ASSERT_TRUE(compacted) << compacted.error().what;
  EXPECT_LT(engine_->bytes_on_disk(), 2 * row_bytes);
}

TEST_F(RocksRoomTest, a_received_state_does_not_take_what_is_kept_for_the_log) {
  auto staging = home_->create_staging();
  ASSERT_TRUE(staging);
  (*staging)->put(table, "k", Bytes::copy("v"));
  const auto flushed = (*staging)->begin_flush()();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().kind, IoErrorKind::full);
}

TEST_F(RocksRoomTest, but_may_fit_where_a_compaction_did_not) {
  fill();
  ASSERT_TRUE(flush());
  fill();
  ASSERT_TRUE(flush());
  ASSERT_FALSE(compact());
  staged_room_ = 1U << 20U;
  auto staging = home_->create_staging();
  ASSERT_TRUE(staging);
  (*staging)->put(table, "k", Bytes::copy("v"));
  const auto flushed = (*staging)->begin_flush()();
  EXPECT_TRUE(flushed) << flushed.error().what;
}

}  // namespace
}  // namespace quorate::storage
