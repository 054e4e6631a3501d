#include "models/etcd/etcd_model.h"

#include <algorithm>
#include <utility>

#include <google/protobuf/arena.h>
#include <xxhash.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/alarms.h"
#include "models/etcd/audit.h"
#include "models/etcd/leases.h"
#include "models/etcd/read.h"
#include "models/etcd/store.h"
#include "models/etcd/watch_hub.h"
#include "models/etcd/wire.h"
#include "models/etcd/write.h"
#include "models/stepwise.h"

namespace quorate::models::etcd {

namespace {

// Events a compaction looks at with every so many revisions, and with each tick. More than writers add, so
// that a compaction ends however much is written; not with each command, since finding the place costs more
// than looking at some events.
constexpr std::int64_t revisions_per_sweep = 16;
constexpr std::size_t sweep_per_step = 8 * revisions_per_sweep;
constexpr std::size_t sweep_bytes_per_step = 1U << 20U;
constexpr std::size_t sweep_per_tick = 1024;
constexpr std::size_t sweep_bytes_per_tick = 32U << 20U;
// Of changes to watchers, one to one, in a commit, and in a step of a command that has more of them.
constexpr std::size_t most_told_at_once = 1'000'000;
constexpr std::size_t told_in_a_step = 100'000;
// Leases ended by one tick; the rest follows with the next.
constexpr std::size_t expiries_per_tick = 1000;

// What a read may take before it is a long one.
constexpr std::size_t quick_rows = 1'000;
constexpr std::size_t quick_bytes = 256U << 10U;
constexpr std::size_t quick_passed = 1U << 20U;
// What the reads within one command may take: every replica does them, and does nothing else meanwhile.
constexpr std::size_t command_rows = 1'000'000;
constexpr std::size_t command_bytes = 64U << 20U;

std::string node_row(NodeId node) {
  std::string row(node_prefix);
  append_u64(row, node.value);
  return row;
}

std::string node_element(NodeId node, const NodeInfo& info) {
  return kind::node + node_row(node) + codec::encode(info).str();
}

template <class Message>
Message* parse(google::protobuf::Arena& arena, std::string_view request) {
  auto* message = google::protobuf::Arena::CreateMessage<Message>(&arena);
  return message->ParseFromArray(request.data(), static_cast<int>(request.size())) ? message : nullptr;
}

class Implementation final : public EtcdModel {
 public:
  explicit Implementation(std::size_t most_answer_bytes) : most_answer_bytes_(most_answer_bytes) {}

  void open(storage::Engine& engine) override {
    work_.reset();
    arena_.Reset();
    complete_before_ = true;
    engine_ = &engine;
    state_ = load_state(engine);
    saved_ = visible_ = state_;
    leases_.load(engine);
    alarms_.load(engine);
    load_nodes(engine);
    changes_.clear();
    changes_complete_ = true;
    hub_.open(engine, visible_.revision, visible_.compacted);
  }

  Bytes apply(const Bytes& command, storage::Transaction& txn) override {
    Pace unlimited;
    auto result = begin(command, txn, unlimited);
    while (!result) result = go_on();
    return *result;
  }

  std::optional<Bytes> begin(const Bytes& command, storage::Transaction& txn, Pace& pace) override {
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

  std::optional<Bytes> go_on() override { return steps(); }

  void settle(storage::Transaction& txn) override {
    if (state_ == saved_) return;
    save_state(state_, txn);
    saved_ = state_;
  }

  void forget_nodes(storage::Transaction& txn) override {
    for (const auto& [node, info] : std::exchange(nodes_, {})) {
      state_.live.remove(node_element(node, info));
      txn.erase(table::meta, node_row(node));
    }
  }

  void committed(Index) override {
    visible_ = state_;
    const std::vector<Change> changes = std::exchange(changes_, {});
    const bool complete = std::exchange(changes_complete_, true);
    hub_.commit(changes, complete, visible_.revision, visible_.compacted);
  }

  // Time is logged only while it matters: for leases, and for a compaction that waits to be carried out.
  std::optional<Bytes> periodic(const ClockReading& now) override {
    if (leases_.size() == 0 && state_.sweep_to == 0) return std::nullopt;
    if (alarms_.raised(etcdserverpb::CORRUPT)) return std::nullopt;  // time stands still, see tick()
    // A command that is half done has been applied by nobody, nor been answered what is in its batch.
    return command(Op::tick, codec::encode(Tick{now, visible_.ticks}).view());
  }

  std::optional<Bytes> diverged(NodeId member) override {
    if (alarms_.raised(etcdserverpb::CORRUPT, member)) return std::nullopt;
    return raise_alarm(etcdserverpb::CORRUPT, member);
  }

  Bytes query(const Bytes& request) override {
    google::protobuf::Arena arena;
    const auto* parsed = parse<etcdserverpb::RangeRequest>(arena, request.view());
    return codec::encode(parsed != nullptr ? range(*parsed) : answer(Error::malformed, {}));
  }

  // Everything the state holds is in `state_`, be it as a hash.
  [[nodiscard]] std::uint32_t digest_format() const override { return 2; }  // 1: sweeps had no bound in bytes
  [[nodiscard]] Bytes digest() const override {
    const Bytes all = codec::encode(state_);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(all.data(), all.size()));
    return Bytes::copy({reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest});
  }

  Result range(const etcdserverpb::RangeRequest& request) override {
    if (const Error error = validate(request); error != Error::none) return answer(error, {});
    Effort most(SIZE_MAX, most_answer_bytes_);
    std::string body;
    const Error error = read_range(request, view(&most), body);
    return answer(error, std::move(body));
  }

  Reading begin_range(const etcdserverpb::RangeRequest& request) override {
    if (const Error error = validate(request); error != Error::none) return answer(error, {});
    if (const Error error = check_revision(request.revision(), view()); error != Error::none)
      return answer(error, {});
    // What it takes to find an earlier revision is not known before.
    const bool past = request.revision() > 0 && request.revision() != visible_.revision;
    if (!past || request.range_end().empty()) {
      Effort quick(quick_rows, quick_bytes, quick_passed);
      std::string body;
      const Error error = read_range(request, view(&quick), body);
      if (!quick.spent()) return answer(error, std::move(body));
    }
    return later(
        [request](const View& then, std::string& answer) { return read_range(request, then, answer); });
  }

  Result range_part(const etcdserverpb::RangeRequest& request, RangeCursor& cursor,
                    std::size_t max_bytes) override {
    if (const Error error = validate(request); error != Error::none) return answer(error, {});
    std::string body;
    const Error error = read_range_part(request, view(), cursor, max_bytes, body);
    Result result = answer(error, std::move(body));
    result.revision = cursor.revision;
    return result;
  }

  Result read_txn(const etcdserverpb::TxnRequest& request) override {
    if (const Error error = validate(request); error != Error::none) return answer(error, {});
    if (has_writes(request)) return answer(Error::malformed, {});
    Effort most(SIZE_MAX, most_answer_bytes_);
    std::string body;
    const Error error = etcd::read(request, view(&most), body);
    return answer(error, std::move(body));
  }

  Reading begin_read_txn(const etcdserverpb::TxnRequest& request) override {
    if (const Error error = validate(request); error != Error::none) return answer(error, {});
    if (has_writes(request)) return answer(Error::malformed, {});
    Effort quick(quick_rows, quick_bytes, quick_passed);
    std::string body;
    const Error error = etcd::read(request, view(&quick), body);
    if (!quick.spent()) return answer(error, std::move(body));
    return later(
        [request](const View& then, std::string& answer) { return etcd::read(request, then, answer); });
  }

  Result lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request) override {
    std::string body;
    wire::append_int(body, 2, request.id());
    const LeaseRecord* lease = leases_.find(request.id());
    if (lease == nullptr) {
      wire::append_int(body, 3, -1);
      return answer(Error::none, std::move(body));
    }
    wire::append_int(body, 3, Leases::seconds_left(*lease, state_.log_time));
    wire::append_int(body, 4, lease->ttl);
    if (request.keys()) {
      for (const auto& key : attached_keys(*engine_, request.id())) wire::append_message(body, 5, key);
    }
    return answer(Error::none, std::move(body));
  }

  Result lease_leases() override {
    std::string body;
    for (const std::int64_t id : leases_.by_end(state_.log_time)) {
      std::string status;
      wire::append_int(status, 1, id);
      wire::append_message(body, 2, status);
    }
    return answer(Error::none, std::move(body));
  }

  Result hash_kv(const etcdserverpb::HashKVRequest& request) override {
    if (const Error error = check_revision(request.revision(), view()); error != Error::none)
      return answer(error, {});
    const std::int64_t revision = request.revision() > 0 ? request.revision() : visible_.revision;
    const std::uint64_t chain = chain_at(*engine_, visible_, revision);
    std::string body;
    wire::append_int(body, 2, static_cast<std::int64_t>(static_cast<std::uint32_t>(chain ^ (chain >> 32U))));
    wire::append_int(body, 3, visible_.compacted);
    wire::append_int(body, 4, revision);
    return answer(Error::none, std::move(body));
  }

  Audit begin_audit() override {
    return [state = engine_->snapshot()] { return intact(*state); };
  }

  WatchHub& watches() override { return hub_; }
  [[nodiscard]] std::int64_t revision() const override { return visible_.revision; }
  [[nodiscard]] std::map<NodeId, NodeInfo> published() const override { return nodes_; }
  [[nodiscard]] Statistics statistics() const override {
    return {.revision = visible_.revision,
            .compact_revision = visible_.compacted,
            .keys = static_cast<std::uint64_t>(visible_.keys),
            .bytes = static_cast<std::uint64_t>(visible_.bytes),
            .leases = leases_.size(),
            .watchers = hub_.size()};
  }
  [[nodiscard]] std::vector<Alarm> alarms() const override {
    std::vector<Alarm> raised;
    for (const auto& [type, member] : alarms_.all()) raised.push_back({member, type});
    return raised;
  }

 private:
  [[nodiscard]] View view(Effort* effort = nullptr) const {
    return {*engine_, visible_.revision, visible_.compacted, effort, !work_.has_value()};
  }
  template <class Read>
  [[nodiscard]] LongRead later(Read read) const {
    return [read = std::move(read), engine = engine_->snapshot(), revision = visible_.revision,
            compacted = visible_.compacted, bytes = most_answer_bytes_, settled = !work_.has_value()] {
      Effort most(SIZE_MAX, bytes);
      std::string body;
      const Error error = read(View{*engine, revision, compacted, &most, settled}, body);
      if (error != Error::none) body.clear();
      return Result{error, revision, Bytes::adopt(std::move(body))};
    };
  }
  [[nodiscard]] Result answer(Error error, std::string body) const {
    if (error != Error::none) body.clear();
    return {error, visible_.revision, Bytes::adopt(std::move(body))};
  }

  // With nobody watching, changes are not kept for the hub: it is told that some are missing.
  ChangeSink sink() { return hub_.size() != 0 ? &changes_ : nullptr; }

  // Those whose work is not bounded by their size.
  static bool may_take_long(Op op) {
    return op == Op::delete_range || op == Op::txn || op == Op::lease_revoke || op == Op::tick;
  }

  std::optional<Bytes> steps() {
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
  [[nodiscard]] bool much_to_tell() const {
    return (changes_.size() - changes_before_) * hub_.size() > most_told_at_once;
  }
  void hand_out() {
    const auto handed = static_cast<std::ptrdiff_t>(hub_.hand_out(changes_, told_in_a_step));
    changes_.erase(changes_.begin(), changes_.begin() + handed);
  }

  // A command is left half done. Those before it in its batch are through: from now on readers see them, and
  // nothing later, since they read at the visible revision, which no compaction has gone beyond.
  void publish_before() {
    if (visible_ == before_) return;
    visible_ = before_;
    std::vector<Change> since(
        std::move_iterator(changes_.begin() + static_cast<std::ptrdiff_t>(changes_before_)),
        std::move_iterator(changes_.end()));
    changes_.resize(std::exchange(changes_before_, 0));
    const std::vector<Change> before = std::exchange(changes_, std::move(since));
    hub_.commit(before, std::exchange(complete_before_, true), visible_.revision, visible_.compacted);
  }

  void sweep() {
    Pace unlimited;
    Sweep(state_, *txn_, sweep_per_step, sweep_bytes_per_step).go_on(unlimited);
  }

  Bytes result(Error error) {
    if (state_.revision != before_.revision && state_.revision % revisions_per_sweep == 0) sweep();
    if (error != Error::none) body_.clear();
    return codec::encode(Result{error, state_.revision, Bytes::adopt(std::exchange(body_, {}))});
  }

  Error execute(std::string_view command, storage::Transaction& txn) {
    if (command.empty()) return Error::malformed;
    const auto op = static_cast<Op>(command.front());
    const std::string_view request = command.substr(1);
    if (op == Op::publish) return publish(request, txn);
    if (op == Op::alarm) return alarm(request, txn, body_);
    if (const Error refused = refused_by_alarm(op); refused != Error::none) return refused;
    Writer writer(state_, txn, sink(), scratch_);
    const Error error = execute(op, request, writer, txn);
    finish(writer);
    arena_.Reset();
    return error;
  }

  Stepwise<Error> execute_in_steps(Op op, std::string_view request, storage::Transaction& txn, Pace& pace) {
    if (op == Op::tick) {
      const Error error = co_await tick(request, txn, pace);
      co_return error;
    }
    if (const Error refused = refused_by_alarm(op); refused != Error::none) co_return refused;
    pace.spend(Pace::of_a_command);
    Writer writer(state_, txn, sink(), scratch_);
    Error error = Error::malformed;
    if (op == Op::delete_range) error = co_await delete_range(request, writer, pace);
    if (op == Op::txn) error = co_await transaction(request, writer, pace);
    if (op == Op::lease_revoke) error = co_await revoke(request, writer, txn, pace);
    finish(writer);
    co_return error;
  }

  // What etcd's applier refuses while an alarm is raised. Under NOSPACE whatever makes room goes on; of
  // transactions those that put are refused, which shows when they are parsed.
  [[nodiscard]] Error refused_by_alarm(Op op) const {
    if (alarms_.all().empty()) return Error::none;
    if (alarms_.raised(etcdserverpb::CORRUPT) && op != Op::lease_keep_alive) return Error::corrupt;
    const bool grows = op == Op::put || op == Op::lease_grant;
    return grows && alarms_.raised(etcdserverpb::NOSPACE) ? Error::no_space : Error::none;
  }

  Error alarm(std::string_view request, storage::Transaction& txn, std::string& body) {
    etcdserverpb::AlarmRequest parsed;
    if (!parsed.ParseFromArray(request.data(), static_cast<int>(request.size()))) return Error::malformed;
    alarms_.execute(parsed, state_, txn, body);
    return Error::none;
  }

  void finish(Writer& writer) {
    if (writer.changed() && !writer.tells()) changes_complete_ = false;
    writer.finish();
  }

  Error execute(Op op, std::string_view request, Writer& writer, storage::Transaction& txn) {
    switch (op) {
      case Op::put: return put(request, writer);
      case Op::compact: return compact(request);
      case Op::lease_grant: return grant(request, txn, body_);
      case Op::lease_keep_alive: return keep_alive(request, txn, body_);
      default: return Error::malformed;
    }
  }

  Error put(std::string_view request, Writer& writer) {
    const auto parsed = Put::parse(request);
    if (!parsed) return parsed.error();
    if (const Error error = validate(*parsed); error != Error::none) return error;
    return etcd::execute(*parsed, leases_, writer, body_);
  }

  Stepwise<Error> delete_range(std::string_view request, Writer& writer, Pace& pace) {
    const auto* parsed = parse<etcdserverpb::DeleteRangeRequest>(arena_, request);
    if (parsed == nullptr) co_return Error::malformed;
    if (parsed->key().empty()) co_return Error::empty_key;
    Effort most(command_rows, command_bytes);
    RangeDeletion deletion(*parsed, writer, most, body_);
    while (!deletion.go_on(pace)) co_await Pause(pace);
    co_return deletion.error();
  }

  Stepwise<Error> transaction(std::string_view request, Writer& writer, Pace& pace) {
    const auto* parsed = parse<etcdserverpb::TxnRequest>(arena_, request);
    if (parsed == nullptr) co_return Error::malformed;
    if (const Error error = validate(*parsed); error != Error::none) co_return error;
    if (alarms_.raised(etcdserverpb::NOSPACE) && has_puts(*parsed)) co_return Error::no_space;
    Effort most(command_rows, command_bytes);
    const View before{writer.reader(), state_.revision, state_.compacted, &most};
    const Error error = co_await etcd::execute(*parsed, before, leases_, &writer, pace, body_);
    co_return error;
  }

  Error compact(std::string_view request) {
    const auto* parsed = parse<etcdserverpb::CompactionRequest>(arena_, request);
    if (parsed == nullptr) return Error::malformed;
    if (parsed->revision() <= state_.compacted) return Error::compacted;
    if (parsed->revision() > state_.revision) return Error::future_revision;
    begin_compaction(state_, parsed->revision());
    return Error::none;
  }

  Error grant(std::string_view request, storage::Transaction& txn, std::string& body) {
    const auto* parsed = parse<etcdserverpb::LeaseGrantRequest>(arena_, request);
    if (parsed == nullptr || parsed->id() == 0) return Error::malformed;
    if (parsed->ttl() > max_lease_ttl) return Error::lease_ttl_too_large;
    if (leases_.find(parsed->id()) != nullptr) return Error::lease_exists;
    const std::int64_t ttl = std::max(parsed->ttl(), min_lease_ttl);
    leases_.set(parsed->id(), ttl, state_, txn);
    append_lease(body, parsed->id(), ttl);
    return Error::none;
  }

  Error keep_alive(std::string_view request, storage::Transaction& txn, std::string& body) {
    const auto* parsed = parse<etcdserverpb::LeaseKeepAliveRequest>(arena_, request);
    if (parsed == nullptr) return Error::malformed;
    const LeaseRecord* lease = leases_.find(parsed->id());
    const std::int64_t ttl = lease != nullptr ? lease->ttl : 0;
    if (lease != nullptr) leases_.set(parsed->id(), ttl, state_, txn);
    append_lease(body, parsed->id(), ttl);
    return Error::none;
  }

  static void append_lease(std::string& body, std::int64_t id, std::int64_t ttl) {
    wire::append_int(body, 2, id);
    wire::append_int(body, 3, ttl);
  }

  Stepwise<Error> revoke(std::string_view request, Writer& writer, storage::Transaction& txn, Pace& pace) {
    const auto* parsed = parse<etcdserverpb::LeaseRevokeRequest>(arena_, request);
    if (parsed == nullptr) co_return Error::malformed;
    if (leases_.find(parsed->id()) == nullptr) co_return Error::lease_not_found;
    LeaseEnd end(parsed->id(), writer);
    while (!end.go_on(pace)) co_await Pause(pace);
    leases_.remove(parsed->id(), state_, txn);
    co_return Error::none;
  }

  Stepwise<Error> tick(std::string_view request, storage::Transaction& txn, Pace& pace) {
    const auto parsed = codec::decode<Tick>(Bytes::copy(request));
    if (!parsed || parsed->now.shown < Duration::zero()) co_return Error::malformed;
    if (alarms_.raised(etcdserverpb::CORRUPT)) co_return Error::corrupt;  // no lease ends on a state in doubt
    if (parsed->behind != state_.ticks) co_return Error::none;
    pace.spend(Pace::of_a_command);
    state_.log_time += counted(parsed->now);
    state_.last_tick = parsed->now;
    ++state_.ticks;
    while (leases_.begin_next(state_, txn)) {
      pace.spend(Pace::of_a_command);
      co_await Pause(pace);
    }
    const auto due = leases_.expired(state_.log_time, expiries_per_tick);
    for (const std::int64_t id : due) {
      Writer writer(state_, txn, sink(), scratch_);
      LeaseEnd end(id, writer);
      while (!end.go_on(pace)) co_await Pause(pace);
      leases_.remove(id, state_, txn);
      finish(writer);
      co_await Pause(pace);
    }
    Sweep sweep(state_, txn, sweep_per_tick, sweep_bytes_per_tick);
    while (!sweep.go_on(pace)) co_await Pause(pace);
    co_return Error::none;
  }

  // Readings of two clocks have nothing in common.
  [[nodiscard]] Duration counted(const ClockReading& now) const {
    const ClockReading& before = state_.last_tick;
    if (now.node != before.node || now.incarnation != before.incarnation) return {};
    return std::clamp(now.shown - before.shown, Duration::zero(), longest_tick);
  }

  Error publish(std::string_view request, storage::Transaction& txn) {
    const auto parsed = codec::decode<Publish>(Bytes::copy(request));
    if (!parsed) return Error::malformed;
    const auto it = nodes_.find(parsed->node);
    if (it != nodes_.end()) state_.live.remove(node_element(parsed->node, it->second));
    state_.live.add(node_element(parsed->node, parsed->info));
    nodes_.insert_or_assign(parsed->node, parsed->info);
    txn.put(table::meta, node_row(parsed->node), codec::encode(parsed->info).str());
    return Error::none;
  }

  void load_nodes(const storage::Reader& reader) {
    nodes_.clear();
    const auto cursor = reader.cursor(table::meta);
    for (cursor->seek(node_prefix); cursor->valid() && cursor->key().starts_with(node_prefix);
         cursor->next()) {
      const auto info = codec::decode<NodeInfo>(Bytes::copy(cursor->value()));
      if (info) nodes_.emplace(NodeId(read_u64(cursor->key().substr(node_prefix.size()))), *info);
    }
  }

  const std::size_t most_answer_bytes_;
  storage::Engine* engine_ = nullptr;
  State state_;    // after what was applied last
  State visible_;  // what readers see: after the last committed(), or what publish_before() tells
  State saved_;    // by the last settle()
  State before_;   // the command at hand
  Leases leases_;
  Alarms alarms_;
  std::map<NodeId, NodeInfo> nodes_;
  std::vector<Change> changes_;  // applied, not yet committed
  bool changes_complete_ = true;
  Hub hub_;
  google::protobuf::Arena arena_;
  Scratch scratch_;
  // Of the command at hand.
  storage::Transaction* txn_ = nullptr;
  std::string body_;
  std::size_t changes_before_ = 0;
  bool complete_before_ = true;
  std::optional<Steps<Error>> work_;  // of one that may take long; between two calls: it is half done
  bool worked_ = false;               // but for telling watchers
};

}  // namespace

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
