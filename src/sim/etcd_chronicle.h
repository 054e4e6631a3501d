// What an etcd store must hold at each revision: the commands of the log executed once more, naively, on
// maps. Watches, serializable reads, revisions and leases are judged by it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/etcd/etcd_model.h"
#include "replica/messages.h"
#include "sim/clock.h"

namespace quorate::sim {

class EtcdChronicle {
 public:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // none: deleted
    friend bool operator==(const Change&, const Change&) = default;
  };
  struct Place {
    Index index;
    std::int64_t revision = 0;  // of the store when the command was executed
  };
  struct Expiry {  // of a lease, decided by a tick
    std::int64_t id = 0;
    std::int64_t ttl = 0;
    Moment since{};  // when its grant or last keep-alive was committed
  };

  // Executes the command. Returns the leases that ended by time.
  std::vector<Expiry> committed(const replica::Command& command, Index index, Moment now);

  // The leases that must have ended by now, as far as can be told from when ticks were committed. A tick read
  // its clock after the one before it was committed, and before it was itself. So between the readings of two
  // ticks of one leader at least as much time passed as between the commit of the first of them and that of
  // the last one before the other; and it counts, unless a tick in between has waited for too long. Clocks
  // are at most `drift_ppm` slow.
  [[nodiscard]] std::vector<Expiry> overdue(std::int64_t drift_ppm) const;

  [[nodiscard]] std::int64_t revision() const { return static_cast<std::int64_t>(changes_.size()); }
  [[nodiscard]] std::int64_t compacted() const { return compacted_; }
  // Empty for revision 1, the store's first, in which nothing changed.
  [[nodiscard]] const std::vector<Change>& changes(std::int64_t revision) const {
    return changes_[static_cast<std::size_t>(revision - 1)];
  }
  [[nodiscard]] std::optional<std::string> value_at(const std::string& key, std::int64_t revision) const;
  // Where a command with these bytes was executed; for commands that are unlike all others.
  [[nodiscard]] std::optional<Place> place_of(const Bytes& command) const;
  [[nodiscard]] bool holds_lease(std::int64_t id) const { return leases_.contains(id); }

 private:
  struct Lease {
    std::int64_t ttl = 0;
    Moment since{};
    int ticks = 0;                     // since then
    std::optional<Duration> expiry{};  // in log time, once its time has begun
    Moment begun{};                    // when the tick that begins it was committed
    std::set<std::string> keys{};
  };
  struct Key {
    std::int64_t lease = 0;
    std::vector<std::pair<std::int64_t, std::optional<std::string>>> values;  // by revision
    [[nodiscard]] bool there() const { return !values.empty() && values.back().second.has_value(); }
  };

  void put(const std::string& key, const std::string& value, std::int64_t lease);
  void erase(const std::string& key);
  void erase(std::vector<Change> changes);
  void next_revision(std::vector<Change> changes) { changes_.push_back(std::move(changes)); }
  void end_lease(std::int64_t id);
  void tick(const models::etcd::Tick& tick, Moment now, std::vector<Expiry>& expired);
  void execute(const replica::Command& command, Moment now, std::vector<Expiry>& expired);

  std::vector<std::vector<Change>> changes_{1};
  std::int64_t compacted_ = 0;
  Duration log_time_{};
  std::uint64_t ticks_ = 0;
  models::ClockReading last_tick_;
  Moment ticked_[2] = {};  // when the last two were committed, the latest first
  Moment steady_since_{};  // since when one leader's ticks follow each other closely
  std::map<std::string, Key> keys_;
  std::map<std::int64_t, Lease> leases_;
  std::unordered_map<std::uint64_t, Place> places_;  // by hash of the command
};

}  // namespace quorate::sim
