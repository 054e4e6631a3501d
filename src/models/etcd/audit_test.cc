#include "models/etcd/audit.h"

#include <gtest/gtest.h>

#include "models/etcd/alarms.h"
#include "models/etcd/test_support.h"

namespace quorate::models::etcd::test {
namespace {

// Something of every kind: records, a lease, a deletion, an alarm, a node, a compaction under way.
struct Filled : Replica {
  Filled() {
    grant(7, 60);
    for (int i = 0; i < 40; ++i) put("k" + std::to_string(i % 10), std::to_string(i));
    put("leased", "1", 7);
    del("k3");
    compact(20);
    apply(raise_alarm(etcdserverpb::NOSPACE, NodeId(3)));
    apply(command(Op::publish, codec::encode(Publish{NodeId(2), {"two", {}, {}}}).view()));
  }
  [[nodiscard]] bool whole() { return model().begin_audit()(); }
  // The first row from `key` on, changed behind the model's back.
  void spoil(storage::Table table, std::string_view from, bool erase) {
    std::string key;
    std::string value;
    {
      const auto row = engine().cursor(table);
      row->seek(from);
      ASSERT_TRUE(row->valid());
      key = row->key();
      value = row->value();
    }
    value.insert(value.begin() + static_cast<std::ptrdiff_t>(value.size() / 2), 'x');
    if (erase) {
      engine().erase(table, key);
    } else {
      engine().put(table, key, Bytes::adopt(std::move(value)));
    }
  }
};

TEST(Audits, FindNothingInAStateThatIsWhole) {
  Replica empty;
  EXPECT_TRUE(empty.model().begin_audit()());
  Filled store;
  EXPECT_TRUE(store.whole());
  for (int i = 0; i < 200; ++i) {  // the compaction is carried out meanwhile
    store.put("more", "x");
    EXPECT_TRUE(store.whole()) << i;
  }
  store.reopen();
  EXPECT_TRUE(store.whole());
  store.forget_nodes();
  EXPECT_TRUE(store.whole());
}

TEST(Audits, AreOfTheMomentTheyBegan) {
  Filled store;
  auto audit = store.model().begin_audit();
  store.spoil(table::current, {}, true);
  EXPECT_TRUE(audit());
  EXPECT_FALSE(store.whole());
}

TEST(Audits, FindRowsThatChangedOnTheirOwn) {
  for (const auto& [table, from] : {std::pair(table::current, ""), std::pair(table::history, ""),
                                    std::pair(table::leases, ""), std::pair(table::meta, "node")}) {
    for (const bool erase : {false, true}) {
      Filled store;
      store.spoil(table, from, erase);
      EXPECT_FALSE(store.whole()) << static_cast<int>(table) << (erase ? " erased" : " changed");
    }
  }
  Filled store;
  store.spoil(table::meta, "alarm", true);
  EXPECT_FALSE(store.whole());
  Filled flipped;  // of the same length
  {
    const auto row = flipped.engine().cursor(table::history);
    row->seek_last("\xff");
    std::string value(row->value());
    value[value.size() - 6] = static_cast<char>(value[value.size() - 6] ^ 1);
    const std::string key(row->key());
    flipped.engine().put(table::history, key, Bytes::adopt(std::move(value)));
  }
  EXPECT_FALSE(flipped.whole());
  Filled short_row;
  short_row.engine().put(table::current, "k1", Bytes::copy("x"));
  short_row.engine().put(table::history, std::string(12, '\0'), Bytes::copy("x"));
  EXPECT_FALSE(short_row.whole());
}

}  // namespace
}  // namespace quorate::models::etcd::test
