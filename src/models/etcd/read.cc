#include "models/etcd/read.h"

#include <algorithm>
#include <compare>
#include <vector>

#include "models/etcd/wire.h"

namespace quorate::models::etcd {

namespace {

using etcdserverpb::RangeRequest;

enum Field : std::uint32_t { kvs = 2, more = 3, count = 4 };

struct Candidate {
  std::string key;
  std::string tail;
  std::int64_t number = 0;  // what is sorted by, unless that is key or value
};

constexpr std::size_t rows_per_part = 2'000;  // also where they are only counted

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

// The requested order; equal ones by key, so that every replica answers alike.
class Order {
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

struct Totals {
  std::int64_t in_range = 0;
  std::int64_t matched = 0;
};

// Results in key order go straight into the body; behind the limit, keys are only counted.
Totals read_in_key_order(const RangeRequest& request, Scan& scan, Effort& effort, std::string& body) {
  Totals totals;
  const bool filter = filtered(request);
  for (; scan.valid(); scan.next(), ++totals.in_range) {
    const bool full = request.limit() > 0 && totals.matched > request.limit();
    if (full) continue;
    if (filter && !passes(request, decode_tail(scan.tail()))) continue;
    ++totals.matched;
    if (request.limit() > 0 && totals.matched > request.limit()) continue;
    const std::size_t before = body.size();
    append_result(request, scan.key(), scan.tail(), body);
    effort.give(body.size() - before);
  }
  return totals;
}

// Holds at most about twice the limit in memory, whatever the size of the range; without a limit the result,
// once.
Totals read_sorted(const RangeRequest& request, const Order& order, Scan& scan, Effort& effort,
                   std::string& body) {
  Totals totals;
  std::vector<Candidate> best;
  const auto limit = request.limit() > 0 ? static_cast<std::uint64_t>(request.limit()) : UINT64_MAX;
  const std::uint64_t slack = std::max<std::uint64_t>(64, std::min<std::uint64_t>(limit, 1U << 20U));
  std::size_t held = 0;
  for (; scan.valid() && held <= effort.bytes_left(); scan.next(), ++totals.in_range) {
    const Record record = decode_tail(scan.tail());
    if (!passes(request, record)) continue;
    ++totals.matched;
    best.push_back({std::string(scan.key()), std::string(scan.tail()), order.number(record)});
    held += best.back().key.size() + best.back().tail.size();
    const bool many = best.size() > limit && best.size() - limit >= slack;
    if (many || (held > effort.bytes_left() && best.size() > limit)) {
      std::ranges::nth_element(best, best.begin() + static_cast<std::ptrdiff_t>(limit), order);
      best.resize(limit);
      held = 0;
      for (const auto& one : best) held += one.key.size() + one.tail.size();
    }
  }
  effort.give(held);
  if (effort.spent()) return totals;
  std::ranges::sort(best, order);
  if (best.size() > limit) best.resize(limit);
  for (auto& one : best) {
    append_result(request, one.key, one.tail, body);
    std::string().swap(one.tail);  // frees it: the result is not held twice
  }
  return totals;
}

}  // namespace

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
  if (const Error error = check_revision(request.revision(), view); error != Error::none) return error;
  // The newest revision is read where the live keys are, also when asked for by number.
  const bool newest = request.revision() <= 0 || request.revision() == view.revision;
  Effort unbounded(SIZE_MAX, SIZE_MAX);
  Effort& effort = view.effort != nullptr ? *view.effort : unbounded;
  Scan scan(view.reader, KeyRange::of(request.key(), request.range_end()), newest ? 0 : request.revision(),
            &effort);
  Totals totals;
  const Order order(request);
  if (request.count_only()) {
    for (; scan.valid(); scan.next()) ++totals.in_range;
  } else if (order.natural()) {
    totals = read_in_key_order(request, scan, effort, body);
  } else {
    totals = read_sorted(request, order, scan, effort, body);
  }
  if (effort.spent()) return Error::too_large;
  if (!request.count_only() && request.limit() > 0 && totals.matched > request.limit())
    wire::append_int(body, more, 1);
  wire::append_int(body, count, totals.in_range);
  return Error::none;
}

Error read_range_part(const RangeRequest& request, const View& view, RangeCursor& cursor,
                      std::size_t max_bytes, std::string& body) {
  if (!Order(request).natural() || filtered(request)) return Error::invalid_sort_option;
  if (cursor.revision == 0) cursor.revision = view.revision;
  const std::int64_t revision = request.revision() > 0 ? request.revision() : cursor.revision;
  if (const Error error = check_revision(revision, view); error != Error::none) return error;
  KeyRange range = KeyRange::of(request.key(), request.range_end());
  if (!cursor.next.empty()) range.begin = cursor.next;
  const auto begins_at = body.size();
  std::size_t rows = 0;
  for (Scan scan(view.reader, range, revision == view.revision ? 0 : revision); scan.valid(); scan.next()) {
    const bool full = request.limit() > 0 && cursor.taken == request.limit();
    const bool wanted = !full && !request.count_only();
    const bool enough = body.size() - begins_at >= max_bytes && body.size() != begins_at;
    if ((wanted && enough) || rows++ == rows_per_part) {
      cursor.next = scan.key();
      return Error::none;
    }
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
