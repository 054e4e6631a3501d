// Leases in log time: the clock advances by Op::tick commands only, so that every replica expires the same
// lease at the same point of the log. The leases themselves are kept in memory, the keys attached to them are
// not.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/describe.hpp>

#include "core/time.h"
#include "models/etcd/store.h"
#include "models/model.h"

namespace quorate::models::etcd {

inline constexpr std::int64_t max_lease_ttl = 9'000'000'000;  // seconds; etcd's bound
inline constexpr std::int64_t min_lease_ttl = 1;              // seconds; shorter ones are lengthened to it

struct LeaseRecord {
  std::int64_t ttl = 0;  // seconds
  Duration expiry{};     // in log time
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};
BOOST_DESCRIBE_STRUCT(LeaseRecord, (), (ttl, expiry))

class Leases {
 public:
  void load(const storage::Reader& reader);

  [[nodiscard]] const LeaseRecord* find(std::int64_t id) const;
  [[nodiscard]] std::size_t size() const { return by_id_.size(); }
  [[nodiscard]] const std::set<std::pair<Duration, std::int64_t>>& by_expiry() const { return by_expiry_; }
  // The ones that are due, earliest first, ties by id; at most `limit`. The tick behind a grant tells also of
  // time that had passed before it, so a lease is given as much longer as one tick may tell.
  [[nodiscard]] std::vector<std::int64_t> expired(Duration log_time, std::size_t limit) const;

  // Grants or renews: `ttl` seconds from state.log_time on.
  void set(std::int64_t id, std::int64_t ttl, State& state, storage::Transaction& txn);
  void remove(std::int64_t id, State& state, storage::Transaction& txn);

 private:
  void forget(std::int64_t id, State& state);

  std::map<std::int64_t, LeaseRecord> by_id_;
  std::set<std::pair<Duration, std::int64_t>> by_expiry_;
};

// The keys attached to a lease, in order.
std::vector<std::string> attached_keys(const storage::Reader& reader, std::int64_t lease);
// The first of them behind `after`, at most `limit`.
std::vector<std::string> attached_keys(const storage::Reader& reader, std::int64_t lease,
                                       std::string_view after, std::size_t limit);

}  // namespace quorate::models::etcd
