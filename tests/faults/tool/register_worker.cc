#include <fmt/format.h>

#include "tool/judge.h"
#include "tool/workers.h"

namespace quorate::faults {
namespace {

using check::OpKind;
using client::rpc::pb::Compare;

constexpr std::uint64_t kKeysAtOnce = 6;
constexpr std::chrono::seconds kPatience{2};
constexpr std::chrono::milliseconds kReadersPatience{300};
constexpr std::uint64_t kOperationsAKey = 150;  // then a fresh one: searches stay short

class RegisterWorker : Worker {
 public:
  RegisterWorker(Run& run, std::uint64_t number, std::chrono::milliseconds timeout)
      : Worker(run, number, timeout) {}

  // Asks again and again where others wait for their writes: a leader that was deposed, and does not know,
  // would answer.
  void read() {
    while (!ending()) {
      Record record;
      record.op.client = number_;
      record.op.key = pick_key();
      get(record, false);
      rest(run_.pause);
    }
  }

  void work() {
    while (!ending()) {
      Record record;
      record.op.client = number_;
      record.op.key = pick_key();
      const auto dice = rng_.below(100);
      if (dice < 40)
        get(record, rng_.chance(0.2));
      else if (dice < 70)
        put(record);
      else if (dice < 90)
        swap(record);
      else
        erase(record);
      rest(run_.pause);
    }
  }

 private:
  std::string pick_key() {
    const auto generation = run_.operations++ / (kOperationsAKey * kKeysAtOnce);
    return fmt::format("{}{}/{}", kRegisters, run_.tag, generation * kKeysAtOnce + rng_.below(kKeysAtOnce));
  }
  std::string fresh_value() { return fmt::format("{}:{}-{}", run_.tag, number_, ++sequence_); }

  // Sends, and records what is known of the outcome; `answered` looks at the response.
  template <class Rpc, class Request, class F>
  void perform(Record& record, const Rpc& rpc, const Request& request, F answered) {
    record.op.invoked = run_.history.position();
    const auto answer = call(rpc, request);
    if (!answer) {
      // A refusal that certainly had no effect is no operation at all.
      if (record.op.kind != OpKind::get && answer.error().may_have_happened)
        run_.history.add(std::move(record));
      return;
    }
    answered(*answer);
    record.op.index = static_cast<std::uint64_t>(answer->header().revision());
    record.op.returned = run_.history.position();
    if (record.op.kind != OpKind::get) run_.history.acknowledged_write();
    run_.history.add(std::move(record));
  }

  void get(Record& record, bool stale_allowed) {
    record.op.kind = OpKind::get;
    record.op.stale_allowed = stale_allowed;
    etcdserverpb::RangeRequest request;
    request.set_key(record.op.key);
    request.set_serializable(record.op.stale_allowed);
    perform(record, client::rpc::range, request, [&](const etcdserverpb::RangeResponse& response) {
      if (response.kvs_size() == 0) return;
      record.op.observed = response.kvs(0).value();
      record.mod_revision = response.kvs(0).mod_revision();
      known_[record.op.key] = record.op.observed;
    });
  }

  void put(Record& record) {
    record.op.kind = OpKind::put;
    record.op.argument = fresh_value();
    etcdserverpb::PutRequest request;
    request.set_key(record.op.key);
    request.set_value(record.op.argument);
    perform(record, client::rpc::put, request,
            [&](const auto&) { known_[record.op.key] = record.op.argument; });
  }

  void swap(Record& record) {
    record.op.kind = OpKind::cas;
    record.op.argument = fresh_value();
    if (const auto known = known_.find(record.op.key); known != known_.end())
      record.op.expected = known->second;
    etcdserverpb::TxnRequest request;
    auto& compare = *request.add_compare();
    compare.set_key(record.op.key);
    if (record.op.expected) {
      compare.set_target(Compare::VALUE);
      compare.set_value(*record.op.expected);
    } else {
      compare.set_target(Compare::CREATE);
      compare.set_create_revision(0);
    }
    auto& write = *request.add_success()->mutable_request_put();
    write.set_key(record.op.key);
    write.set_value(record.op.argument);
    perform(record, client::rpc::txn, request, [&](const etcdserverpb::TxnResponse& response) {
      record.op.succeeded = response.succeeded();
      if (response.succeeded())
        known_[record.op.key] = record.op.argument;
      else
        known_.erase(record.op.key);
    });
  }

  void erase(Record& record) {
    record.op.kind = OpKind::erase;
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(record.op.key);
    perform(record, client::rpc::delete_range, request,
            [&](const etcdserverpb::DeleteRangeResponse& response) {
              record.op.succeeded = response.deleted() == 1;
              known_.erase(record.op.key);
            });
  }

  std::uint64_t sequence_ = 0;
  std::map<std::string, std::optional<std::string>>
      known_;  // this client's last sight of a key: what to swap
};

}  // namespace

void run_register_worker(Run& run, std::uint64_t number) { RegisterWorker(run, number, kPatience).work(); }
void run_reader(Run& run, std::uint64_t number) { RegisterWorker(run, number, kReadersPatience).read(); }

}  // namespace quorate::faults
