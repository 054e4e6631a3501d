// Long lives of few keys: many landmarks each, deletions among them, read at every revision.
#include "models/etcd/past.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/rng.h"
#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {
namespace {

using State = std::map<std::string, std::string>;

class Past : public testing::Test {
 protected:
  Past() { states_.resize(2); }  // an empty store is at revision 1

  void put(const std::string& key, const std::string& value) {
    store_.put(key, value);
    states_.push_back(states_.back());
    states_.back()[key] = value;
  }
  void del(const std::string& key) {
    store_.del(key);
    states_.push_back(states_.back());
    states_.back().erase(key);
  }
  // Puts of `count` values to keys drawn by `draw`, a deletion now and then.
  template <class Draw>
  void live(int count, std::uint64_t deletion_one_in, Draw&& draw) {
    for (int i = 0; i < count; ++i) {
      const std::string key = draw();
      if (states_.back().contains(key) && rng_.below(deletion_one_in) == 0) {
        del(key);
      } else {
        put(key, std::to_string(i));
      }
    }
  }

  static std::string text(const State& state, const std::string& from, const std::string& to) {
    std::string out;
    for (auto it = state.lower_bound(from); it != state.end() && it->first < to; ++it)
      out += (out.empty() ? "" : " ") + it->first + "=" + it->second;
    return out;
  }
  void expect_same(std::size_t first) {
    for (std::size_t revision = first; revision < states_.size(); ++revision) {
      const auto at = static_cast<std::int64_t>(revision);
      ASSERT_EQ(store_.show("a", "z", at), text(states_[revision], "a", "z")) << revision;
      ASSERT_EQ(store_.show("b", "c", at), text(states_[revision], "b", "c")) << revision;
      ASSERT_EQ(store_.show("b", "", at), text(states_[revision], "b", std::string("b\0", 2))) << revision;
    }
  }
  [[nodiscard]] std::size_t landmarks() {
    std::size_t count = 0;
    const auto rows = store_.engine().cursor(table::versions);
    for (rows->seek({}); rows->valid(); rows->next()) ++count;
    return count;
  }

  Rng rng_{7};
  Replica store_;
  std::vector<State> states_;  // by revision
};

TEST_F(Past, EveryRevisionOfKeysThatChangeOften) {
  live(600, 40, [&] { return std::string(1, static_cast<char>('a' + rng_.below(4))); });
  expect_same(2);
  const auto changes = states_.size() - 2;
  EXPECT_LT(landmarks(), changes / 8) << "a landmark is for the few";
  EXPECT_GT(landmarks(), changes / 32);
}

TEST_F(Past, EveryRevisionOfKeysThatNeverGo) {
  live(300, 1'000'000, [&] { return rng_.below(3) == 0 ? std::string("bx") : std::string("b"); });
  expect_same(2);
}

TEST_F(Past, EveryRevisionOfKeysThatComeAndGo) {
  live(600, 2, [&] { return std::string(1, static_cast<char>('a' + rng_.below(30) % 26)); });
  expect_same(2);
}

TEST_F(Past, NothingOfACompactedPastStays) {
  live(500, 20, [&] { return std::string(1, static_cast<char>('a' + rng_.below(3))); });
  const auto middle = static_cast<std::int64_t>(states_.size() / 2);
  store_.compact(middle);
  for (int i = 0; i < 20; ++i) store_.tick(std::chrono::milliseconds(1));
  expect_same(static_cast<std::size_t>(middle));
  const auto rows = store_.engine().cursor(table::versions);
  for (rows->seek({}); rows->valid(); rows->next()) {
    std::string event;
    EXPECT_TRUE(store_.engine().get(table::history, history_key(version_position(rows->key())), event))
        << "a landmark without its event";
  }
  for (const std::string key : {"a", "b", "c"}) del(key);
  store_.compact(static_cast<std::int64_t>(states_.size()) - 1);
  put("d", "the deletions are at the compacted revision or before");
  store_.compact(static_cast<std::int64_t>(states_.size()) - 1);
  for (int i = 0; i < 20; ++i) store_.tick(std::chrono::milliseconds(1));
  EXPECT_EQ(landmarks(), 0U);
}

TEST_F(Past, TheVersionsOfAKeyFromAnyRevisionOn) {
  live(200, 15, [&] { return rng_.below(2) == 0 ? std::string("a") : std::string("b"); });
  for (std::int64_t from = 2; from < static_cast<std::int64_t>(states_.size()); ++from) {
    std::vector<std::int64_t> wanted;
    for (auto at = static_cast<std::size_t>(from); at < states_.size(); ++at) {
      const auto before = states_[at - 1].find("a");
      const auto after = states_[at].find("a");
      const bool existed = before != states_[at - 1].end();
      const bool exists = after != states_[at].end();
      if (existed != exists || (exists && before->second != after->second))
        wanted.push_back(static_cast<std::int64_t>(at));
    }
    std::vector<std::int64_t> told;
    for (Position at{from, 0};;) {
      const auto stretch = next_versions(store_.engine(), "a", at);
      EXPECT_LE(stretch.size(), static_cast<std::size_t>(versions_per_landmark) + 1);
      if (stretch.empty()) break;
      for (const Position one : stretch) told.push_back(one.revision);
      at = {stretch.back().revision, stretch.back().sub + 1};
    }
    ASSERT_EQ(told, wanted) << from;
  }
}

}  // namespace
}  // namespace quorate::models::etcd::test
