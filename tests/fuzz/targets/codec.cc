// Every described message: decoding is total, and what was decoded or made up encodes to bytes that decode to
// the same again.
#include "core/codec.h"

#include "agreement/paxos/messages.h"
#include "choices.h"
#include "core/node_info.h"
#include "fuzz.h"
#include "generate.h"
#include "models/etcd/etcd_model.h"
#include "models/etcd/leases.h"
#include "models/etcd/store.h"
#include "net/frame.h"
#include "replica/messages.h"
#include "replica/sessions.h"
#include "replica/state.h"
#include "replog/raft/messages.h"
#include "replog/slots/messages.h"
#include "storage/wal_codec.h"

namespace quorate::fuzz {
namespace {

template <class T>
void round_trip(const T& value) {
  const Bytes bytes = codec::encode(value);
  require(bytes.size() == codec::encoded_size(value), "an encoding of another size than was said");
  const auto again = codec::decode<T>(bytes);
  require(again.has_value(), "an encoding that does not decode");
  require(codec::encode(*again) == bytes, "an encoding that changes on the way");
  require(!codec::to_json(value).empty(), "no JSON");
}

template <class T>
void check(Choices& choices) {
  if (choices.flip()) return round_trip(generate<T>(choices));
  const Bytes input = Bytes::copy(choices.rest());
  if (const auto value = codec::decode<T>(input)) round_trip(*value);
}

// The log's own encoding of writes, through the buffer that goes to the disk.
void log_bodies(Choices& choices) {
  using namespace storage::wal;
  if (choices.flip()) {
    const Bytes body = Bytes::copy(choices.rest());
    States states;
    (void)decode_checkpoint(body, states);
    (void)decode_groups(body, [](KeyspaceId, const Write&) { return true; });
    return;
  }
  WriteBuffer buffer;
  (void)buffer.room(1);  // as the log has it: never without memory
  std::vector<std::pair<KeyspaceId, Write>> written;
  for (int group = 0; group < 4 && !choices.empty(); ++group) {
    const KeyspaceId keyspace(choices.number());
    auto writes = generate<std::vector<Write>>(choices);
    for (auto& write : writes) {  // contiguous entries of known kinds, as the log is given
      auto* append = std::get_if<AppendEntries>(&write);
      for (std::size_t i = 0; append != nullptr && i < append->entries.size(); ++i) {
        append->entries[i].index = append->entries[0].index + i;
        append->entries[i].kind = static_cast<EntryKind>(choices.below(3));
      }
    }
    encode_group(buffer, keyspace, writes);
    for (const auto& write : writes) written.emplace_back(keyspace, write);
  }
  std::size_t at = 0;
  const bool whole = decode_groups(Bytes::copy(buffer.view(0)), [&](KeyspaceId keyspace, Write write) {
    require(at < written.size() && written[at].first == keyspace && written[at].second == write,
            "a write that was not encoded");
    ++at;
    return true;
  });
  require(whole && at == written.size(), "writes are missing");
}

using Check = void (*)(Choices&);
constexpr Check checks[] = {
    check<raft::Message>,
    check<raft::HardState>,
    check<paxos::Message>,
    check<slots::Message>,
    check<slots::Value>,
    check<slots::Configuration>,
    check<replica::Frame>,
    check<replica::CommandBatch>,
    check<replica::Sessions>,
    check<replica::AppliedPoint>,
    check<net::Control>,
    check<Membership>,
    check<SnapshotMeta>,
    check<Entry>,
    check<Write>,
    check<NodeInfo>,
    check<models::etcd::Tick>,
    check<models::etcd::Publish>,
    check<models::etcd::Result>,
    check<models::etcd::LeaseRecord>,
    check<models::etcd::State>,
    check<replicated_log::Request>,
    check<replicated_log::Event>,
    log_bodies,
};

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(codec) {
  quorate::fuzz::Choices choices(input);
  const auto which = choices.below(std::size(quorate::fuzz::checks));
  quorate::fuzz::checks[which](choices);
}
