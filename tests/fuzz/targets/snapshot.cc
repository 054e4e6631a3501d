// A snapshot's chunks lost, repeated, out of order, of two transfers at once, forged: a state that is called
// complete by honest senders is one that was sent, row by row; forged chunks are refused or received, never a
// crash.
#include <map>
#include <memory>
#include <vector>

#include "choices.h"
#include "core/codec.h"
#include "fuzz.h"
#include "generate.h"
#include "models/etcd/etcd_model.h"
#include "replica/snapshot_receiver.h"
#include "replica/snapshot_sender.h"
#include "replica/state.h"
#include "storage/memory_engine.h"

namespace quorate::fuzz {
namespace {

using namespace replica;

using Rows = std::map<std::pair<std::size_t, std::string>, std::string>;

Rows rows_of(const storage::Reader& reader) {
  Rows rows;
  for (std::size_t table = 0; table < storage::table_count; ++table) {
    const auto cursor = reader.cursor(storage::Table(table));
    for (cursor->seek(""); cursor->valid(); cursor->next()) {
      if (table != 0 || cursor->key() != complete_key)
        rows.emplace(std::pair(table, std::string(cursor->key())), std::string(cursor->value()));
    }
  }
  return rows;
}

struct Source {
  NodeId from;
  std::vector<SnapshotChunk> chunks;
  Rows rows;
};

// The state behind some puts, cut into chunks.
Source make_source(NodeId from, Choices& choices) {
  storage::MemoryHome home;
  auto live = home.open_live();
  require(live.has_value(), "no engine");
  State state(home, std::move(*live), models::etcd::EtcdModel::create());
  CommandBatch batch;
  for (auto n = choices.below(12); n > 0; --n) {
    std::string put("\x0a\x01k\x12", 4);  // PutRequest: key, value
    const auto value = static_cast<char>(choices.below(100));
    put += value + std::string(static_cast<std::size_t>(value), 'v');
    put[2] = static_cast<char>('a' + choices.below(8));
    batch.commands.push_back(
        {{from, 1, batch.commands.size() + 1}, 0, models::etcd::command(models::etcd::Op::put, put)});
  }
  std::vector<Entry> entries;
  const auto last = 1 + choices.below(3);
  for (std::uint64_t i = 1; i <= last; ++i)
    entries.push_back({Epoch(1), Index(i), EntryKind::payload, codec::encode(batch)});
  require(state.apply(entries, from, 1).has_value(), "entries do not apply");
  Source source{from, {}, rows_of(state.engine())};
  SnapshotSender sender(1 + choices.below(2), Epoch(1), state.meta(), state.engine().snapshot(),
                        {.chunk_bytes = 1 + choices.below(200)}, Instant());
  for (auto chunks = sender.fill_window({}); !chunks.empty(); chunks = sender.fill_window({})) {
    for (auto& chunk : chunks) source.chunks.push_back(std::move(chunk));
    sender.acknowledged(source.chunks.size(), Instant());
  }
  return source;
}

void run(Choices& choices) {
  const Source sources[] = {make_source(NodeId(2), choices), make_source(NodeId(3), choices)};
  std::size_t next[] = {0, 0};
  storage::MemoryHome home;
  SnapshotReceiver receiver(home, 10s);
  Instant now{1s};
  bool forged = false;
  for (int steps = 0; steps < 200 && !choices.empty(); ++steps) {
    const auto act = choices.below(8);
    now += std::chrono::seconds(choices.below(2) * choices.below(8));
    SnapshotChunk chunk;
    NodeId from(choices.below(4));
    const std::size_t of = act % 2;
    if (act < 4) {  // in order
      chunk = sources[of].chunks[std::min(next[of]++, sources[of].chunks.size() - 1)];
      from = sources[of].from;
    } else if (act < 6) {  // any of them
      next[of] = choices.below(sources[of].chunks.size());
      chunk = sources[of].chunks[next[of]];
      from = sources[of].from;
    } else if (act == 6) {
      chunk = generate<SnapshotChunk>(choices);
      forged = true;
    } else {
      receiver.close();
      home.discard_staging();
      continue;
    }
    const auto step = receiver.chunk(from, chunk, now);
    if (!step) {
      require(forged, "honest chunks fail: " + step.error());
      return;  // the node would stop
    }
    if (!step->completed) continue;
    require(receiver.staged().has_value(), "complete, but nothing is staged");
    auto staging = home.open_staging();
    require(staging.has_value(), "complete, but the state is not there");
    if (!forged) {
      const auto rows = rows_of(**staging);
      require(rows == sources[0].rows || rows == sources[1].rows, "completed a state that was not sent");
    }
  }
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(snapshot) {
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
