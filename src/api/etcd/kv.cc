#include "api/etcd/kv.h"

#include <algorithm>

#include <boost/asio/post.hpp>

namespace quorate::api::etcd {

namespace pb = etcdserverpb;
using models::etcd::Op;

namespace {

class RangeStream final : public http::CallStream {
 public:
  RangeStream(Core& core, http::Call& call, pb::RangeRequest request)
      : core_(core), call_(&call), request_(std::move(request)) {}

  // A part, then others' turn.
  void writable() override {
    if (next_ || !call_->has_room()) return;
    auto part = core_.model().range_part(request_, cursor_, part_bytes);
    if (part.error != models::etcd::Error::none) return call_->finish(status_of(part.error));
    if (cursor_.done || part.body.size() != 0) send(std::move(part));
    if (cursor_.done) return call_->finish({});
    next_ = std::make_shared<bool>();
    boost::asio::post(core_.io(), [this, over = std::weak_ptr<bool>(next_)] {
      if (over.expired()) return;
      next_.reset();
      writable();
    });
  }

 private:
  static constexpr std::size_t part_bytes = 256U << 10U;

  void send(models::etcd::Result part) {
    const Front header = core_.front(part.revision);
    const std::string_view inner = cursor_.done ? header.view() : std::string_view();
    Front outer;  // RangeStreamResponse.range_response
    outer.varint(1U << 3U | 2U);
    outer.varint(inner.size() + part.body.size());
    call_->send(std::string(outer.view()).append(inner), std::move(part.body));
  }

  Core& core_;
  http::Call* call_;
  pb::RangeRequest request_;
  models::etcd::RangeCursor cursor_;
  std::shared_ptr<bool> next_;  // while a next part is due
};

struct Reading {
  bool only = true;          // no puts, no deletes
  bool grows = false;        // puts
  bool serializable = true;  // as far as there are ranges
};
void look_at(const pb::TxnRequest& txn, Reading& reading) {
  for (const auto* branch : {&txn.success(), &txn.failure()}) {
    for (const auto& op : *branch) {
      if (op.has_request_txn()) {
        look_at(op.request_txn(), reading);
      } else if (op.has_request_range()) {
        reading.serializable = reading.serializable && op.request_range().serializable();
      } else {
        reading.only = false;
        reading.grows = reading.grows || op.has_request_put();
      }
    }
  }
}

}  // namespace

void KvService::add_to(Router& router) {
  router.unary<pb::RangeRequest, pb::RangeResponse>(
      "/etcdserverpb.KV/Range", [this](CallPtr call, Message m) { range(std::move(call), m); });
  router.server_stream<pb::RangeRequest, pb::RangeStreamResponse>(
      "/etcdserverpb.KV/RangeStream", [this](CallPtr call, Message m) { range_stream(std::move(call), m); });
  router.unary<pb::PutRequest, pb::PutResponse>(
      "/etcdserverpb.KV/Put", [this](CallPtr call, Message m) { put(std::move(call), std::move(m)); });
  router.unary<pb::DeleteRangeRequest, pb::DeleteRangeResponse>(
      "/etcdserverpb.KV/DeleteRange",
      [this](CallPtr call, Message m) { delete_range(std::move(call), std::move(m)); });
  router.unary<pb::TxnRequest, pb::TxnResponse>(
      "/etcdserverpb.KV/Txn", [this](CallPtr call, Message m) { txn(std::move(call), std::move(m)); });
  router.unary<pb::CompactionRequest, pb::CompactionResponse>(
      "/etcdserverpb.KV/Compact", [this](CallPtr call, Message m) {
        pb::CompactionRequest request;
        if (parse(*call, m, request)) core_.propose(std::move(call), Op::compact, std::move(m));
      });
}

void KvService::range(CallPtr call, const Message& message) {
  auto request = std::make_unique<pb::RangeRequest>();
  if (!parse(*call, message, *request)) return;
  if (Status bad = validate(*request); !bad.ok()) return call->finish(std::move(bad));
  if (request->serializable()) return core_.answer(call, core_.model().begin_range(*request));
  if (core_.backend().head().learner) return call->finish(fault::not_for_learners);
  core_.linearizable(std::move(call), [this, request = std::move(request)](const CallPtr& ready) {
    core_.answer(ready, core_.model().begin_range(*request));
  });
}

// One state, handed out in parts; only the last holds header, more and count.
void KvService::range_stream(CallPtr call, const Message& message) {
  pb::RangeRequest request;
  if (!parse(*call, message, request)) return;
  if (Status bad = validate(request); !bad.ok()) return call->finish(std::move(bad));
  const bool by_key =
      request.sort_target() == pb::RangeRequest::KEY && request.sort_order() != pb::RangeRequest::DESCEND;
  if (!by_key || request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
      request.min_create_revision() != 0 || request.max_create_revision() != 0) {
    return call->finish(
        {Code::unimplemented, "etcdserver: RangeStream takes no sort order and no revision filters"});
  }
  const auto start = [this](const CallPtr& ready, pb::RangeRequest wanted) {
    auto stream = std::make_unique<RangeStream>(core_, *ready, std::move(wanted));
    RangeStream& started = *stream;
    ready->attach(std::move(stream));
    if (ready->open()) started.writable();
  };
  if (request.serializable()) return start(call, std::move(request));
  core_.linearizable(std::move(call),
                     [start, request = std::move(request)](const CallPtr& ready) { start(ready, request); });
}

void KvService::put(CallPtr call, Message message) {
  if (!parse(*call, message, put_)) return;
  if (Status bad = validate(put_); !bad.ok()) return call->finish(std::move(bad));
  core_.propose_growth(std::move(call), Op::put, std::move(message));
}

void KvService::delete_range(CallPtr call, Message message) {
  pb::DeleteRangeRequest request;
  if (!parse(*call, message, request)) return;
  if (Status bad = validate(request); !bad.ok()) return call->finish(std::move(bad));
  core_.propose(std::move(call), Op::delete_range, std::move(message));
}

void KvService::txn(CallPtr call, Message message) {
  pb::TxnRequest request;
  if (!parse(*call, message, request)) return;
  if (Status bad = validate(request, core_.settings().max_txn_ops); !bad.ok()) {
    return call->finish(std::move(bad));
  }
  Reading reading;
  look_at(request, reading);
  if (reading.grows) return core_.propose_growth(std::move(call), Op::txn, std::move(message));
  if (!reading.only) return core_.propose(std::move(call), Op::txn, std::move(message));
  if (reading.serializable) return core_.answer(call, core_.model().begin_read_txn(request));
  core_.linearizable(std::move(call), [this, request = std::move(request)](const CallPtr& ready) {
    core_.answer(ready, core_.model().begin_read_txn(request));
  });
}

Status validate(const pb::RangeRequest& request) {
  if (request.key().empty()) return fault::empty_key;
  if (!pb::RangeRequest::SortOrder_IsValid(request.sort_order())) return fault::invalid_sort_option;
  if (!pb::RangeRequest::SortTarget_IsValid(request.sort_target())) return fault::invalid_sort_option;
  return {};
}

Status validate(const pb::PutRequest& request) {
  if (request.key().empty()) return fault::empty_key;
  if (request.ignore_value() && !request.value().empty()) return fault::value_provided;
  if (request.ignore_lease() && request.lease() != 0) return fault::lease_provided;
  return {};
}

Status validate(const pb::DeleteRangeRequest& request) {
  if (request.key().empty()) return fault::empty_key;
  return {};
}

// The budget of operations shrinks with every level of nesting. That no key is written twice in a branch is
// checked by the model, which knows the ranges.
Status validate(const pb::TxnRequest& request, int max_ops) {
  const int ops = std::max({request.compare_size(), request.success_size(), request.failure_size()});
  if (ops > max_ops) return fault::too_many_ops;
  for (const auto& compare : request.compare()) {
    if (compare.key().empty()) return fault::empty_key;
  }
  for (const auto* branch : {&request.success(), &request.failure()}) {
    for (const auto& op : *branch) {
      Status bad;
      switch (op.request_case()) {
        case pb::RequestOp::kRequestRange: bad = validate(op.request_range()); break;
        case pb::RequestOp::kRequestPut: bad = validate(op.request_put()); break;
        case pb::RequestOp::kRequestDeleteRange: bad = validate(op.request_delete_range()); break;
        case pb::RequestOp::kRequestTxn: bad = validate(op.request_txn(), max_ops - ops); break;
        case pb::RequestOp::REQUEST_NOT_SET: bad = fault::key_not_found; break;
      }
      if (!bad.ok()) return bad;
    }
  }
  return {};
}

}  // namespace quorate::api::etcd
