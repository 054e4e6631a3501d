// A command from its beginning to its commit: in steps where it takes long, with what watchers are told of
// it.
#include "models/etcd/etcd_model.h"

#include <utility>

#include <xxhash.h>

#include "core/codec.h"
#include "models/etcd/implementation.h"

namespace quorate::models::etcd {

namespace {

// Events a compaction looks at with every so many revisions, as with each tick. More than writers add, so
// that a compaction ends however much is written; not with each command, since finding the place costs more
// than looking at some events.
constexpr std::int64_t revisions_per_sweep = 16;
constexpr std::size_t sweep_per_step = 8 * revisions_per_sweep;
constexpr std::size_t sweep_bytes_per_step = 1U << 20U;
// Of changes to watchers, one to one, in a commit, and in a step of a command that has more of them.
constexpr std::size_t most_told_at_once = 1'000'000;
constexpr std::size_t told_in_a_step = 100'000;

}  // namespace

void Implementation::open(storage::Engine& engine) {
  work_.reset();
  arena_.Reset();
  complete_before_ = true;
  engine_ = &engine;
  state_ = load_state(engine);
  saved_ = visible_ = state_;
  leases_.load(engine);
  alarms_.load(engine);
  nodes_.load(engine);
  changes_.clear();
  changes_complete_ = true;
  hub_.open(engine, visible_.revision, visible_.compacted);
}

Bytes Implementation::apply(const Bytes& command, storage::Transaction& txn) {
  Pace unlimited;
  auto result = begin(command, txn, unlimited);
  while (!result) result = go_on();
  return *result;
}

std::optional<Bytes> Implementation::begin(const Bytes& command, storage::Transaction& txn, Pace& pace) {
  before_ = state_;
  txn_ = &txn;
  body_.clear();
  const std::string_view all = command.view();
  const auto op = all.empty() ? Op() : static_cast<Op>(all.front());
  if (!may_take_long(op)) {
    pace.spend(Pace::of_a_command);
    return result(execute(all, txn));
  }
  changes_before_ = changes_.size();
  complete_before_ = std::exchange(changes_complete_, true);
  worked_ = false;
  work_.emplace(execute_in_steps(op, all.substr(1), txn, pace));
  return steps();
}

void Implementation::settle(storage::Transaction& txn) {
  if (state_ == saved_) return;
  save_state(state_, txn);
  saved_ = state_;
}

void Implementation::forget_nodes(storage::Transaction& txn) { nodes_.forget(state_, txn); }

void Implementation::committed(Index) {
  visible_ = state_;
  const std::vector<Change> changes = std::exchange(changes_, {});
  const bool complete = std::exchange(changes_complete_, true);
  hub_.commit(changes, complete, visible_.revision, visible_.compacted);
}

// Time is logged only while it matters: for leases, and for a compaction that waits to be carried out.
std::optional<Bytes> Implementation::periodic(const ClockReading& now) {
  if (leases_.size() == 0 && state_.sweep_to == 0) return std::nullopt;
  if (alarms_.raised(etcdserverpb::CORRUPT)) return std::nullopt;  // time stands still, see tick()
  // A command that is half done has been applied by nobody, nor been answered what is in its batch.
  return command(Op::tick, codec::encode(Tick{now, visible_.ticks}).view());
}

std::optional<Bytes> Implementation::diverged(NodeId member) {
  if (alarms_.raised(etcdserverpb::CORRUPT, member)) return std::nullopt;
  return raise_alarm(etcdserverpb::CORRUPT, member);
}

Bytes Implementation::digest() const {
  const Bytes all = codec::encode(state_);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(all.data(), all.size()));
  return Bytes::copy({reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest});
}

std::optional<Bytes> Implementation::steps() {
  if (!worked_) worked_ = work_->go_on();
  if (!worked_ || much_to_tell()) {
    publish_before();
    hand_out();
  }
  if (!worked_ || much_to_tell()) return std::nullopt;
  const Error error = work_->result();
  work_.reset();
  const bool before = std::exchange(complete_before_, true);
  changes_complete_ = changes_complete_ && before;
  arena_.Reset();
  return result(error);
}

// Watchers are told of a command at its commit, but of so many changes it is prepared while it goes on.
bool Implementation::much_to_tell() const {
  return (changes_.size() - changes_before_) * hub_.size() > most_told_at_once;
}

void Implementation::hand_out() {
  const auto handed = static_cast<std::ptrdiff_t>(hub_.hand_out(changes_, told_in_a_step));
  changes_.erase(changes_.begin(), changes_.begin() + handed);
}

// A command is left half done. Those before it in its batch are through: from now on readers see them, and
// nothing later, since they read at the visible revision, which no compaction has gone beyond.
void Implementation::publish_before() {
  if (visible_ == before_) return;
  visible_ = before_;
  std::vector<Change> since(
      std::move_iterator(changes_.begin() + static_cast<std::ptrdiff_t>(changes_before_)),
      std::move_iterator(changes_.end()));
  changes_.resize(std::exchange(changes_before_, 0));
  const std::vector<Change> before = std::exchange(changes_, std::move(since));
  hub_.commit(before, std::exchange(complete_before_, true), visible_.revision, visible_.compacted);
}

void Implementation::sweep() {
  Pace unlimited;
  Sweep(state_, *txn_, sweep_per_step, sweep_bytes_per_step).go_on(unlimited);
}

Bytes Implementation::result(Error error) {
  if (state_.revision != before_.revision && state_.revision % revisions_per_sweep == 0) sweep();
  if (error != Error::none) body_.clear();
  return codec::encode(Result{error, state_.revision, Bytes::adopt(std::exchange(body_, {}))});
}

std::unique_ptr<EtcdModel> EtcdModel::create(std::size_t most_answer_bytes) {
  return std::make_unique<Implementation>(most_answer_bytes);
}

Bytes command(Op op, std::string_view request) {
  std::string bytes;
  bytes.reserve(1 + request.size());
  bytes.push_back(static_cast<char>(op));
  bytes.append(request);
  return Bytes::adopt(std::move(bytes));
}

}  // namespace quorate::models::etcd
