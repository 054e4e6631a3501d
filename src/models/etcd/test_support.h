// What the model's tests share: a model over an engine in memory, driven as a replica drives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/store.h"
#include "storage/memory_engine.h"
#include "storage/transaction.h"

namespace quorate::models::etcd::test {

namespace pb = etcdserverpb;

inline const std::string all("\0", 1);  // as range_end: everything from the key on

template <class Message>
Bytes encoded(Op op, const Message& message) {
  return command(op, message.SerializeAsString());
}

template <class Message>
Message body_of(const Result& result) {
  Message message;
  EXPECT_TRUE(message.ParseFromArray(result.body.data(), static_cast<int>(result.body.size())));
  return message;
}

class Replica {
 public:
  Replica() : engine_(storage::make_memory_engine()), model_(EtcdModel::create()) { model_->open(*engine_); }

  // Applies the commands as one batch.
  std::vector<Result> apply(const std::vector<Bytes>& commands) {
    storage::Transaction txn(*engine_);
    std::vector<Result> results;
    for (const auto& one : commands) {
      const auto result = codec::decode<Result>(apply_in_steps(one, txn));
      EXPECT_TRUE(result.has_value());
      results.push_back(result.value_or(Result{}));
    }
    model_->settle(txn);
    model_->committed(++index_);
    return results;
  }
  Result apply(const Bytes& one) { return apply(std::vector<Bytes>{one}).front(); }
  template <class Message>
  Result apply(Op op, const Message& message) {
    return apply(encoded(op, message));
  }

  // A restart: a new model over the same state.
  void forget_nodes() {
    storage::Transaction txn(*engine_);
    model_->forget_nodes(txn);
    model_->settle(txn);
  }
  void reopen() {
    model_ = EtcdModel::create();
    model_->open(*engine_);
  }

  Result put(std::string_view key, std::string_view value, std::int64_t lease = 0) {
    pb::PutRequest request;
    request.set_key(std::string(key));
    request.set_value(std::string(value));
    request.set_lease(lease);
    return apply(Op::put, request);
  }
  Result del(std::string_view key, std::string_view range_end = {}) {
    pb::DeleteRangeRequest request;
    request.set_key(std::string(key));
    request.set_range_end(std::string(range_end));
    return apply(Op::delete_range, request);
  }
  Result compact(std::int64_t revision) {
    pb::CompactionRequest request;
    request.set_revision(revision);
    return apply(Op::compact, request);
  }
  Result grant(std::int64_t id, std::int64_t ttl) {
    pb::LeaseGrantRequest request;
    request.set_id(id);
    request.set_ttl(ttl);
    return apply(Op::lease_grant, request);
  }
  // The next tick: `elapsed` on the clock of one leader after the one before.
  Bytes next_tick(Duration elapsed) {
    const Tick next{{NodeId(1), 1, clock_ += elapsed}, load_state(*engine_).ticks};
    return command(Op::tick, codec::encode(next).view());
  }
  Result tick(Duration elapsed) { return apply(next_tick(elapsed)); }
  // As many ticks as it takes.
  void pass(Duration time) {
    for (; time > longest_tick; time -= longest_tick) tick(longest_tick);
    tick(time);
  }
  // The time of what was granted begins.
  void begin_leases() {
    tick({});
    tick({});
  }

  // "k=v" of every record in the range, joined by spaces.
  std::string show(std::string_view key, std::string_view range_end = {}, std::int64_t revision = 0) {
    pb::RangeRequest request;
    request.set_key(std::string(key));
    request.set_range_end(std::string(range_end));
    request.set_revision(revision);
    return show(request);
  }
  std::string show(const pb::RangeRequest& request) {
    std::string text;
    const auto response = range(request);
    for (const auto& kv : response.kvs()) text += (text.empty() ? "" : " ") + kv.key() + "=" + kv.value();
    return text;
  }
  pb::RangeResponse range(const pb::RangeRequest& request) {
    const Result result = model_->range(request);
    EXPECT_EQ(result.error, Error::none);
    return body_of<pb::RangeResponse>(result);
  }
  Error range_error(std::int64_t revision) {
    pb::RangeRequest request;
    request.set_key("a");
    request.set_revision(revision);
    return model_->range(request).error;
  }

  // How much a step does, and what is called between two of them.
  std::size_t units = Pace::unlimited;
  std::function<void()> between;
  int pauses = 0;

  EtcdModel& model() { return *model_; }
  storage::Engine& engine() { return *engine_; }

 private:
  Bytes apply_in_steps(const Bytes& one, storage::Transaction& txn) {
    Pace pace(units);
    auto result = model_->begin(one, txn, pace);
    for (; !result; result = model_->go_on()) {
      ++pauses;
      if (between) between();
      pace.refill(units);
    }
    return *result;
  }

  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<EtcdModel> model_;
  Index index_;
  Duration clock_{};
};

}  // namespace quorate::models::etcd::test
