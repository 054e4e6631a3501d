#include "sim/etcd_workload.h"

#include <charconv>
#include <string>

#include "api/proto/rpc.pb.h"
#include "core/codec.h"
#include "models/etcd/etcd_model.h"
#include "sim/etcd_sessions.h"

namespace quorate::sim {

namespace {

namespace etcd = models::etcd;
namespace pb = etcdserverpb;

template <class Message>
Message parse(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) message.Clear();
  return message;
}

std::uint64_t leading_number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

pb::PutRequest put_of(const check::Operation& op) {
  pb::PutRequest put;
  put.set_key(op.key);
  put.set_value(op.argument);
  return put;
}

pb::TxnRequest swap_of(const check::Operation& op) {
  pb::TxnRequest txn;
  auto& compare = *txn.add_compare();
  compare.set_key(op.key);
  compare.set_result(pb::Compare::EQUAL);
  if (op.expected) {
    compare.set_target(pb::Compare::VALUE);
    compare.set_value(*op.expected);
  } else {
    compare.set_target(pb::Compare::VERSION);
    compare.set_version(0);
  }
  *txn.add_success()->mutable_request_put() = put_of(op);
  return txn;
}

// The id rides in the end of a range that holds no other key.
pb::DeleteRangeRequest delete_of(const check::Operation& op, std::uint64_t id) {
  pb::DeleteRangeRequest del;
  del.set_key(op.key);
  del.set_range_end(op.key + '\0' + std::to_string(id));
  return del;
}

class EtcdWorkload final : public WorkloadModel {
 public:
  [[nodiscard]] std::unique_ptr<models::Model> create() const override { return etcd::EtcdModel::create(); }
  [[nodiscard]] bool appends() const override { return false; }
  [[nodiscard]] std::unique_ptr<Companion> companion(Stage& stage, Rng rng,
                                                     std::function<Node*(Rng&)> pick) const override {
    const auto sessions = static_cast<std::uint32_t>(rng.between(1, 4));
    return std::make_unique<EtcdSessions>(stage, rng, sessions, std::move(pick));
  }

  [[nodiscard]] Bytes command(const check::Operation& op, std::uint64_t id) const override {
    switch (op.kind) {
      case check::OpKind::cas: return etcd::command(etcd::Op::txn, swap_of(op).SerializeAsString());
      case check::OpKind::erase:
        return etcd::command(etcd::Op::delete_range, delete_of(op, id).SerializeAsString());
      default: return etcd::command(etcd::Op::put, put_of(op).SerializeAsString());
    }
  }

  void result(const Bytes& result, check::Operation& op) const override {
    const auto decoded = codec::decode<etcd::Result>(result);
    op.succeeded = decoded && decoded->error == etcd::Error::none;
    if (!op.succeeded) return;
    if (op.kind == check::OpKind::cas)
      op.succeeded = parse<pb::TxnResponse>(decoded->body.view()).succeeded();
    if (op.kind == check::OpKind::erase) {
      op.succeeded = parse<pb::DeleteRangeResponse>(decoded->body.view()).deleted() == 1;
    }
  }

  [[nodiscard]] std::uint64_t id_of(const Bytes& command) const override {
    if (command.empty()) return 0;
    const std::string_view request = command.view().substr(1);
    switch (static_cast<etcd::Op>(command.data()[0])) {
      case etcd::Op::put: return leading_number(parse<pb::PutRequest>(request).value());
      case etcd::Op::txn: {
        const auto txn = parse<pb::TxnRequest>(request);
        return txn.success_size() == 1 ? leading_number(txn.success(0).request_put().value()) : 0;
      }
      case etcd::Op::delete_range: {
        const auto del = parse<pb::DeleteRangeRequest>(request);
        const std::size_t skip = del.key().size() + 1;
        return del.range_end().size() > skip ? leading_number(std::string_view(del.range_end()).substr(skip))
                                             : 0;
      }
      default: return 0;
    }
  }

  [[nodiscard]] Bytes query(const check::Operation& op) const override {
    pb::RangeRequest range;
    range.set_key(op.key);
    return Bytes::adopt(range.SerializeAsString());
  }

  void answer(const Bytes& answer, check::Operation& op) const override {
    op.observed.reset();
    const auto decoded = codec::decode<etcd::Result>(answer);
    if (!decoded) return;
    const auto range = parse<pb::RangeResponse>(decoded->body.view());
    if (range.kvs_size() == 1) op.observed = range.kvs(0).value();
  }
};

}  // namespace

std::unique_ptr<WorkloadModel> make_etcd_workload() { return std::make_unique<EtcdWorkload>(); }

}  // namespace quorate::sim
