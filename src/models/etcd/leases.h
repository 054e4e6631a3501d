// Leases in log time: the clock advances by Op::tick commands only, so that every replica expires the same
// lease at the same point of the log. A lease's time begins with the second tick behind its grant or last
// keep-alive: whoever proposed that one had applied the first, and with it the grant.
// (docs/adr/0004-log-time.md) The leases themselves are kept in memory, the keys attached to them are not.
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
  std::int64_t ttl = 0;           // seconds
  Duration expiry{};              // in log time, once its time has begun
  std::uint64_t begins_with = 0;  // this tick (State::ticks); 0: it has begun
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};
BOOST_DESCRIBE_STRUCT(LeaseRecord, (), (ttl, expiry, begins_with))

class Leases {
 public:
  void load(const storage::Reader& reader);

  [[nodiscard]] const LeaseRecord* find(std::int64_t id) const;
  [[nodiscard]] std::size_t size() const { return by_id_.size(); }
  // By when they end, were all time to begin now.
  [[nodiscard]] std::vector<std::int64_t> by_end(Duration log_time) const;
  // What is left of one, in whole seconds.
  [[nodiscard]] static std::int64_t seconds_left(const LeaseRecord& lease, Duration log_time);
  // The ones that are due, earliest first, ties by id; at most `limit`.
  [[nodiscard]] std::vector<std::int64_t> expired(Duration log_time, std::size_t limit) const;

  // Grants or renews.
  void set(std::int64_t id, std::int64_t ttl, State& state, storage::Transaction& txn);
  // Begins the time of one lease that the last tick begins with; false if there is none.
  bool begin_next(State& state, storage::Transaction& txn);
  void remove(std::int64_t id, State& state, storage::Transaction& txn);

 private:
  void index(std::int64_t id, const LeaseRecord& lease);
  void write(std::int64_t id, const LeaseRecord& lease, State& state, storage::Transaction& txn);
  void forget(std::int64_t id, State& state);

  std::map<std::int64_t, LeaseRecord> by_id_;
  std::set<std::pair<Duration, std::int64_t>> by_expiry_;
  std::set<std::pair<std::uint64_t, std::int64_t>> by_begin_;  // those whose time has not begun
};

// The keys attached to a lease, in order.
std::vector<std::string> attached_keys(const storage::Reader& reader, std::int64_t lease);
// The first of them behind `after`, at most `limit`.
std::vector<std::string> attached_keys(const storage::Reader& reader, std::int64_t lease,
                                       std::string_view after, std::size_t limit);

}  // namespace quorate::models::etcd
