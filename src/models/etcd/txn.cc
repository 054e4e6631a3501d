// Transactions. etcd decides every comparison, those of nested transactions too, on the state before the
// transaction; the requests of the branches taken are then executed in order and see each other's changes.
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "models/etcd/wire.h"
#include "models/etcd/write.h"

namespace quorate::models::etcd {

namespace {

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using Ops = google::protobuf::RepeatedPtrField<RequestOp>;

// ---- Shape: empty keys, and keys written twice.

Error validate_shape(const TxnRequest& request);

Error validate_op(const RequestOp& op) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange: return validate(op.request_range());
    case RequestOp::kRequestPut: return validate(Put::of(op.request_put()));
    case RequestOp::kRequestDeleteRange:
      return op.request_delete_range().key().empty() ? Error::empty_key : Error::none;
    case RequestOp::kRequestTxn: return validate_shape(op.request_txn());
    case RequestOp::REQUEST_NOT_SET: break;
  }
  return Error::key_not_found;
}

Error validate_shape(const TxnRequest& request) {
  for (const auto& compare : request.compare()) {
    if (compare.key().empty()) return Error::empty_key;
  }
  for (const auto* branch : {&request.success(), &request.failure()}) {
    for (const auto& op : *branch) {
      if (const Error error = validate_op(op); error != Error::none) return error;
    }
  }
  return Error::none;
}

// A union of key ranges, kept as disjoint intervals begin -> end, no end meaning unbounded.
class Cover {
 public:
  void add(std::string begin, std::optional<std::string> end) {
    if (end && *end <= begin) return;
    auto it = parts_.upper_bound(begin);
    if (it != parts_.begin()) {
      auto before = std::prev(it);
      if (!before->second || *before->second >= begin) {
        begin = before->first;
        it = before;
      }
    }
    while (it != parts_.end() && (!end || it->first <= *end)) {
      if (!it->second || (end && *it->second > *end)) end = it->second;
      it = parts_.erase(it);
    }
    parts_.emplace(std::move(begin), std::move(end));
  }
  void add(const KeyRange& range) {
    switch (range.kind) {
      case KeyRange::Kind::point: return add(range.begin, range.begin + '\0');
      case KeyRange::Kind::bounded: return add(range.begin, range.end);
      case KeyRange::Kind::unbounded: return add(range.begin, std::nullopt);
    }
  }
  void add(const Cover& other) {
    for (const auto& [begin, end] : other.parts_) add(begin, end);
  }
  [[nodiscard]] bool contains(std::string_view key) const {
    auto it = parts_.upper_bound(key);
    if (it == parts_.begin()) return false;
    --it;
    return !it->second || key < *it->second;
  }

 private:
  std::map<std::string, std::optional<std::string>, std::less<>> parts_;
};

struct Writes {
  std::set<std::string_view> puts;
  Cover deletes;
};

bool collect_writes(const Ops& ops, Writes& writes);

// Puts of both branches count as one: only one of them will happen.
bool collect_nested(const TxnRequest& request, Writes& writes) {
  Writes on_success;
  Writes on_failure;
  if (!collect_writes(request.success(), on_success) || !collect_writes(request.failure(), on_failure))
    return false;
  on_success.puts.merge(on_failure.puts);
  for (const auto key : on_success.puts) {
    if (writes.deletes.contains(key) || !writes.puts.insert(key).second) return false;
  }
  writes.deletes.add(on_success.deletes);
  writes.deletes.add(on_failure.deletes);
  return true;
}

// False if a key is put twice, or put and deleted, where both can happen in one execution.
bool collect_writes(const Ops& ops, Writes& writes) {
  for (const auto& op : ops) {
    if (!op.has_request_delete_range()) continue;
    writes.deletes.add(KeyRange::of(op.request_delete_range().key(), op.request_delete_range().range_end()));
  }
  for (const auto& op : ops) {
    if (op.has_request_txn() && !collect_nested(op.request_txn(), writes)) return false;
  }
  for (const auto& op : ops) {
    if (!op.has_request_put()) continue;
    const std::string_view key = op.request_put().key();
    if (writes.deletes.contains(key) || !writes.puts.insert(key).second) return false;
  }
  return true;
}

// ---- Comparisons

template <class T>
bool related(const T& stored, Compare::CompareResult relation, const T& given) {
  switch (relation) {
    case Compare::EQUAL: return stored == given;
    case Compare::GREATER: return stored > given;
    case Compare::LESS: return stored < given;
    case Compare::NOT_EQUAL: return stored != given;
    default: return true;  // as etcd takes relations it does not know
  }
}

bool holds_for(const Compare& compare, const Record& record) {
  switch (compare.target()) {
    case Compare::VERSION: return related(record.version, compare.result(), compare.version());
    case Compare::CREATE: return related(record.create, compare.result(), compare.create_revision());
    case Compare::MOD: return related(record.mod, compare.result(), compare.mod_revision());
    case Compare::VALUE: return related(record.value, compare.result(), std::string_view(compare.value()));
    case Compare::LEASE: return related(record.lease, compare.result(), compare.lease());
    default: return true;
  }
}

// Whether all records of a range compare as wanted, found out in steps.
class Comparison {
 public:
  Comparison(const Compare& compare, const View& view)
      : compare_(compare), view_(view), range_(KeyRange::of(compare.key(), compare.range_end())) {}

  bool go_on(Pace& pace) {
    Scan scan(view_.reader, range_, view_.now(), view_.effort);
    if (!scan.valid() && first_)
      holds_ = compare_.target() != Compare::VALUE && holds_for(compare_, Record{});
    for (; scan.valid(); scan.next()) {
      if (pace.spent()) {
        range_.begin = scan.key();
        return false;
      }
      pace.spend(Pace::of_a_row(scan.tail().size()));
      first_ = false;
      holds_ = holds_for(compare_, decode_tail(scan.tail()));
      if (!holds_) return true;
    }
    return true;
  }
  [[nodiscard]] bool holds() const { return holds_; }

 private:
  const Compare& compare_;
  const View& view_;
  KeyRange range_;  // what is left of it
  bool first_ = true;
  bool holds_ = true;
};

// ---- Execution

// Which branch each transaction takes, in the order they are met: a nested one follows the one it is in.
using Path = std::vector<bool>;
struct Done {};

Stepwise<Done> decide(const TxnRequest& request, const View& view, Pace& pace, Path& path) {
  bool succeeded = true;
  for (const auto& compare : request.compare()) {
    Comparison comparison(compare, view);
    while (!comparison.go_on(pace)) co_await Pause(pace);
    succeeded = comparison.holds();
    if (!succeeded) break;
  }
  path.push_back(succeeded);
  for (const auto& op : succeeded ? request.success() : request.failure()) {
    if (op.has_request_txn()) co_await decide(op.request_txn(), view, pace, path);
  }
  co_return Done{};
}

class Execution {
 public:
  Execution(const View& before, const Leases& leases, Writer* writer, Pace& pace, Path path)
      : before_(before), leases_(leases), writer_(writer), pace_(pace), path_(std::move(path)) {}

  Error check(const TxnRequest& request) {
    for (const auto& op : branch(request)) {
      if (const Error error = check(op); error != Error::none) return error;
    }
    return Error::none;
  }
  void rewind() { step_ = 0; }
  [[nodiscard]] bool unanswerable() const { return unanswerable_; }

  Stepwise<Error> run(const TxnRequest& request, std::string& body) {
    const bool succeeded = path_[step_];
    wire::append_int(body, 2, succeeded ? 1 : 0);
    for (const auto& op : branch(request)) {
      std::string response;
      if (op.has_request_txn()) {
        std::string nested;
        const Error error = co_await run(op.request_txn(), nested);
        if (error != Error::none) co_return error;
        wire::append_message(response, 4, with_header(0, nested));
      } else {
        Operation operation(*this, op, response);
        while (!operation.go_on()) co_await Pause(pace_);
        if (operation.error() != Error::none) co_return operation.error();
      }
      wire::append_message(body, 3, response);
    }
    co_return Error::none;
  }

 private:
  const Ops& branch(const TxnRequest& request) {
    return path_[step_++] ? request.success() : request.failure();
  }

  Error check(const RequestOp& op) {
    switch (op.request_case()) {
      case RequestOp::kRequestRange: return check_revision(op.request_range().revision(), before_);
      case RequestOp::kRequestPut: return check(op.request_put());
      case RequestOp::kRequestTxn: return check(op.request_txn());
      default: return Error::none;
    }
  }
  Error check(const etcdserverpb::PutRequest& put) {
    std::string row;
    if ((put.ignore_value() || put.ignore_lease()) && !read_current(before_.reader, put.key(), row)) {
      return Error::key_not_found;
    }
    if (put.lease() != 0 && leases_.find(put.lease()) == nullptr) return Error::lease_not_found;
    return Error::none;
  }

  [[nodiscard]] std::int64_t revision() const {
    return writer_ != nullptr ? writer_->revision() : before_.revision;
  }

  // Responses within a transaction have a header that tells the revision and nothing else.
  static std::string with_header(std::int64_t revision, std::string_view body) {
    std::string header;
    wire::append_int(header, 3, revision);
    std::string message;
    wire::append_message(message, 1, header);
    return message.append(body);
  }

  // A single read or write of a transaction.
  class Operation {
   public:
    Operation(Execution& txn, const RequestOp& op, std::string& response)
        : txn_(txn), op_(op), response_(response), view_(txn.before_) {
      view_.revision = txn.revision();
      if (op.has_request_range() && !txn.unanswerable_) read_.emplace(op.request_range(), view_, body_);
      if (op.has_request_delete_range())
        deletion_.emplace(op.request_delete_range(), *txn.writer_, *view_.effort, body_);
    }
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    bool go_on() {
      if (read_ && !read_->go_on(txn_.pace_)) return false;
      if (deletion_ && !deletion_->go_on(txn_.pace_)) return false;
      finish();
      return true;
    }
    [[nodiscard]] Error error() const { return error_; }

   private:
    void finish() {
      switch (op_.request_case()) {
        case RequestOp::kRequestRange:
          if (read_) note(read_->error());
          return answer(1);
        case RequestOp::kRequestPut:
          error_ = execute(Put::of(op_.request_put()), txn_.leases_, *txn_.writer_, body_);
          txn_.pace_.spend(Pace::of_a_command);
          return answer(2);
        case RequestOp::kRequestDeleteRange: note(deletion_->error()); return answer(3);
        case RequestOp::kRequestTxn:
        case RequestOp::REQUEST_NOT_SET: return;
      }
    }
    // A transaction that has begun to write is carried out, even if its answer has become too large to give.
    void note(Error error) {
      error_ = error == Error::too_large ? Error::none : error;
      if (error != Error::too_large) return;
      txn_.unanswerable_ = true;
      body_.clear();
    }
    void answer(std::uint32_t field) {
      wire::append_message(response_, field, with_header(txn_.revision(), body_));
    }

    Execution& txn_;
    const RequestOp& op_;
    std::string& response_;
    std::string body_;
    View view_;
    std::optional<RangeRead> read_;
    std::optional<RangeDeletion> deletion_;
    Error error_ = Error::none;
  };

  View before_;
  const Leases& leases_;
  Writer* writer_;
  Pace& pace_;
  Path path_;
  std::size_t step_ = 0;
  bool unanswerable_ = false;
};

}  // namespace

Error validate(const TxnRequest& request) {
  if (const Error error = validate_shape(request); error != Error::none) return error;
  for (const auto* branch : {&request.success(), &request.failure()}) {
    Writes writes;
    if (!collect_writes(*branch, writes)) return Error::duplicate_key;
  }
  return Error::none;
}

bool has_writes(const TxnRequest& request) {
  for (const auto* branch : {&request.success(), &request.failure()}) {
    for (const auto& op : *branch) {
      if (op.has_request_put() || op.has_request_delete_range()) return true;
      if (op.has_request_txn() && has_writes(op.request_txn())) return true;
    }
  }
  return false;
}

bool has_puts(const TxnRequest& request) {
  const auto puts = [](const RequestOp& op) {
    return op.has_request_put() || (op.has_request_txn() && has_puts(op.request_txn()));
  };
  return std::ranges::any_of(request.success(), puts) || std::ranges::any_of(request.failure(), puts);
}

Stepwise<Error> execute(const TxnRequest& request, const View& before, const Leases& leases, Writer* writer,
                        Pace& pace, std::string& body) {
  Path path;
  co_await decide(request, before, pace, path);
  if (before.effort->spent()) co_return Error::too_large;
  Execution execution(before, leases, writer, pace, std::move(path));
  if (const Error error = execution.check(request); error != Error::none) co_return error;
  execution.rewind();
  const Error error = co_await execution.run(request, body);
  if (error != Error::none) co_return error;
  co_return execution.unanswerable() ? Error::too_large : Error::none;
}

Error read(const TxnRequest& request, const View& view, std::string& body) {
  const Leases none;  // only puts look at leases
  Pace unlimited;
  Steps<Error> steps(execute(request, view, none, nullptr, unlimited, body));
  steps.go_on();
  return steps.result();
}

}  // namespace quorate::models::etcd
