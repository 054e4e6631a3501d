#include "models/etcd/read.h"

#include <algorithm>
#include <compare>
#include <vector>

#include "models/etcd/wire.h"

namespace quorate::models::etcd {

namespace {

using etcdserverpb::RangeRequest;

enum Field : std::uint32_t { kvs = 2, more = 3, count = 4 };

constexpr std::size_t units_per_part = 2'000;  // also where rows are only counted

bool filtered(const RangeRequest& request) {
  return request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
         request.min_create_revision() != 0 || request.max_create_revision() != 0;
}

bool passes(const RangeRequest& request, const Record& record) {
  return (request.min_mod_revision() == 0 || record.mod >= request.min_mod_revision()) &&
         (request.max_mod_revision() == 0 || record.mod <= request.max_mod_revision()) &&
         (request.min_create_revision() == 0 || record.create >= request.min_create_revision()) &&
         (request.max_create_revision() == 0 || record.create <= request.max_create_revision());
}

void append_result(const RangeRequest& request, std::string_view key, std::string_view tail,
                   std::string& body) {
  if (!request.keys_only()) return append_key_value(body, kvs, key, tail);
  Record record = decode_tail(tail);
  record.value = {};
  append_key_value(body, kvs, key, encode_tail(record));
}

}  // namespace

struct RangeRead::Candidate {
  std::string key;
  std::string tail;
  std::int64_t number = 0;  // what is sorted by, unless that is key or value
  [[nodiscard]] std::size_t bytes() const { return key.size() + tail.size(); }
};

// The requested order; equal ones by key, so that every replica answers alike.
class RangeRead::Order {
 public:
  explicit Order(const RangeRequest& request)
      : target_(request.sort_target()), descending_(request.sort_order() == RangeRequest::DESCEND) {}

  // Cursors give ascending keys already.
  [[nodiscard]] bool natural() const { return target_ == RangeRequest::KEY && !descending_; }
  [[nodiscard]] std::int64_t number(const Record& record) const {
    switch (target_) {
      case RangeRequest::VERSION: return record.version;
      case RangeRequest::CREATE: return record.create;
      case RangeRequest::MOD: return record.mod;
      default: return 0;
    }
  }
  bool operator()(const Candidate& a, const Candidate& b) const {
    const std::strong_ordering order = compare(a, b);
    if (order != 0) return descending_ ? order > 0 : order < 0;
    return a.key < b.key;
  }

 private:
  [[nodiscard]] std::strong_ordering compare(const Candidate& a, const Candidate& b) const {
    if (target_ == RangeRequest::KEY) return a.key <=> b.key;
    if (target_ == RangeRequest::VALUE) return decode_tail(a.tail).value <=> decode_tail(b.tail).value;
    return a.number <=> b.number;
  }

  RangeRequest::SortTarget target_;
  bool descending_;
};

// A heap takes and gives one at a time, so that it can be left at any moment.
struct RangeRead::Heap {
  explicit Heap(const RangeRequest& request) : order(request) {}
  void push(Candidate candidate) {
    bytes += candidate.bytes();
    rows.push_back(std::move(candidate));
    std::ranges::push_heap(rows, order);
  }
  void drop_last() {
    std::ranges::pop_heap(rows, order);
    bytes -= rows.back().bytes();
    rows.pop_back();
  }

  Order order;
  std::vector<Candidate> rows;
  std::size_t bytes = 0;
};

RangeRead::RangeRead(const RangeRequest& request, const View& view, std::string& body)
    : request_(request),
      view_(view),
      body_(body),
      effort_(view.effort != nullptr ? *view.effort : unbounded_),
      range_(KeyRange::of(request.key(), request.range_end())),
      error_(check_revision(request.revision(), view)) {
  if (!request.count_only() && !Order(request).natural()) best_ = std::make_unique<Heap>(request);
}

RangeRead::~RangeRead() = default;

bool RangeRead::go_on(Pace& pace) {
  if (error_ != Error::none) return true;
  if (stage_ == Stage::scan && !scan(pace)) return false;
  if (stage_ == Stage::sort && !sort(pace)) return false;
  return write(pace);
}

// No cursor is kept over a pause: what it stands on may be gone by then.
bool RangeRead::scan(Pace& pace) {
  // The newest revision is read where the live keys are, also when asked for by number.
  const bool newest = request_.revision() <= 0 || request_.revision() == view_.revision;
  Scan scan(view_.reader, range_, newest ? view_.now() : request_.revision(), &effort_);
  for (; scan.valid(); scan.next(), ++in_range_) {
    if (pace.spent()) {
      range_.begin = scan.key();
      return false;
    }
    pace.spend(Pace::of_a_row(scan.tail().size()));
    if (!request_.count_only()) take(scan.key(), scan.tail());
  }
  stage_ = Stage::sort;
  if (best_) effort_.give(best_->bytes);
  sorted_ = best_ ? best_->rows.size() : 0;
  return true;
}

void RangeRead::take(std::string_view key, std::string_view tail) {
  best_ ? take_candidate(key, tail) : take_in_order(key, tail);
}

// Results in key order go straight into the body; behind the limit, keys are only counted.
void RangeRead::take_in_order(std::string_view key, std::string_view tail) {
  if (request_.limit() > 0 && matched_ > request_.limit()) return;
  if (filtered(request_) && !passes(request_, decode_tail(tail))) return;
  ++matched_;
  if (request_.limit() > 0 && matched_ > request_.limit()) return;
  const std::size_t before = body_.size();
  append_result(request_, key, tail, body_);
  effort_.give(body_.size() - before);
}

// Holds no more than the limit in memory, whatever the size of the range; without a limit the result, once.
void RangeRead::take_candidate(std::string_view key, std::string_view tail) {
  const Record record = decode_tail(tail);
  if (!passes(request_, record)) return;
  ++matched_;
  best_->push({std::string(key), std::string(tail), best_->order.number(record)});
  const bool many = request_.limit() > 0 && best_->rows.size() > static_cast<std::uint64_t>(request_.limit());
  if (many) best_->drop_last();
  if (best_->bytes > effort_.bytes_left()) effort_.give(best_->bytes);  // which ends the scan
}

bool RangeRead::sort(Pace& pace) {
  if (effort_.spent()) sorted_ = 0;
  for (; sorted_ > 0; --sorted_) {
    if (pace.spent()) return false;
    pace.spend(1);
    std::ranges::pop_heap(best_->rows.begin(), best_->rows.begin() + static_cast<std::ptrdiff_t>(sorted_),
                          best_->order);
  }
  stage_ = Stage::write;
  return true;
}

bool RangeRead::write(Pace& pace) {
  for (; best_ && !effort_.spent() && written_ < best_->rows.size(); ++written_) {
    if (pace.spent()) return false;
    pace.spend(1);
    Candidate& one = best_->rows[written_];
    append_result(request_, one.key, one.tail, body_);
    std::string().swap(one.tail);  // frees it: the result is not held twice
  }
  finish();
  return true;
}

void RangeRead::finish() {
  if (effort_.spent()) {
    error_ = Error::too_large;
    return;
  }
  if (!request_.count_only() && request_.limit() > 0 && matched_ > request_.limit())
    wire::append_int(body_, more, 1);
  wire::append_int(body_, count, in_range_);
}

Error validate(const RangeRequest& request) {
  if (request.key().empty()) return Error::empty_key;
  if (!RangeRequest::SortOrder_IsValid(request.sort_order())) return Error::invalid_sort_option;
  if (!RangeRequest::SortTarget_IsValid(request.sort_target())) return Error::invalid_sort_option;
  return Error::none;
}

Error check_revision(std::int64_t revision, const View& view) {
  if (revision <= 0) return Error::none;
  if (revision > view.revision) return Error::future_revision;
  if (revision < view.compacted) return Error::compacted;
  return Error::none;
}

Error read_range(const RangeRequest& request, const View& view, std::string& body) {
  Pace unlimited;
  RangeRead read(request, view, body);
  read.go_on(unlimited);
  return read.error();
}

Error read_range_part(const RangeRequest& request, const View& view, RangeCursor& cursor,
                      std::size_t max_bytes, std::string& body) {
  const bool natural =
      request.sort_target() == RangeRequest::KEY && request.sort_order() != RangeRequest::DESCEND;
  if (!natural || filtered(request)) return Error::invalid_sort_option;
  if (cursor.revision == 0) cursor.revision = view.revision;
  const std::int64_t revision = request.revision() > 0 ? request.revision() : cursor.revision;
  if (const Error error = check_revision(revision, view); error != Error::none) return error;
  KeyRange range = KeyRange::of(request.key(), request.range_end());
  if (!cursor.next.empty()) range.begin = cursor.next;
  const auto begins_at = body.size();
  std::size_t units = 0;
  for (Scan scan(view.reader, range, revision == view.revision ? view.now() : revision); scan.valid();
       scan.next()) {
    const bool full = request.limit() > 0 && cursor.taken == request.limit();
    const bool wanted = !full && !request.count_only();
    const bool enough = body.size() - begins_at >= max_bytes && body.size() != begins_at;
    if ((wanted && enough) || units >= units_per_part) {
      cursor.next = scan.key();
      return Error::none;
    }
    units += Pace::of_a_row(scan.tail().size());
    if (wanted) {
      append_result(request, scan.key(), scan.tail(), body);
      ++cursor.taken;
    }
    ++cursor.seen;
  }
  cursor.done = true;
  if (!request.count_only() && cursor.taken < cursor.seen) wire::append_int(body, more, 1);
  wire::append_int(body, count, cursor.seen);
  return Error::none;
}

}  // namespace quorate::models::etcd
