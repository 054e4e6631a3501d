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
    Moment since{};               // when its grant or last keep-alive was committed
    std::uint64_t handovers = 0;  // how often another node logged time since
  };

  // Executes the command. Returns the leases that ended by time.
  std::vector<Expiry> committed(const replica::Command& command, Index index, Moment now);

  [[nodiscard]] std::int64_t revision() const { return static_cast<std::int64_t>(changes_.size()); }
  [[nodiscard]] std::int64_t compacted() const { return compacted_; }
  [[nodiscard]] Duration longest_tick() const { return longest_tick_; }
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
    Duration expiry{};  // in log time
    Moment since{};
    std::uint64_t handovers = 0;  // handovers_ then
    std::set<std::string> keys;
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
  [[nodiscard]] Duration end_of(std::int64_t ttl) const;
  void execute(const replica::Command& command, Moment now, std::vector<Expiry>& expired);

  std::vector<std::vector<Change>> changes_{1};
  std::int64_t compacted_ = 0;
  Duration log_time_{};
  Duration longest_tick_{};
  replica::RequestId timekeeper_;  // of the latest tick
  std::uint64_t handovers_ = 0;
  std::map<std::string, Key> keys_;
  std::map<std::int64_t, Lease> leases_;
  std::unordered_map<std::uint64_t, Place> places_;  // by hash of the command
};

}  // namespace quorate::sim
