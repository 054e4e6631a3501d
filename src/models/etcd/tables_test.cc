#include "models/etcd/tables.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/proto/kv.pb.h"

namespace quorate::models::etcd {
namespace {

using namespace std::string_literals;

TEST(VersionKeys, SortAsTheirKeysAndNewestFirst) {
  const std::vector<std::string> keys = {"\0"s,  "\0\0"s,  "\0\1"s, "\0\xff"s, "a"s,
                                         "a\0"s, "a\0\1"s, "a\1"s,  "aa"s,     "\xff"s};
  std::vector<std::string> rows;
  for (const auto& key : keys) {
    for (const Position at : {Position{300, 1}, Position{300, 0}, Position{2, 0}}) {
      rows.push_back(version_key(version_prefix(key), at));
      EXPECT_EQ(key_of_version(rows.back()), key);
      EXPECT_EQ(version_position(rows.back()), at);
      EXPECT_LT(rows.back(), behind_versions(version_prefix(key)));
    }
  }
  EXPECT_TRUE(std::ranges::is_sorted(rows));
  EXPECT_EQ(std::ranges::adjacent_find(rows), rows.end());
}

TEST(HistoryKeys, SortByRevisionThenSub) {
  EXPECT_LT(history_key({255, 7}), history_key({256, 0}));
  EXPECT_LT(history_key({256, 0}), history_key({256, 1}));
  EXPECT_EQ(history_position(history_key({1LL << 40U, 9})), (Position{1LL << 40U, 9}));
}

TEST(Records, AreKeyValueMessagesWithoutTheirKey) {
  const Record record{.create = 2, .mod = 300, .version = 7, .lease = -5, .value = "v"};
  std::string message;
  append_key_value(message, 1, "k", encode_tail(record));
  mvccpb::KeyValue parsed;
  ASSERT_TRUE(parsed.ParseFromString(message.substr(2)));  // behind tag and length
  EXPECT_EQ(parsed.key(), "k");
  EXPECT_EQ(parsed.create_revision(), 2);
  EXPECT_EQ(parsed.mod_revision(), 300);
  EXPECT_EQ(parsed.version(), 7);
  EXPECT_EQ(parsed.value(), "v");
  EXPECT_EQ(parsed.lease(), -5);
  const std::string tail = encode_tail(record);
  const Record back = decode_tail(tail);
  EXPECT_EQ(back.create, 2);
  EXPECT_EQ(back.mod, 300);
  EXPECT_EQ(back.version, 7);
  EXPECT_EQ(back.lease, -5);
  EXPECT_EQ(back.value, "v");
}

TEST(Events, RoundTrip) {
  const std::string key(300, 'k');
  std::string row;
  append_u64(row, 77);
  append_superseded(row, {.revision = 400, .sub = 3});
  append_payload(row, true, key, encode_tail({.mod = 9}));
  append_u32(row, 5);
  const EventView event = decode_event(row);
  EXPECT_EQ(event.chain, 77U);
  EXPECT_EQ(event.superseded, (Position{400, 3}));
  EXPECT_TRUE(event.deleted);
  EXPECT_EQ(event.key, key);
  mvccpb::Event parsed;
  ASSERT_TRUE(parsed.ParseFromString(encode_event(event, encode_tail({.create = 3, .value = "old"}))));
  EXPECT_EQ(parsed.type(), mvccpb::Event::DELETE);
  EXPECT_EQ(parsed.kv().key(), key);
  EXPECT_EQ(parsed.kv().mod_revision(), 9);
  EXPECT_EQ(parsed.prev_kv().key(), key);
  EXPECT_EQ(parsed.prev_kv().value(), "old");
}

}  // namespace
}  // namespace quorate::models::etcd
