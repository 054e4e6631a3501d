// What stands around a Raft node: the state that committed entries make, and its transfer where the log is
// cut.
#pragma once

#include <optional>
#include <string>

#include <boost/describe.hpp>
#include <boost/mp11/list.hpp>

#include "core/canonical.h"
#include "core/codec.h"
#include "core/replicated_log.h"
#include "explore/local.h"
#include "replog/raft/messages.h"

namespace quorate::explore {

struct Shipped {  // a whole state
  static constexpr const char* name = "Shipped";
  Epoch epoch;
  SnapshotMeta meta;  // its digest is the state itself: it is small
};
struct Arrived {  // it is durable there, or nothing new
  static constexpr const char* name = "Arrived";
  Index index;
};
BOOST_DESCRIBE_STRUCT(Shipped, (), (epoch, meta))
BOOST_DESCRIBE_STRUCT(Arrived, (), (index))

struct RaftHost {
  using Message = boost::mp11::mp_push_back<raft::Message, Shipped, Arrived>;
  using Sent = std::vector<Packet<Message>>;
  using In = Input<raft::Message, replicated_log::Request>;

  SnapshotMeta live;
  std::optional<SnapshotMeta> staged;
  bool cuts = false;  // whether logs are cut: then not every log tells what was committed, but states do

  // The state is durable where the log is cut behind it; what was applied since comes again.
  static RaftHost recovered(Membership initial, const Recovered& disk, bool cuts) {
    RaftHost host;
    host.cuts = cuts;
    host.live.membership = std::move(initial);
    if (disk.snapshot) host.live = *disk.snapshot;
    return host;
  }

  void canonical(Canonical& to) const {
    to.encoded(live);
    to.number(staged ? 1 : 0);
    if (staged) to.encoded(*staged);
  }

  std::optional<In> input(NodeId self, NodeId from, const Message& message, Sent& sent) {
    if (const auto* shipped = std::get_if<Shipped>(&message)) {
      sent.push_back({self, from, Arrived{shipped->meta.index}});
      if (shipped->meta.index <= live.index) return std::nullopt;
      staged = shipped->meta;
      return Ask<replicated_log::Request>{
          replicated_log::SnapshotReceived{from, shipped->epoch, shipped->meta}};
    }
    if (const auto* arrived = std::get_if<Arrived>(&message)) {
      return Ask<replicated_log::Request>{replicated_log::SnapshotDelivered{from, arrived->index, true}};
    }
    return std::visit(
        [&]<class M>(const M& m) -> std::optional<In> {
          if constexpr (boost::mp11::mp_contains<raft::Message, M>::value)
            return Receive<raft::Message>{from, m};
          return std::nullopt;
        },
        message);
  }

  // What is wrong with the event, if anything.
  std::optional<std::string> take(NodeId self, const replicated_log::Event& event, Sent& sent) {
    if (const auto* committed = std::get_if<replicated_log::Committed>(&event)) {
      for (const Entry& entry : committed->entries) {
        if (auto wrong = apply(entry)) return wrong;
      }
    } else if (const auto* send = std::get_if<replicated_log::SendSnapshot>(&event)) {
      sent.push_back({self, send->to, Shipped{send->epoch, live}});
    } else if (const auto* restore = std::get_if<replicated_log::Restore>(&event)) {
      if (!staged || staged->index != restore->meta.index) return "it restores a state that is not there";
      live = *std::exchange(staged, std::nullopt);
    } else if (const auto* halt = std::get_if<replicated_log::Halt>(&event)) {
      return "it halted: " + halt->reason;
    }
    return std::nullopt;
  }

 private:
  std::optional<std::string> apply(const Entry& entry) {
    if (entry.index <= live.index) return std::nullopt;
    if (entry.index != live.index.next())
      return "entry " + to_string(entry.index) + " is applied behind a gap";
    live.index = entry.index;
    live.epoch = entry.epoch;
    live.digest = Bytes::adopt(live.digest.str() + codec::to_json(entry));
    if (entry.kind == EntryKind::membership) live.membership = *codec::decode<Membership>(entry.payload);
    return std::nullopt;
  }
};

}  // namespace quorate::explore
