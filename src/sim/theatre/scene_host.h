// The host beside a protocol in a scenario: a state that is the list of what was committed, and the real
// sender and receiver of snapshots, a chunk for each row.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/replicated_log.h"
#include "replica/snapshot_receiver.h"
#include "replica/snapshot_sender.h"
#include "storage/memory_engine.h"

namespace quorate::sim {

class SceneHost {
 public:
  using Chunks = std::vector<replica::SnapshotChunk>;

  SceneHost() { open(); }

  void committed(const Entry& entry, const std::string& text, const Membership& membership);
  // Everything that was committed here, by index; since the last crash again what was flushed.
  [[nodiscard]] const std::map<Index, std::string>& state() const { return state_; }

  SnapshotMeta flush();
  void crash();

  Chunks send_snapshot(NodeId to, Epoch epoch, std::uint64_t transfer, Instant now);
  Chunks resend(NodeId to, Instant now);
  // More chunks; or how the transfer ended.
  Chunks acknowledged(NodeId from, const replica::SnapshotAck& ack, Instant now,
                      std::optional<replicated_log::SnapshotDelivered>& ended);
  replica::SnapshotReceiver::Step receive(NodeId from, const replica::SnapshotChunk& chunk, Instant now);
  void restore();

 private:
  void open();

  storage::MemoryHome home_;
  std::unique_ptr<storage::Engine> engine_;
  std::unique_ptr<replica::SnapshotReceiver> receiver_;
  std::map<NodeId, replica::SnapshotSender> senders_;
  std::map<Index, std::string> state_;
  SnapshotMeta meta_;
};

}  // namespace quorate::sim
