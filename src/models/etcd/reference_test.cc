// Random commands against a naive model that keeps the whole state of every revision in maps: every answer,
// every read of every revision, and every watcher's events must be the same. Beside it: two replicas that
// batch differently and restart at different times have the same answers, digests and rows.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "models/etcd/reference_commands.h"

namespace quorate::models::etcd::test {
namespace {

struct Watcher {
  WatchSpec spec;
  WatchId id = 0;
  std::vector<std::string> seen;
  bool gone = false;
};

void drain(WatchHub& hub, Watcher& watcher, std::size_t max_bytes, bool once) {
  while (!watcher.gone) {
    const WatchBatch batch = hub.poll(watcher.id, max_bytes);
    for (const auto& event : batch.events) watcher.seen.push_back(event.str());
    watcher.gone = batch.compact_revision != 0;
    if (!batch.more || once) return;
  }
}

std::vector<std::string> expected_events(const Reference& reference, const WatchSpec& spec) {
  std::vector<std::string> events;
  for (const auto& [revision, changes] : reference.events) {
    if (revision < spec.start_revision) continue;
    for (auto event : changes) {
      const bool deleted = event.type() == mvccpb::Event::DELETE;
      if (!within(event.kv().key(), spec.key, spec.range_end) || (deleted ? spec.no_delete : spec.no_put))
        continue;
      if (spec.prev_kv && (deleted || event.kv().create_revision() != revision)) {
        const auto& before = reference.states.at(revision - 1);
        if (const auto it = before.find(event.kv().key()); it != before.end())
          *event.mutable_prev_kv() = it->second;
      }
      events.push_back(event.SerializeAsString());
    }
  }
  return events;
}

std::vector<std::string> rows(const storage::Reader& reader) {
  std::vector<std::string> all_rows;
  for (int table = 1; table < 7; ++table) {
    const auto cursor = reader.cursor(static_cast<storage::Table>(table));
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
      all_rows.push_back(std::to_string(table) + std::string(cursor->key()) + "|" +
                         std::string(cursor->value()));
    }
  }
  return all_rows;
}

// What State::live must be, computed anew from the rows.
SetHash hash_of_rows(const storage::Reader& reader) {
  SetHash hash;
  std::string element;
  const auto records = reader.cursor(table::current);
  for (records->seek({}); records->valid(); records->next()) {
    element.clear();
    append_payload(element, false, records->key(), tail_of(records->value()));
    hash.add(element);
  }
  const auto leases = reader.cursor(table::leases);
  for (leases->seek({}); leases->valid(); leases->next()) {
    hash.add("\2" + std::string(leases->key()) + std::string(leases->value()));
  }
  return hash;
}

void expect_same_reads(Replica& store, const Reference& reference, Generator& generator) {
  pb::RangeRequest request;
  generator.fill(request, reference.revision);
  const Result result = store.model().range(request);
  const Error expected = reference.check(request.revision(), reference.revision);
  ASSERT_EQ(result.error, expected);
  ASSERT_EQ(result.revision, reference.revision);
  if (expected != Error::none) return;
  ASSERT_EQ(body_of<pb::RangeResponse>(result).DebugString(), reference.range(request).DebugString())
      << request.DebugString();
}

// Readers see the state of a revision, whole, also while a command is half done.
void expect_whole(Replica& store, const Reference& reference) {
  pb::RangeRequest request;
  request.set_key(all);
  request.set_range_end(all);
  const Result result = store.model().range(request);
  ASSERT_EQ(result.error, Error::none);
  ASSERT_EQ(result.revision, store.model().revision());
  std::string seen;
  std::string expected;
  const auto response = body_of<pb::RangeResponse>(result);
  for (const auto& kv : response.kvs()) seen += kv.ShortDebugString() + "\n";
  for (const auto& [key, kv] : reference.states.at(result.revision)) expected += kv.ShortDebugString() + "\n";
  ASSERT_EQ(seen, expected) << "at revision " << result.revision;
}

class Random : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Random, CommandsAnswerAsTheReferenceDoes) {
  Generator generator(GetParam());
  auto& rng = generator.rng;
  Reference reference;
  Against against(reference, generator);
  Replica store;  // batches, restarts
  Replica other;  // one by one
  std::vector<Watcher> watchers;
  Rng chance(GetParam());
  store.between = [&] {
    expect_whole(store, reference);
    if (!watchers.empty() && chance.below(4) == 0)
      drain(store.model().watches(), watchers[chance.below(watchers.size())], chance.below(300), true);
    if (chance.below(10) != 0) return;
    auto& spec = watchers.emplace_back().spec;
    spec = {.key = generator.key(), .range_end = generator.end()};
    spec.start_revision = store.model().revision() + 1;
    watchers.back().id = store.model().watches().add(spec, [] {});
  };
  other.between = [&] { expect_whole(other, reference); };
  for (int round = 0; round < 400; ++round) {
    store.units = rng.below(2) == 0 ? Pace::unlimited : 1 + rng.below(8);
    other.units = rng.below(2) == 0 ? Pace::unlimited : 1 + rng.below(8);
    std::vector<Against::Step> steps;
    std::vector<Bytes> commands;
    for (auto n = 1 + rng.below(4); n > 0; --n) {
      steps.push_back(against.step());
      commands.push_back(steps.back().command);
    }
    const auto results = store.apply(commands);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      ASSERT_EQ(results[i].error, steps[i].error) << "round " << round;
      ASSERT_EQ(results[i].revision, steps[i].revision);
      if (steps[i].error == Error::none && steps[i].body) {
        ASSERT_EQ(results[i].body.str(), *steps[i].body) << "round " << round;
      }
      ASSERT_EQ(other.apply(commands[i]), results[i]);
    }
    ASSERT_EQ(store.model().digest(), other.model().digest());
    ASSERT_EQ(store.model().statistics().keys, reference.live.size());
    for (int i = 0; i < 3; ++i) expect_same_reads(store, reference, generator);

    if (rng.below(10) == 0) {
      other.reopen();
      ASSERT_EQ(store.model().digest(), other.model().digest());
    }
    if (rng.below(8) == 0) {
      WatchSpec spec{.key = generator.key(), .range_end = generator.end()};
      const auto back = static_cast<std::int64_t>(rng.below(20));
      spec.start_revision = std::max(reference.compacted, reference.revision + 5 - back);
      // Records before the compacted revision are not given: they are left out of this comparison.
      spec.prev_kv = rng.below(2) == 0 && spec.start_revision > reference.compacted;
      spec.no_put = rng.below(6) == 0;
      spec.no_delete = rng.below(6) == 0;
      if (spec.start_revision > 0) {
        watchers.emplace_back().spec = spec;
        watchers.back().id = store.model().watches().add(spec, [] {});
      }
    }
    for (auto& watcher : watchers) {
      if (rng.below(3) == 0) drain(store.model().watches(), watcher, rng.below(300), rng.below(2) == 0);
    }
    // Watchers behind a compaction would end; here they all keep up before the next one.
    for (auto& watcher : watchers) drain(store.model().watches(), watcher, 1 << 20, false);
  }
  EXPECT_EQ(rows(store.engine()), rows(other.engine()));
  EXPECT_EQ(load_state(store.engine()).live, hash_of_rows(store.engine()));
  EXPECT_GT(watchers.size(), 10U);
  EXPECT_GT(store.pauses, 50);
  EXPECT_GT(other.pauses, 50);
  for (auto& watcher : watchers) {
    if (watcher.gone) continue;
    EXPECT_EQ(watcher.seen, expected_events(reference, watcher.spec)) << watcher.spec.key;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Random, testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace quorate::models::etcd::test
