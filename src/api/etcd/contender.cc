#include "api/etcd/contender.h"

#include <charconv>

#include <boost/asio/post.hpp>

#include "api/etcd/lease.h"

namespace quorate::api::etcd {

namespace pb = etcdserverpb;
using models::etcd::Op;

namespace {

constexpr std::int64_t default_ttl = 60;  // seconds, as etcd's client library

std::optional<pb::RangeResponse> range(Core& core, const pb::RangeRequest& request) {
  const auto result = core.model().range(request);
  pb::RangeResponse response;
  const auto body = result.body.view();
  if (result.error != models::etcd::Error::none) return std::nullopt;
  if (!response.ParseFromArray(body.data(), static_cast<int>(body.size()))) return std::nullopt;
  return response;
}

class Contender final : public http::CallStream {
 public:
  using Won = std::function<void(http::Call&, const Turn&)>;
  Contender(Core& core, http::Call& call, Contest contest, Won won)
      : core_(core), call_(&call), contest_(std::move(contest)), won_(std::move(won)) {}
  ~Contender() override {
    stop_watching();
    if (turn_.created == 0 || over_) return;
    pb::DeleteRangeRequest leave;
    leave.set_key(turn_.key);
    core_.propose(Op::delete_range, leave, [](const replica::Outcome<Bytes>&) {});
  }

  void start() { contest_.lease == 0 ? grant() : enter(contest_.lease); }

 private:
  // Completions outlive the call: they find the contender through it, if it is still there.
  template <class F>
  replica::Done then(F next) {
    return [call = CallPtr(call_), next = std::move(next)](const replica::Outcome<Bytes>& outcome) {
      if (!call->open()) return;
      auto result = decode(outcome);
      if (!result) return call->finish(std::move(result.error()));
      if (result->error != models::etcd::Error::none) return call->finish(status_of(result->error));
      next(static_cast<Contender&>(*call->stream()), *result);
    };
  }

  void grant() {
    pb::LeaseGrantRequest request;
    request.set_ttl(default_ttl);
    request.set_id(choose_lease(core_));
    core_.propose(Op::lease_grant, request,
                  then([id = request.id()](Contender& me, const auto&) { me.enter(id); }));
  }

  void enter(std::int64_t lease) {
    char hex[17];
    const auto end = std::to_chars(hex, hex + sizeof(hex), static_cast<std::uint64_t>(lease), 16).ptr;
    turn_.lease = lease;
    turn_.key = prefix_of(contest_.name) + std::string(hex, end);
    pb::TxnRequest txn;
    auto& compare = *txn.add_compare();
    compare.set_key(turn_.key);
    compare.set_target(pb::Compare::CREATE);
    compare.set_create_revision(0);
    auto& put = *txn.add_success()->mutable_request_put();
    put.set_key(turn_.key);
    put.set_value(contest_.value);
    put.set_lease(lease);
    txn.add_failure()->mutable_request_range()->set_key(turn_.key);
    core_.propose(Op::txn, txn, then([](Contender& me, const auto& result) { me.entered(result); }));
  }

  void entered(const models::etcd::Result& result) {
    pb::TxnResponse response;
    const auto body = result.body.view();
    if (!response.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return call_->finish({Code::internal, "malformed result of a transaction"});
    }
    if (response.succeeded()) {
      turn_.created = result.revision;
      return wait();
    }
    // The same lease asks again: it keeps its place.
    if (response.responses_size() != 1 || response.responses(0).response_range().kvs_size() != 1) {
      return call_->finish(fault::session_expired);
    }
    const auto& mine = response.responses(0).response_range().kvs(0);
    turn_.created = mine.create_revision();
    if (mine.value() == contest_.value) return wait();
    pb::PutRequest put;
    put.set_key(turn_.key);
    put.set_value(contest_.value);
    put.set_lease(turn_.lease);
    core_.propose(Op::put, put, then([](Contender& me, const auto&) { me.wait(); }));
  }

  // Waits for the key created last before ours: so each departure wakes one contender, not all.
  void wait() {
    stop_watching();
    pb::RangeRequest before;
    before.set_key(prefix_of(contest_.name));
    before.set_range_end(prefix_end(before.key()));
    before.set_sort_target(pb::RangeRequest::CREATE);
    before.set_sort_order(pb::RangeRequest::DESCEND);
    before.set_max_create_revision(turn_.created - 1);
    before.set_limit(1);
    const auto found = range(core_, before);
    if (!found) return call_->finish({Code::internal, "the queue can not be read"});
    if (found->kvs_size() == 0) return arrive();
    models::etcd::WatchSpec spec;
    spec.key = found->kvs(0).key();
    spec.start_revision = core_.model().revision() + 1;
    spec.no_put = true;
    watch_ = core_.model().watches().add(std::move(spec), [this] { recheck(); });
    const auto batch = core_.model().watches().poll(*watch_, 4096);  // from here on the hub tells
    if (!batch.events.empty() || batch.compact_revision != 0) recheck();
  }

  // Not from within the hub's call: the watch is removed in wait().
  void recheck() {
    boost::asio::post(core_.io(), [call = CallPtr(call_)] {
      if (call->open()) static_cast<Contender&>(*call->stream()).wait();
    });
  }

  void arrive() {
    pb::RangeRequest own;
    own.set_key(turn_.key);
    const auto found = range(core_, own);
    if (!found || found->kvs_size() == 0) {
      over_ = true;
      return call_->finish(fault::session_expired);
    }
    over_ = true;
    const auto won = std::move(won_);  // answering ends the call, and with it this
    won(*call_, Turn(turn_));
  }

  void stop_watching() {
    if (watch_) core_.model().watches().remove(*std::exchange(watch_, std::nullopt));
  }

  Core& core_;
  http::Call* call_;
  Contest contest_;
  Won won_;
  Turn turn_;
  std::optional<models::etcd::WatchId> watch_;
  bool over_ = false;  // nothing to leave: the turn came, or the key is gone
};

}  // namespace

std::string prefix_of(const std::string& name) { return name + "/"; }

std::string prefix_end(const std::string& prefix) {
  std::string end = prefix;
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
  if (end.empty()) return {"\0", 1};
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::optional<mvccpb::KeyValue> first_created(Core& core, const std::string& prefix) {
  pb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(prefix_end(prefix));
  request.set_sort_target(pb::RangeRequest::CREATE);
  request.set_sort_order(pb::RangeRequest::ASCEND);
  request.set_limit(1);
  auto found = range(core, request);
  if (!found || found->kvs_size() == 0) return std::nullopt;
  return std::move(*found->mutable_kvs(0));
}

void contend(Core& core, const CallPtr& call, Contest contest,
             std::function<void(http::Call&, const Turn&)> won) {
  auto contender = std::make_unique<Contender>(core, *call, std::move(contest), std::move(won));
  Contender& started = *contender;
  call->attach(std::move(contender));
  if (call->open()) started.start();
}

}  // namespace quorate::api::etcd
