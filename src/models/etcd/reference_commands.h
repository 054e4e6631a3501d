// For tests: random commands, and what the naive model says that they must answer.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "models/etcd/reference.h"

namespace quorate::models::etcd::test {

class Against {
 public:
  Against(Reference& reference, Generator& generator) : reference_(reference), generator_(generator) {}

  // A random command, executed by the reference; what it must answer is in `expected`.
  struct Step {
    Bytes command;
    Error error = Error::none;
    std::int64_t revision = 0;
    std::optional<std::string> body;  // not compared where the command failed
  };
  Step step() {
    Step step;
    auto& rng = generator_.rng;
    const auto kind = rng.below(100);
    if (kind < 40) {
      put(step);
    } else if (kind < 50) {
      pb::DeleteRangeRequest request;
      generator_.fill(request);
      step.command = encoded(Op::delete_range, request);
      step.body = reference_.del(request).SerializeAsString();
    } else if (kind < 80) {
      txn(step);
    } else if (kind < 83) {
      compact(step);
    } else {
      lease(step, kind);
    }
    reference_.commit();
    step.revision = reference_.revision;
    return step;
  }

 private:
  void put(Step& step) {
    pb::PutRequest request;
    generator_.fill(request);
    step.command = encoded(Op::put, request);
    pb::PutResponse response;
    step.error = reference_.put(request, response);
    step.body = response.SerializeAsString();
  }

  void compact(Step& step) {
    pb::CompactionRequest request;
    request.set_revision(reference_.revision - static_cast<std::int64_t>(generator_.rng.below(30)));
    step.command = encoded(Op::compact, request);
    if (request.revision() <= reference_.compacted) {
      step.error = Error::compacted;
    } else {
      reference_.compacted = request.revision();
    }
  }

  void lease(Step& step, std::uint64_t kind) {
    const auto id = static_cast<std::int64_t>(1 + generator_.rng.below(4));
    const auto found = reference_.leases.find(id);
    const bool exists = found != reference_.leases.end();
    if (kind < 90) {
      pb::LeaseGrantRequest request;
      request.set_id(id);
      request.set_ttl(static_cast<std::int64_t>(1 + generator_.rng.below(6)));
      step.command = encoded(Op::lease_grant, request);
      step.error = exists ? Error::lease_exists : Error::none;
      if (!exists) reference_.leases[id] = {.ttl = request.ttl(), .ticks = 0, .expiry = {}};
    } else if (kind < 92) {
      pb::LeaseRevokeRequest request;
      request.set_id(id);
      step.command = encoded(Op::lease_revoke, request);
      step.error = exists ? Error::none : Error::lease_not_found;
      if (exists) reference_.revoke(id);
    } else if (kind < 95) {
      pb::LeaseKeepAliveRequest request;
      request.set_id(id);
      step.command = encoded(Op::lease_keep_alive, request);
      if (exists) found->second = {.ttl = found->second.ttl, .ticks = 0, .expiry = {}};
      pb::LeaseKeepAliveResponse response;
      response.set_id(id);
      response.set_ttl(exists ? found->second.ttl : 0);
      step.body = response.SerializeAsString();
    } else {
      tick(step);
    }
  }

  // Of one clock mostly, which shows up to two seconds more than before: one counts at most. Of another now
  // and then, or proposed before the last one was known: that one does not count.
  void tick(Step& step) {
    auto& rng = generator_.rng;
    const auto before = std::exchange(clock_, {NodeId(rng.below(5) == 0 ? 2 : 1), 1, clock_.shown});
    const auto seconds = static_cast<std::int64_t>(rng.below(3));
    clock_.shown += std::chrono::seconds(seconds);
    const bool stale = ticks_ > 0 && rng.below(5) == 0;
    step.command = command(Op::tick, codec::encode(Tick{clock_, stale ? ticks_ - 1 : ticks_}).view());
    if (stale) {
      clock_ = before;
      return;
    }
    ++ticks_;
    reference_.tick(clock_.node == before.node ? std::min<std::int64_t>(seconds, 1) : 0);
  }

  void txn(Step& step) {
    pb::TxnRequest request;
    generator_.fill(request, reference_.revision, 2);
    step.command = encoded(Op::txn, request);
    std::vector<bool> path;
    decide(request, path);
    std::size_t at = 0;
    step.error = duplicates(request) ? Error::duplicate_key : check(request, path, at);
    if (step.error != Error::none) return;
    pb::TxnResponse response;
    at = 0;
    run(request, path, at, response);
    step.body = response.SerializeAsString();
  }

  void decide(const pb::TxnRequest& request, std::vector<bool>& path) {
    const bool taken =
        std::ranges::all_of(request.compare(), [&](const auto& c) { return reference_.holds(c); });
    path.push_back(taken);
    for (const auto& op : taken ? request.success() : request.failure()) {
      if (op.has_request_txn()) decide(op.request_txn(), path);
    }
  }

  // By brute force: any put against any delete or put that can happen in the same execution, except that, as
  // in etcd, deletes of a nested transaction do not count against puts of one nested before it.
  static bool duplicates(const pb::TxnRequest& request) {
    std::vector<std::string> puts;
    std::vector<std::pair<std::string, std::string>> deletes;
    return clashes(request.success(), puts, deletes) ||
           (puts.clear(), deletes.clear(), clashes(request.failure(), puts, deletes));
  }
  static bool clashes(const google::protobuf::RepeatedPtrField<pb::RequestOp>& ops,
                      std::vector<std::string>& puts,
                      std::vector<std::pair<std::string, std::string>>& deletes) {
    const auto add = [&](const std::string& key) {
      for (const auto& [begin, end] : deletes) {
        if (within(key, begin, end)) return false;
      }
      if (std::ranges::find(puts, key) != puts.end()) return false;
      puts.push_back(key);
      return true;
    };
    for (const auto& op : ops) {
      const auto& del = op.request_delete_range();
      if (op.has_request_delete_range()) deletes.emplace_back(del.key(), del.range_end());
    }
    for (const auto& op : ops) {
      if (!op.has_request_txn()) continue;
      std::vector<std::string> then_puts;
      std::vector<std::string> else_puts;
      std::vector<std::pair<std::string, std::string>> then_deletes;
      std::vector<std::pair<std::string, std::string>> else_deletes;
      if (clashes(op.request_txn().success(), then_puts, then_deletes)) return true;
      if (clashes(op.request_txn().failure(), else_puts, else_deletes)) return true;
      then_puts.insert(then_puts.end(), else_puts.begin(), else_puts.end());
      std::ranges::sort(then_puts);
      then_puts.erase(std::unique(then_puts.begin(), then_puts.end()), then_puts.end());
      for (const auto& key : then_puts) {
        if (!add(key)) return true;
      }
      deletes.insert(deletes.end(), then_deletes.begin(), then_deletes.end());
      deletes.insert(deletes.end(), else_deletes.begin(), else_deletes.end());
    }
    for (const auto& op : ops) {
      if (op.has_request_put() && !add(op.request_put().key())) return true;
    }
    return false;
  }

  Error check(const pb::TxnRequest& request, const std::vector<bool>& path, std::size_t& at) {
    for (const auto& op : path[at++] ? request.success() : request.failure()) {
      Error error = Error::none;
      if (op.has_request_range())
        error = reference_.check(op.request_range().revision(), reference_.revision);
      if (op.has_request_put()) {
        const auto& put = op.request_put();
        if ((put.ignore_value() || put.ignore_lease()) && !reference_.live.contains(put.key())) {
          error = Error::key_not_found;
        } else if (put.lease() != 0 && !reference_.leases.contains(put.lease())) {
          error = Error::lease_not_found;
        }
      }
      if (op.has_request_txn()) error = check(op.request_txn(), path, at);
      if (error != Error::none) return error;
    }
    return Error::none;
  }

  void run(const pb::TxnRequest& request, const std::vector<bool>& path, std::size_t& at,
           pb::TxnResponse& response) {
    const bool taken = path[at++];
    response.set_succeeded(taken);
    for (const auto& op : taken ? request.success() : request.failure()) {
      auto& answer = *response.add_responses();
      if (op.has_request_put()) {
        (void)reference_.put(op.request_put(), *answer.mutable_response_put());
        answer.mutable_response_put()->mutable_header()->set_revision(reference_.seen());
      } else if (op.has_request_delete_range()) {
        *answer.mutable_response_delete_range() = reference_.del(op.request_delete_range());
        answer.mutable_response_delete_range()->mutable_header()->set_revision(reference_.seen());
      } else if (op.has_request_range()) {
        *answer.mutable_response_range() = reference_.range(op.request_range());
        answer.mutable_response_range()->mutable_header()->set_revision(reference_.seen());
      } else {
        answer.mutable_response_txn()->mutable_header();
        run(op.request_txn(), path, at, *answer.mutable_response_txn());
      }
    }
  }

  Reference& reference_;
  Generator& generator_;
  ClockReading clock_;  // of the last tick that counted
  std::uint64_t ticks_ = 0;
};

}  // namespace quorate::models::etcd::test
