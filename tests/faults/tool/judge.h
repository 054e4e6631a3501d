// Judges a run by what clients saw and what watches told. Each function returns violations in words; none is
// good.
#pragma once

#include <expected>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tool/event_log.h"
#include "tool/history.h"

namespace quorate::faults {

// Keys of the workload begin with one of these; what is judged goes by them.
inline constexpr std::string_view kRegisters = "r/";  // values are unique
inline constexpr std::string_view kLocks = "lock/";   // lock/NAME/LEASE: etcd's lock recipe
inline constexpr std::string_view kFenced =
    "fenced/";  // fenced/NAME: "OWNER-REVISION COUNT", written by its owner
inline constexpr std::string_view kElections = "elect/";
inline constexpr std::string_view kLeased = "leased/";

struct Value {
  std::string value;
  std::int64_t create = 0;
  std::int64_t mod = 0;
  std::int64_t version = 0;
  std::int64_t lease = 0;
  friend bool operator==(const Value&, const Value&) = default;
};
using Store = std::map<std::string, Value>;

// Applies a step; tells where create revision or version contradict what was before.
void apply(const Step& step, Store& store, std::vector<std::string>& violations);

// Every definite answer is what the log of events says of its revision; no value was written twice; whoever
// began after another had ended saw no older revision.
[[nodiscard]] std::vector<std::string> judge_answers(std::span<const Step> steps,
                                                     std::span<const Record> records);

// The same operations, key by key, through check::check_linearizable. Writes of unknown outcome that are not
// in the log never happened. `inconclusive` counts keys whose search ended at its budget.
[[nodiscard]] std::vector<std::string> judge_linearizable(std::span<const Step> steps,
                                                          std::span<const Record> records,
                                                          std::uint64_t& inconclusive);

// A write fenced by a lock's revision comes from who holds the lock, so does a proclamation from who was
// elected, and no holder's count is lost.
[[nodiscard]] std::vector<std::string> judge_owners(std::span<const Step> steps);

// No leased key is deleted before its time to live is over.
[[nodiscard]] std::vector<std::string> judge_leases(std::span<const Step> steps,
                                                    std::span<const LeaseRecord> leases);

// Each member holds, of the keys that begin with `prefix`, what the watches told up to `revision`:
// acknowledged writes are all there. An error is why a member could not be read at that revision.
using Stores = std::map<std::string, std::expected<Store, std::string>>;  // by endpoint
[[nodiscard]] std::vector<std::string> judge_stores(std::span<const Step> steps, std::int64_t revision,
                                                    std::string_view prefix, const Stores& stores);

}  // namespace quorate::faults
