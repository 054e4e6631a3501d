#include "replica/state.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/codec.h"
#include "storage/transaction.h"

namespace quorate::replica {
namespace {

constexpr std::string_view applied_key = "applied";
constexpr std::string_view departed_key = "departed";
constexpr std::size_t most_departed = 1024;  // the oldest are forgotten
constexpr std::string_view session_prefix = "session/";

std::string session_key(NodeId node) { return fmt::format("{}{:020}", session_prefix, node.value); }

template <class T>
std::string encoded(const T& value) {
  std::string out;
  codec::encode_to(out, value);
  return out;
}

}  // namespace

State::State(storage::EngineHome& home, std::unique_ptr<storage::Engine> live,
             std::unique_ptr<models::Model> model)
    : home_(&home), live_(std::move(live)), model_(std::move(model)) {
  load();
}

AppliedPoint State::read_applied(const storage::Reader& engine) {
  std::string value;
  if (!engine.get(storage::Table::system, applied_key, value)) return {};
  return codec::decode<AppliedPoint>(Bytes::adopt(std::move(value))).value_or(AppliedPoint{});
}

void State::write_applied(storage::Transaction& txn, const AppliedPoint& applied) {
  txn.put(storage::Table::system, applied_key, encoded(applied));
}

void State::load() {
  applied_ = read_applied(*live_);
  std::string departed;
  departed_ = {};
  if (live_->get(storage::Table::system, departed_key, departed))
    departed_ = codec::decode<Departed>(Bytes::adopt(std::move(departed))).value_or(Departed{});
  sessions_ = {};
  auto cursor = live_->cursor(storage::Table::system);
  for (cursor->seek(session_prefix); cursor->valid() && cursor->key().starts_with(session_prefix);
       cursor->next()) {
    const auto node = std::stoull(std::string(cursor->key().substr(session_prefix.size())));
    sessions_.by_node[node] = codec::decode<Session>(Bytes::copy(cursor->value())).value_or(Session{});
  }
  model_->open(*live_);
}

void State::assume(const Membership& membership) {
  if (applied_.membership.members.empty()) applied_.membership = membership;
}

SnapshotMeta State::meta() const {
  return {applied_.index, applied_.epoch, applied_.membership, model_->digest()};
}

std::expected<std::vector<State::Executed>, std::string> State::apply(const std::vector<Entry>& entries,
                                                                      NodeId self,
                                                                      std::uint64_t incarnation) {
  std::vector<Executed> executed;
  std::vector<NodeId> touched;
  storage::Transaction txn(*live_);
  const Index before = applied_.index;
  for (const Entry& entry : entries) {
    if (entry.index <= applied_.index) continue;
    if (entry.index != applied_.index.next()) {
      return std::unexpected(
          fmt::format("entry {} committed while {} is applied", entry.index.value, applied_.index.value));
    }
    applied_.index = entry.index;
    applied_.epoch = entry.epoch;
    if (entry.kind == EntryKind::payload) apply_commands(entry, txn, self, incarnation, executed, touched);
    if (entry.kind == EntryKind::membership) {
      if (auto membership = codec::decode<Membership>(entry.payload))
        apply_membership(std::move(*membership), txn);
    }
    if (entry.index == sample_at_) sample_.emplace(entry.index, model_->digest());
  }
  if (applied_.index == before) return executed;
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  for (const NodeId node : touched) {
    txn.put(storage::Table::system, session_key(node), encoded(sessions_.by_node[node.value]));
  }
  model_->settle(txn);
  write_applied(txn, applied_);
  model_->committed(applied_.index);
  return executed;
}

void State::apply_membership(Membership next, storage::Transaction& txn) {
  const Membership before = std::exchange(applied_.membership, std::move(next));
  const std::size_t known = departed_.nodes.size();
  const auto leave = [this](const std::vector<Member>& members) {
    for (const Member& member : members) {
      if (applied_.membership.find(member.id) == nullptr && !removed(member.id))
        departed_.nodes.push_back(member.id);
    }
  };
  leave(before.members);
  leave(before.departing);
  if (departed_.nodes.size() == known) return;
  if (departed_.nodes.size() > most_departed) {
    const auto extra = static_cast<std::ptrdiff_t>(departed_.nodes.size() - most_departed);
    departed_.nodes.erase(departed_.nodes.begin(), departed_.nodes.begin() + extra);
  }
  txn.put(storage::Table::system, departed_key, encoded(departed_));
}

void State::apply_commands(const Entry& entry, storage::Transaction& txn, NodeId self,
                           std::uint64_t incarnation, std::vector<Executed>& executed,
                           std::vector<NodeId>& touched) {
  const auto batch = codec::decode<CommandBatch>(entry.payload);
  if (!batch) return;  // nothing a replica ever proposed; skipped alike everywhere
  for (const Command& command : batch->commands) {
    // Before it is admitted: a duplicate may tell of settled numbers, and what it tells must outlive a
    // restart, or replicas would disagree about a late command.
    if (touched.empty() || touched.back() != command.id.origin) touched.push_back(command.id.origin);
    if (!sessions_.admit(command)) continue;
    Bytes result = model_->apply(command.body, txn);
    if (command.id.origin == self && command.id.incarnation == incarnation) {
      executed.push_back({command.id.number, std::move(result)});
    }
  }
}

std::expected<void, std::string> State::restore() {
  live_.reset();
  if (auto promoted = home_->promote_staging(); !promoted) return std::unexpected(promoted.error().what);
  auto opened = home_->open_live();
  if (!opened) return std::unexpected(opened.error().what);
  live_ = std::move(*opened);
  load();
  return {};
}

}  // namespace quorate::replica
