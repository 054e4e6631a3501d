// How fast the log takes writes: encoding alone (a disk that does nothing), and with the real one.
//   wal_bench --benchmark_filter=Encode
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <unistd.h>

#include "storage/crc32c.h"
#include "storage/posix_disk.h"
#include "storage/wal.h"

namespace {

using namespace quorate;
using namespace quorate::storage;

class NullFile final : public File {
 public:
  IoResult<std::string> read(std::uint64_t, std::size_t) override { return std::string(); }
  IoResult<void> write(std::uint64_t, std::string_view) override { return {}; }
  IoResult<void> sync() override { return {}; }
  IoResult<void> allocate(std::uint64_t) override { return {}; }
  IoResult<void> truncate(std::uint64_t) override { return {}; }
  IoResult<std::uint64_t> size() override { return 64U << 20U; }
};

class NullDisk final : public Disk {
 public:
  IoResult<std::unique_ptr<File>> open(const std::string&) override { return std::make_unique<NullFile>(); }
  IoResult<std::unique_ptr<File>> create(const std::string&) override { return std::make_unique<NullFile>(); }
  IoResult<void> rename(const std::string&, const std::string&) override { return {}; }
  IoResult<void> remove(const std::string&) override { return {}; }
  IoResult<std::vector<std::string>> list() override { return std::vector<std::string>(); }
  IoResult<void> sync_directory() override { return {}; }
  IoResult<Space> space() override { return Space{1ULL << 40U, 1ULL << 40U}; }
};

// Appends `batch` entries of `value` bytes a sync, with a snapshot behind them so that segments are used
// again.
void run(benchmark::State& state, Disk& disk) {
  const auto batch = static_cast<std::uint64_t>(state.range(0));
  const auto value = static_cast<std::size_t>(state.range(1));
  auto opened = Wal::open(disk, {.segment_bytes = 64U << 20U, .cluster = ClusterId(1), .node = NodeId(1)});
  if (!opened) return state.SkipWithError(opened.error().what.c_str());
  const Bytes payload = Bytes::adopt(std::string(value, 'x'));
  std::uint64_t index = 0;
  std::vector<Write> writes(2);
  for (auto _ : state) {
    state.PauseTiming();
    auto& append = writes[0].emplace<AppendEntries>();
    for (std::uint64_t i = 0; i < batch; ++i) {
      append.entries.push_back({Epoch(1), Index(++index), EntryKind::payload, payload});
    }
    writes[1] = SnapshotTaken{{Index(index), Epoch(1), {}, {}}};
    state.ResumeTiming();
    opened->wal->append(KeyspaceId(1), writes);
    if (auto synced = opened->wal->sync(); !synced) return state.SkipWithError(synced.error().what.c_str());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(index * value));
  state.SetItemsProcessed(static_cast<std::int64_t>(index));
  const auto stats = opened->wal->stats();
  state.counters["bytes/sync"] = static_cast<double>(stats.appended_bytes) / static_cast<double>(stats.syncs);
}

void Encode(benchmark::State& state) {
  NullDisk disk;
  run(state, disk);
}
BENCHMARK(Encode)->ArgNames({"entries", "bytes"})->Args({1, 256})->Args({1000, 256})->Args({100, 4096});

void Durable(benchmark::State& state) {
  std::string path = std::filesystem::current_path().string() + "/wal-bench-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return state.SkipWithError("no directory");
  {
    auto disk = open_directory(path);
    if (disk)
      run(state, **disk);
    else
      state.SkipWithError(disk.error().what.c_str());
  }
  std::filesystem::remove_all(path);
}
BENCHMARK(Durable)
    ->ArgNames({"entries", "bytes"})
    ->Args({1, 256})
    ->Args({100, 256})
    ->Args({1000, 256})
    ->UseRealTime();

void Crc32c(benchmark::State& state) {
  const std::string text(1U << 20U, 'x');
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(text));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) << 20);
}
BENCHMARK(Crc32c);

}  // namespace

BENCHMARK_MAIN();
