// Executes put, delete and transaction requests. All checks come before the first change: a rejected command
// leaves no trace.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/proto/rpc.pb.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/leases.h"
#include "models/etcd/read.h"
#include "models/etcd/store.h"
#include "models/pace.h"
#include "models/stepwise.h"

namespace quorate::models::etcd {

// A PutRequest without copies of key and value; they point into the command.
struct Put {
  std::string_view key;
  std::string_view value;
  std::int64_t lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;

  static std::expected<Put, Error> parse(std::string_view request);
  static Put of(const etcdserverpb::PutRequest& request);
};

Error validate(const Put& put);
Error validate(const etcdserverpb::TxnRequest& request);
bool has_writes(const etcdserverpb::TxnRequest& request);
// In either branch, nested ones included.
bool has_puts(const etcdserverpb::TxnRequest& request);

// Each appends its response, without header, to `body`.
Error execute(const Put& put, const Leases& leases, Writer& writer, std::string& body);

// Deletes a range in steps; appends the response to `body` at the end. Request, writer, effort and body must
// outlive it.
class RangeDeletion {
 public:
  RangeDeletion(const etcdserverpb::DeleteRangeRequest& request, Writer& writer, Effort& effort,
                std::string& body);
  bool go_on(Pace& pace);  // deletes some; true when all are
  // too_large: everything is deleted, but what was there is more than the effort has bytes for.
  [[nodiscard]] Error error() const { return error_; }

 private:
  std::vector<std::pair<std::string, std::string>> next(Pace& pace);

  const etcdserverpb::DeleteRangeRequest& request_;
  Writer& writer_;
  Effort& effort_;
  std::string& body_;
  KeyRange range_;    // what is left of it
  bool all_ = false;  // nothing is left of it
  std::int64_t deleted_ = 0;
  std::string previous_;
  Error error_ = Error::none;
};

// Erases keys that a lease ends with, some at a time.
class LeaseEnd {
 public:
  LeaseEnd(std::int64_t lease, Writer& writer) : lease_(lease), writer_(writer) {}
  bool go_on(Pace& pace);  // true when all are erased

 private:
  std::int64_t lease_;
  Writer& writer_;
  std::string last_;  // that was erased
};

// `writer` may be null for a transaction without writes. `before` has an effort; too_large once it is spent:
// by comparisons before anything is written, by results though everything is.
Stepwise<Error> execute(const etcdserverpb::TxnRequest& request, const View& before, const Leases& leases,
                        Writer* writer, Pace& pace, std::string& body);
// One without writes, at a stretch.
Error read(const etcdserverpb::TxnRequest& request, const View& view, std::string& body);

}  // namespace quorate::models::etcd
