// What the clients of one run did and saw, recorded by many threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "check/history.h"
#include "client/client.h"

namespace quorate::faults {

// An operation on one key. op.index is the revision of the answer's header.
struct Record {
  check::Operation op;
  std::int64_t mod_revision = 0;  // get: of what was seen
};

// A lease of `ttl` that was last renewed by a request sent at `renewed` (and acknowledged), then left alone.
struct LeaseRecord {
  std::string key;
  client::Time renewed;
  std::chrono::seconds ttl;
};

struct Stall {  // no write was acknowledged for so long
  client::Time from;
  std::chrono::nanoseconds length;
};

class History {
 public:
  // A position in the one order of invocations and returns.
  std::uint64_t position() { return ++position_; }

  void add(Record record);
  void add(LeaseRecord record);
  void failed(const client::Status& status);
  void acknowledged_write();
  void violation(const std::string& words);
  void count(const std::string& what);

  // Once no client runs any more.
  [[nodiscard]] const std::vector<Record>& records() const { return records_; }
  [[nodiscard]] const std::vector<LeaseRecord>& leases() const { return leases_; }
  [[nodiscard]] const std::vector<Stall>& stalls() const { return stalls_; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& errors() const { return errors_; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const { return counts_; }
  [[nodiscard]] std::vector<std::string> violations() const;

 private:
  std::atomic<std::uint64_t> position_ = 0;
  mutable std::mutex mutex_;
  std::vector<Record> records_;
  std::vector<LeaseRecord> leases_;
  std::vector<Stall> stalls_;
  std::map<std::string, std::uint64_t> errors_;
  std::map<std::string, std::uint64_t> counts_;
  std::vector<std::string> violations_;
  client::Time last_write_{};
};

}  // namespace quorate::faults
