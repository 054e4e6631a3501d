#include "storage/wal_replay.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace quorate::storage::wal {
namespace {

// Entries behind the snapshot that are kept for followers who lag a little; more would only cost memory.
constexpr std::uint64_t kept_entries = 8192;

void trim(std::vector<Entry>& log, const KeyspaceState& state) {
  if (!log.empty() && log.back().index > state.last()) {
    const auto keep = state.last() < log.front().index ? 0 : state.last() - log.front().index + 1;
    log.resize(keep);
  }
  if (!log.empty() && log.back().index < state.last()) log.clear();  // a snapshot went past its end
  // In large steps, since each moves all that is kept.
  const auto bound = state.snapshot_index();
  if (log.empty() || log.front().index + 2 * kept_entries > bound) return;
  const auto drop = std::min<std::uint64_t>(bound - log.front().index - kept_entries, log.size());
  log.erase(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(drop));
}

std::string missing(KeyspaceId keyspace, Index first) {
  return "entry " + to_string(first) + " of keyspace " + to_string(keyspace) + " is missing";
}

}  // namespace

std::expected<void, std::string> Replay::checkpoint(const Bytes& body) {
  States states;
  if (!decode_checkpoint(body, states)) return std::unexpected("the checkpoint can not be decoded");
  if (!std::exchange(started_, true)) {
    states_ = std::move(states);
    return {};
  }
  const bool agrees = std::ranges::equal(states, states_, [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.same_as(b.second);
  });
  if (!agrees) return std::unexpected("the checkpoint contradicts the batches in front of it");
  return {};
}

std::expected<void, std::string> Replay::writes(const Bytes& body, std::uint64_t segment) {
  const bool ok = decode_groups(
      body, [&](KeyspaceId keyspace, Write write) { return apply(keyspace, std::move(write), segment); });
  if (!ok) return std::unexpected("the batch matches its checksum and makes no sense");
  return {};
}

bool Replay::apply(KeyspaceId keyspace, Write write, std::uint64_t segment) {
  auto& state = states_[keyspace];
  auto& log = logs_[keyspace];
  if (const auto* put = std::get_if<PutRecord>(&write)) {
    state.put(*put);
  } else if (auto* append = std::get_if<AppendEntries>(&write)) {
    if (append->entries.empty()) return true;
    if (!state.append(append->entries.front().index, append->entries.size(), segment)) return false;
    std::ranges::move(append->entries, std::back_inserter(log));
  } else if (const auto* cut = std::get_if<TruncateFrom>(&write)) {
    if (cut->index <= state.snapshot_index()) log.clear();  // what is left would not reach the snapshot
    state.truncate(cut->index);
    trim(log, state);
  } else {
    state.take_snapshot(std::get<SnapshotTaken>(write).meta);
    trim(log, state);
  }
  return true;
}

std::expected<void, std::string> Replay::finish(States& states, std::map<KeyspaceId, Recovered>& keyspaces) {
  for (const auto& [keyspace, state] : states_) {
    auto& log = logs_[keyspace];
    const Index first = state.snapshot_index().next();
    const bool wanted = state.last() >= first;
    if (wanted && (log.empty() || log.front().index > first))
      return std::unexpected(missing(keyspace, first));
    keyspaces[keyspace] = Recovered{state.records(), state.snapshot(), std::move(log)};
  }
  states = std::move(states_);
  return {};
}

}  // namespace quorate::storage::wal
