#include "replog/slots/omega.h"

#include <algorithm>
#include <utility>

#include "quorum/quorum.h"

namespace quorate::slots {
namespace {

constexpr std::uint64_t max_priority = std::uint64_t{1} << 56U;  // a greater one is damage or malice

}  // namespace

void Omega::heard(Instant now, NodeId from, const Heartbeat& heartbeat) {
  auto& peer = peers_[from];
  peer.heard = now;
  peer.forgiven = false;
  peer.hears_me = std::ranges::find(heartbeat.heard, self_) != heartbeat.heard.end();
  peer.eligible = heartbeat.eligible && heartbeat.priority < max_priority;
  peer.priority = heartbeat.priority;
  peer.decided_before = peer.decided;
  peer.decided = heartbeat.decided;
  peer.seen = heartbeat.seen;
  if (heartbeat.priority < max_priority) highest_seen_ = std::max(highest_seen_, heartbeat.priority);
}

void Omega::forgive(Instant now, Duration stood_still) {
  for (auto& [id, peer] : peers_) {
    if (!std::exchange(peer.forgiven, true)) peer.heard = std::min(now, peer.heard + stood_still);
  }
}

void Omega::take_over(std::uint64_t above) {
  if (above < max_priority) priority_ = std::max({priority_, above, highest_seen_}) + 1;
}

bool Omega::connected(Instant now, NodeId node) const {
  if (node == self_) return true;
  const auto* known = peer(node);
  return known && known->hears_me && now - known->heard < timeout_;
}

std::vector<NodeId> Omega::heard_now(Instant now) const {
  std::vector<NodeId> ids;
  for (const auto& [id, peer] : peers_) {
    if (now - peer.heard < timeout_) ids.push_back(id);
  }
  return ids;
}

const Omega::Peer* Omega::peer(NodeId node) const {
  const auto it = peers_.find(node);
  return it == peers_.end() ? nullptr : &it->second;
}

void Omega::evaluate(Instant now, const std::vector<NodeId>& voters, bool ready) {
  const auto reached = std::ranges::count_if(voters, [&](NodeId v) { return connected(now, v); });
  eligible_ = ready && std::ranges::find(voters, self_) != voters.end() &&
              static_cast<std::size_t>(reached) >= quorum::majority(voters.size());
  leader_ = {};
  for (const NodeId v : voters) {  // ascending: the lower id wins a tie
    const auto* known = peer(v);
    const bool can = v == self_ ? eligible_ : connected(now, v) && known->eligible;
    if (!can) continue;
    const auto its = v == self_ ? priority_ : known->priority;
    if (leader_.none() || its > leader_priority_) {
      leader_ = v;
      leader_priority_ = its;
    }
  }
  if (leader_ == self_ && priority_ <= highest_seen_) priority_ = highest_seen_ + 1;
  if (leader_ == self_) leader_priority_ = priority_;
}

}  // namespace quorate::slots
