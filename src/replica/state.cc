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

// Twenty digits, so that keys stand in the order of the ids.
std::string session_key(NodeId node) {
  constexpr std::size_t digits = 20;
  std::string key(session_prefix);
  key.append(digits, '0');
  auto left = node.value;
  for (auto digit = key.rbegin(); left != 0; ++digit, left /= 10) *digit = static_cast<char>('0' + left % 10);
  return key;
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
  txn.put(storage::Table::system, applied_key, codec::encode(applied));
}

void State::load() {
  txn_.emplace(*live_);
  progress_ = {};
  half_done_ = members_changed_ = false;
  applied_ = reached_ = read_applied(*live_);
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
  if (applied_.membership.members.empty()) applied_.membership = reached_.membership = membership;
}

SnapshotMeta State::meta() const {
  return {applied_.index, applied_.epoch, applied_.membership, model_->digest()};
}

std::expected<void, std::string> State::take(std::vector<Entry> entries) {
  Index last = waiting_.empty() ? reached_.index : waiting_.back().index;
  const std::size_t before = waiting_.size();
  for (Entry& entry : entries) {
    if (entry.index <= last) continue;
    if (entry.index != last.next()) {
      waiting_.resize(before);
      return std::unexpected(
          fmt::format("entry {} committed while {} is applied", entry.index.value, last.value));
    }
    last = entry.index;
    waiting_.push_back(std::move(entry));
  }
  for (std::size_t i = before; i < waiting_.size(); ++i) waiting_bytes_ += waiting_[i].payload.size();
  return {};
}

std::vector<State::Executed> State::apply(models::Pace& pace, NodeId self, std::uint64_t incarnation) {
  const bool settle_behind = half_done_;  // or a row of long commands would never leave the state settled
  while (!waiting_.empty()) {
    if (!apply_front(pace, self, incarnation)) return {};
    drop_front();
    if (settle_behind || pace.spent()) break;
  }
  if (reached_.index == applied_.index) return {};
  settle();
  return std::exchange(progress_.executed, {});
}

std::expected<std::vector<State::Executed>, std::string> State::apply(std::vector<Entry> entries, NodeId self,
                                                                      std::uint64_t incarnation) {
  if (auto taken = take(std::move(entries)); !taken) return std::unexpected(taken.error());
  models::Pace unlimited;
  return apply(unlimited, self, incarnation);
}

// The oldest entry, from where it was left; true when it is through.
bool State::apply_front(models::Pace& pace, NodeId self, std::uint64_t incarnation) {
  const Entry& entry = waiting_.front();
  if (entry.kind == EntryKind::payload && !apply_commands(pace, self, incarnation)) return false;
  reached_.index = entry.index;
  reached_.epoch = entry.epoch;
  if (entry.kind == EntryKind::membership) {
    if (auto membership = codec::decode<Membership>(entry.payload)) apply_membership(std::move(*membership));
  }
  if (entry.index == sample_at_) sample_.emplace(entry.index, model_->digest());
  return true;
}

void State::drop_front() {
  waiting_bytes_ -= waiting_.front().payload.size();
  waiting_.pop_front();
  progress_.begun = false;
}

void State::settle() {
  auto& touched = progress_.touched;
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  for (const NodeId node : touched) {
    txn_->put(storage::Table::system, session_key(node), codec::encode(sessions_.by_node[node.value]));
  }
  touched.clear();
  model_->settle(*txn_);
  applied_.index = reached_.index;
  applied_.epoch = reached_.epoch;
  if (std::exchange(members_changed_, false)) applied_.membership = reached_.membership;
  write_applied(*txn_, applied_);
  model_->committed(applied_.index);
}

void State::apply_membership(Membership next) {
  const Membership before = std::exchange(reached_.membership, std::move(next));
  members_changed_ = true;
  const std::size_t known = departed_.nodes.size();
  const auto leave = [this](const std::vector<Member>& members) {
    for (const Member& member : members) {
      if (reached_.membership.find(member.id) == nullptr && !removed(member.id))
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
  txn_->put(storage::Table::system, departed_key, codec::encode(departed_));
}

bool State::apply_commands(models::Pace& pace, NodeId self, std::uint64_t incarnation) {
  auto& [executed, touched, batch, next, begun] = progress_;
  if (!std::exchange(begun, true)) {
    // What does not decode is nothing a replica ever proposed; skipped alike everywhere.
    batch = codec::decode<CommandBatch>(waiting_.front().payload).value_or(CommandBatch{});
    next = 0;
  }
  for (; next < batch.commands.size(); ++next) {
    const Command& command = batch.commands[next];
    if (!half_done_) {
      // Before it is admitted: a duplicate may tell of settled numbers, and what it tells must outlive a
      // restart, or replicas would disagree about a late command.
      if (touched.empty() || touched.back() != command.id.origin) touched.push_back(command.id.origin);
      if (!sessions_.admit(command)) continue;
    }
    auto result = execute(command, pace);
    if (!result) return false;
    if (command.id.origin == self && command.id.incarnation == incarnation) {
      executed.push_back({command.id.number, std::move(*result)});
    }
  }
  return true;
}

std::optional<Bytes> State::execute(const Command& command, models::Pace& pace) {
  pace_ = pace;
  auto result = half_done_ ? model_->go_on() : model_->begin(command.body, *txn_, pace_);
  pace = pace_;
  half_done_ = !result;
  return result;
}

std::expected<void, std::string> State::restore() {
  live_.reset();
  if (auto promoted = home_->promote_staging(); !promoted) return std::unexpected(promoted.error().what);
  auto opened = home_->open_live();
  if (!opened) return std::unexpected(opened.error().what);
  live_ = std::move(*opened);
  load();
  while (!waiting_.empty() && waiting_.front().index <= applied_.index) drop_front();
  return {};
}

}  // namespace quorate::replica
