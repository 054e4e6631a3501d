// Power cuts at every single access to the disk, recovery included: everything synced is there, and nothing
// that was never appended appears.
#include <optional>

#include <gmock/gmock.h>

#include "storage/wal_testing.h"

namespace quorate::storage {
namespace {

using namespace wal_testing;

void cut_at(MemoryDisk& disk, std::uint64_t number) {
  disk.set_hook([number](const MemoryDisk::Access& access) {
    return MemoryDisk::Fault{access.number == number ? MemoryDisk::FaultKind::power_cut
                                                     : MemoryDisk::FaultKind::none};
  });
}

// Batches of groups, every batch one sync.
std::vector<std::vector<Group>> script(std::uint64_t seed, std::size_t batches, std::size_t max_payload) {
  Rng rng(seed);
  Model model;
  std::vector<std::vector<Group>> out(batches);
  for (auto& batch : out) {
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
      auto group = random_group(rng, model, max_payload);
      if (group.writes.empty()) continue;
      add_to(model, group);
      batch.push_back(std::move(group));
    }
  }
  return out;
}

struct Run {
  Model durable;    // after the last sync that succeeded
  Model attempted;  // with the batch whose sync failed
};

void run(Disk& disk, const std::vector<std::vector<Group>>& batches, Run& result) {
  auto opened = Wal::open(disk, small_config());
  if (!opened) return;
  for (const auto& batch : batches) {
    for (const auto& group : batch) {
      opened->wal->append(group.keyspace, group.writes);
      add_to(result.attempted, group);
    }
    if (!opened->wal->sync()) return;
    result.durable = result.attempted;
  }
}

Run run(Disk& disk, const std::vector<std::vector<Group>>& batches) {
  Run result;
  run(disk, batches, result);
  return result;
}

// Opens until it works, with a power cut at access `first` of the first attempt, the next at `second`.
std::expected<Wal::Opened, WalError> open_through_cuts(MemoryDisk& disk, Rng& rng,
                                                       std::vector<std::uint64_t> cuts) {
  for (const auto cut : cuts) {
    cut_at(disk, disk.accesses() + cut);
    if (auto opened = Wal::open(disk, small_config())) {
      disk.set_hook({});
      return opened;
    }
    disk.crash(rng);
  }
  disk.set_hook({});
  return Wal::open(disk, small_config());
}

void crash_everywhere(std::uint64_t seed, std::size_t batches, std::size_t max_payload,
                      MemoryDisk::Survival survival) {
  const auto steps = script(seed, batches, max_payload);
  MemoryDisk calm;
  run(calm, steps);
  ASSERT_GE(*wal::parse_segment_name(segment_names(calm).back()), 4U)
      << "the script must be long enough to recycle";
  for (std::uint64_t cut = 1; cut <= calm.accesses(); ++cut) {
    MemoryDisk disk;
    Rng rng(seed * 1'000'003 + cut);
    cut_at(disk, cut);
    const Run result = run(disk, steps);
    disk.crash(rng, survival);

    std::vector<std::uint64_t> more;
    for (std::uint64_t n = rng.below(3); n > 0; --n) more.push_back(1 + rng.below(12));
    auto opened = open_through_cuts(disk, rng, more);
    ASSERT_TRUE(opened) << "seed " << seed << " cut " << cut << ": " << opened.error().what;
    const auto from_durable = difference(result.durable, opened->keyspaces);
    const auto from_attempted = difference(result.attempted, opened->keyspaces);
    ASSERT_TRUE(from_durable.empty() || from_attempted.empty())
        << "seed " << seed << " cut " << cut << ": " << from_durable << " / " << from_attempted;

    // Life goes on, and what recovery believed stays true through another power cut.
    Model model = from_durable.empty() ? result.durable : result.attempted;
    disk.crash(rng, MemoryDisk::Survival::none);
    auto again = Wal::open(disk, small_config());
    ASSERT_TRUE(again) << "seed " << seed << " cut " << cut << ": " << again.error().what;
    ASSERT_EQ(difference(model, again->keyspaces), "") << "seed " << seed << " cut " << cut;
    for (int i = 0; i < 6; ++i) {
      const auto group = random_group(rng, model, max_payload);
      if (group.writes.empty()) continue;
      again->wal->append(group.keyspace, group.writes);
      add_to(model, group);
      ASSERT_TRUE(again->wal->sync());
    }
    disk.crash(rng, MemoryDisk::Survival::none);
    auto last = Wal::open(disk, small_config());
    ASSERT_TRUE(last) << "seed " << seed << " cut " << cut << ": " << last.error().what;
    ASSERT_EQ(difference(model, last->keyspaces), "") << "seed " << seed << " cut " << cut;
  }
}

TEST(WalCrash, AtEveryAccessWithAnySurvivors) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    crash_everywhere(seed, 40, 1500, MemoryDisk::Survival::any);
    if (HasFatalFailure()) return;
  }
}

TEST(WalCrash, AtEveryAccessWithLargeBatches) {
  for (std::uint64_t seed = 100; seed <= 102; ++seed) {
    crash_everywhere(seed, 25, 12'000, MemoryDisk::Survival::any);
    if (HasFatalFailure()) return;
  }
}

TEST(WalCrash, AtEveryAccessLosingEverythingUnsynced) {
  crash_everywhere(200, 40, 1500, MemoryDisk::Survival::none);
}

TEST(WalCrash, AtEveryAccessKeepingEverything) { crash_everywhere(201, 40, 1500, MemoryDisk::Survival::all); }

// The process dies and the machine lives on: the next process sees what was never synced, builds on it, and
// then the power goes.
void die_everywhere(MemoryDisk::FaultKind fault) {
  const auto steps = script(300, 40, 1500);
  MemoryDisk calm;
  run(calm, steps);
  for (std::uint64_t cut = 1; cut <= calm.accesses(); ++cut) {
    MemoryDisk disk;
    Rng rng(cut);
    disk.set_hook([cut, fault](const MemoryDisk::Access& access) {
      const bool strikes = fault == MemoryDisk::FaultKind::failed_sync
                               ? access.operation == MemoryDisk::Operation::sync && access.number >= cut
                               : access.number == cut;
      return MemoryDisk::Fault{strikes ? fault : MemoryDisk::FaultKind::none};
    });
    const auto result = run(disk, steps);
    disk.set_hook({});
    disk.crash(rng, MemoryDisk::Survival::cached);
    auto opened = must_open(disk);
    Model model = difference(result.durable, opened.keyspaces).empty() ? result.durable : result.attempted;
    ASSERT_EQ(difference(model, opened.keyspaces), "") << "cut " << cut;
    for (int i = 0; i < 12; ++i) {  // far enough for the next segment to begin
      const auto group = random_group(rng, model, 1500);
      if (group.writes.empty()) continue;
      opened.wal->append(group.keyspace, group.writes);
      add_to(model, group);
      ASSERT_TRUE(opened.wal->sync());
    }
    disk.crash(rng, MemoryDisk::Survival::none);
    ASSERT_EQ(difference(model, must_open(disk).keyspaces), "") << "cut " << cut;
  }
}

TEST(WalCrash, AProcessDeathAtEveryAccessThenAPowerCut) { die_everywhere(MemoryDisk::FaultKind::io_error); }

// What a failed sync leaves looks clean, the length of a spare file included, and is gone after the power
// cut.
TEST(WalCrash, AProcessDeathAtEveryFailedSyncThenAPowerCut) {
  die_everywhere(MemoryDisk::FaultKind::failed_sync);
}

// Names that a failed sync of the directory left look durable. The next start builds on them, and the power
// goes at any of its accesses.
TEST(WalCrash, AFailedSyncOfTheDirectoryThenAPowerCutAtEveryAccessOfTheNextStart) {
  const auto steps = script(302, 40, 1500);
  int cuts = 0;
  for (int number = 1;; ++number) {
    for (std::uint64_t cut = 1;; ++cut) {
      MemoryDisk disk;
      Rng rng(static_cast<std::uint64_t>(number) * 1000 + cut);
      int syncs = 0;
      disk.set_hook([&](const MemoryDisk::Access& access) {
        const bool strikes = access.operation == MemoryDisk::Operation::sync_directory && ++syncs == number;
        return MemoryDisk::Fault{strikes ? MemoryDisk::FaultKind::failed_sync : MemoryDisk::FaultKind::none};
      });
      const auto result = run(disk, steps);
      if (syncs < number) {
        EXPECT_GT(cuts, 100);
        return;
      }
      disk.crash(rng, MemoryDisk::Survival::cached);
      const std::uint64_t first = disk.accesses();
      cut_at(disk, first + cut);
      if (Wal::open(disk, small_config()) && disk.accesses() < first + cut) break;  // all of them were cut
      disk.set_hook({});
      disk.crash(rng);
      ++cuts;
      const auto opened = must_open(disk);
      const Model& model =
          difference(result.durable, opened.keyspaces).empty() ? result.durable : result.attempted;
      ASSERT_EQ(difference(model, opened.keyspaces), "") << "sync " << number << ", cut " << cut;
    }
  }
}

// A write of which the disk has taken the sectors in front of some boundary, or those behind it, when the
// power goes. Everything before it is on the disk.
class Torn {
 public:
  Torn(const MemoryDisk& disk, const MemoryDisk::Access& write)
      : before_(disk.clone()), offset_(write.offset), length_(write.length) {}

  // Tears it at each boundary, `disk` as it is behind the write. Returns how often.
  std::uint64_t at_each_boundary(const MemoryDisk& disk, const Run& so_far) const {
    std::uint64_t count = 0;
    const auto names = before_->list();
    for (const auto& name : *names) {  // an open file may have got another name since
      if (disk.contents(name) != before_->contents(name)) count += tear(name, disk.contents(name), so_far);
    }
    return count;
  }

 private:
  [[nodiscard]] std::uint64_t tear(const std::string& name, const std::string& written,
                                   const Run& so_far) const {
    constexpr std::uint64_t sector = MemoryDisk::sector;
    std::string old = before_->contents(name);
    old.resize(written.size());  // a hole reads as zeros
    std::uint64_t count = 0;
    for (std::uint64_t at = (offset_ / sector + 1) * sector; at < offset_ + length_; at += sector) {
      for (const bool front : {true, false}) {
        std::string torn = front ? written : old;
        torn.replace(at, std::string::npos, front ? old : written, at, std::string::npos);
        judge(name, std::move(torn), so_far,
              name + " of " + std::to_string(offset_) + " + " + std::to_string(length_) + " torn at " +
                  std::to_string(at));
        ++count;
      }
    }
    return count;
  }

  void judge(const std::string& name, std::string torn, const Run& so_far, const std::string& where) const {
    const auto disk = before_->clone();
    disk->set_contents(name, std::move(torn));
    auto opened = Wal::open(*disk, small_config());
    ASSERT_TRUE(opened) << where << ": " << opened.error().what;
    const bool lost = !difference(so_far.attempted, opened->keyspaces).empty();
    Model model = lost ? so_far.durable : so_far.attempted;
    ASSERT_EQ(difference(model, opened->keyspaces), "") << where;
    // What recovery believed stays true, and can be written on.
    Rng rng(length_);
    const auto group = random_group(rng, model, 700);
    if (!group.writes.empty()) {
      opened->wal->append(group.keyspace, group.writes);
      add_to(model, group);
      ASSERT_TRUE(opened->wal->sync()) << where;
    }
    disk->crash(rng, MemoryDisk::Survival::none);
    auto again = Wal::open(*disk, small_config());
    ASSERT_TRUE(again) << where << ": " << again.error().what;
    ASSERT_EQ(difference(model, again->keyspaces), "") << where;
  }

  std::unique_ptr<MemoryDisk> before_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

std::uint64_t tear_everywhere(std::uint64_t seed, std::size_t batches, std::size_t max_payload) {
  MemoryDisk disk;
  Run so_far;
  std::optional<Torn> write;  // the latest
  std::uint64_t count = 0;
  const auto tear = [&] {
    if (write && !testing::Test::HasFatalFailure()) count += write->at_each_boundary(disk, so_far);
    write.reset();
  };
  disk.set_hook([&](const MemoryDisk::Access& access) {
    tear();
    if (access.operation == MemoryDisk::Operation::write) write.emplace(disk, access);
    return MemoryDisk::Fault{};
  });
  run(disk, script(seed, batches, max_payload), so_far);
  tear();
  return count;
}

TEST(WalCrash, EveryWriteTornAtEverySectorBoundary) {
  std::uint64_t tears = 0;
  for (std::uint64_t seed = 400; seed <= 401; ++seed) tears += tear_everywhere(seed, 40, 1500);
  tears += tear_everywhere(403, 25, 12'000);
  RecordProperty("tears", std::to_string(tears));
  EXPECT_GT(tears, 1000U);
}

TEST(WalCrash, ATornBatchIsCutAndCounted) {
  // The batch spans many sectors; some arrive and some do not. Over many fates both outcomes must be seen.
  int torn = 0;
  int whole = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    MemoryDisk disk;
    Rng rng(seed);
    {
      auto wal = must_open(disk).wal;
      wal->append(KeyspaceId(1), std::vector<Write>{AppendEntries{{entry(1, "first")}}});
      ASSERT_TRUE(wal->sync());
      wal->append(KeyspaceId(1), std::vector<Write>{AppendEntries{{entry(2, std::string(5000, 'y'))}}});
      disk.set_hook([](const MemoryDisk::Access& access) {
        return MemoryDisk::Fault{access.operation == MemoryDisk::Operation::sync
                                     ? MemoryDisk::FaultKind::power_cut
                                     : MemoryDisk::FaultKind::none};
      });
      ASSERT_FALSE(wal->sync());
    }
    disk.set_hook({});
    disk.crash(rng);
    auto opened = must_open(disk);
    const auto entries = opened.keyspaces[KeyspaceId(1)].log.size();
    ASSERT_GE(entries, 1U);
    whole += entries == 2;
    torn += opened.torn_bytes > 0;
    EXPECT_TRUE(opened.torn_bytes == 0 || opened.torn_bytes == 5120);
    EXPECT_EQ(must_open(disk).torn_bytes, 0U) << "cut once";
  }
  EXPECT_GT(torn, 5);
  EXPECT_GT(whole, 5);
}

}  // namespace
}  // namespace quorate::storage
