// The etcd model under any commands: never a crash, an error result for what does not parse, and two replicas
// that batch differently and restart at different times stay the same. Reads of any form beside them.
#include <memory>
#include <vector>

#include "api/proto/rpc.pb.h"
#include "choices.h"
#include "core/codec.h"
#include "fuzz.h"
#include "generate.h"
#include "models/etcd/etcd_model.h"
#include "protobuf.h"
#include "storage/memory_engine.h"
#include "storage/transaction.h"

namespace quorate::fuzz {
namespace {

namespace pb = etcdserverpb;
using namespace models::etcd;

class Replica {
 public:
  Replica() : engine_(storage::make_memory_engine()), txn_(*engine_) { reopen(); }

  Bytes apply(const Bytes& command) { return model_->apply(command, txn_); }
  void commit() {
    model_->settle(txn_);
    model_->committed(++index_);
  }
  void reopen() {
    model_ = EtcdModel::create();
    model_->open(*engine_);
  }
  EtcdModel& model() { return *model_; }

 private:
  std::unique_ptr<storage::Engine> engine_;
  storage::Transaction txn_;
  std::unique_ptr<EtcdModel> model_;
  Index index_;
};

template <class Message>
Bytes made(Op op, Choices& choices) {
  Message message;
  fill(message, choices);
  return command(op, message.SerializeAsString());
}

Bytes some_command(Choices& choices) {
  switch (choices.below(12)) {
    case 0:
    case 1: return made<pb::PutRequest>(Op::put, choices);
    case 2: return made<pb::DeleteRangeRequest>(Op::delete_range, choices);
    case 3:
    case 4: return made<pb::TxnRequest>(Op::txn, choices);
    case 5: return made<pb::CompactionRequest>(Op::compact, choices);
    case 6: {
      pb::LeaseGrantRequest request;
      fill(request, choices);
      if (request.id() == 0) request.set_id(1);  // chosen by the API before it proposes
      return command(Op::lease_grant, request.SerializeAsString());
    }
    case 7: return made<pb::LeaseRevokeRequest>(Op::lease_revoke, choices);
    case 8: return made<pb::LeaseKeepAliveRequest>(Op::lease_keep_alive, choices);
    case 9: return command(Op::tick, codec::encode(generate<Tick>(choices)).view());
    case 10: return command(Op::publish, codec::encode(generate<Publish>(choices)).view());
    default: return Bytes::copy(choices.text(64));
  }
}

void check(const Result& result) {
  require(codec::decode<Result>(codec::encode(result)).has_value(), "a result that does not decode");
  require(result.error == Error::none || result.body.empty(), "an error with a body");
}

void read(EtcdModel& model, Choices& choices) {
  switch (choices.below(5)) {
    case 0: {
      pb::RangeRequest request;
      fill(request, choices);
      const Result result = model.range(request);
      check(result);
      pb::RangeResponse response;
      require(result.error != Error::none || response.ParseFromString(result.body.str()),
              "a range response that does not parse");
      break;
    }
    case 1: {
      pb::TxnRequest request;
      fill(request, choices);
      check(model.read_txn(request));
      break;
    }
    case 2: {
      pb::LeaseTimeToLiveRequest request;
      fill(request, choices);
      check(model.lease_time_to_live(request));
      break;
    }
    case 3: {
      pb::HashKVRequest request;
      fill(request, choices);
      check(model.hash_kv(request));
      break;
    }
    default: (void)model.query(Bytes::copy(choices.text(32)));
  }
}

void range_in_parts(EtcdModel& model, Choices& choices) {
  pb::RangeRequest request;
  fill(request, choices);
  RangeCursor cursor;
  for (int parts = 0; !cursor.done; ++parts) {
    require(parts < 10'000, "a range without end");
    const Result part = model.range_part(request, cursor, 1 + choices.below(64));
    check(part);
    if (part.error != Error::none) break;
  }
}

void run(Choices& choices) {
  Replica one;
  Replica two;
  const auto batch = 1 + choices.below(6);
  std::size_t applied = 0;
  std::optional<WatchId> watcher;
  std::int64_t seen = 0;
  for (int steps = 0; steps < 100 && !choices.empty(); ++steps) {
    const auto act = choices.below(8);
    if (act == 0) {
      read(one.model(), choices);
    } else if (act == 1) {
      range_in_parts(one.model(), choices);
    } else if (act == 2 && !watcher) {
      WatchSpec spec{some_key(choices), some_key(choices), static_cast<std::int64_t>(choices.below(8))};
      spec.prev_kv = choices.flip();
      watcher = one.model().watches().add(std::move(spec), [] {});
      seen = 0;
    } else if (act == 3 && watcher) {
      const auto events = one.model().watches().poll(*watcher, choices.below(512));
      for (const auto revision : events.revisions) {
        require(revision >= seen, "watch events out of order");
        seen = revision;
      }
      if (events.compact_revision != 0) watcher.reset();
    } else {
      const Bytes command = some_command(choices);
      const Bytes result = one.apply(command);
      one.commit();
      require(two.apply(command) == result, "replicas answer differently");
      const auto decoded = codec::decode<Result>(result);
      require(decoded.has_value(), "a result that does not decode");
      check(*decoded);
      if (++applied % batch == 0) {
        two.commit();
        if (choices.below(4) == 0) two.reopen();
        require(one.model().digest() == two.model().digest(), "replicas differ");
      }
    }
  }
  two.commit();
  two.reopen();
  require(one.model().digest() == two.model().digest(), "replicas differ at the end");
  require(one.model().revision() == two.model().revision(), "revisions differ at the end");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(model) {
  quorate::fuzz::Choices choices(input);
  quorate::fuzz::run(choices);
}
