// Who is there: the handshake of a connection, as the one who accepts it and as the one who dialled.
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "net/peer.h"
#include "net/peers.h"

namespace quorate::net {

std::optional<Refuse> Peers::objection(const Hello& hello) const {
  const auto refuse = [](Refusal reason, std::string words) { return Refuse{reason, std::move(words)}; };
  if (hello.version != protocol_version) {
    return refuse(Refusal::version, "this node speaks peer protocol version " +
                                        std::to_string(protocol_version) + ", the other " +
                                        std::to_string(hello.version));
  }
  if (hello.cluster != config_.cluster) {
    return refuse(Refusal::cluster, "cluster id " + to_string(hello.cluster) + " instead of this node's " +
                                        to_string(config_.cluster) + " (another token or initial cluster?)");
  }
  if (hello.to != config_.self) {
    return refuse(Refusal::wrong_node, "this is node " + to_string(config_.self) + ", not node " +
                                           to_string(hello.to) + " (a wrong address in the list of peers?)");
  }
  if (hello.from == config_.self || hello.from.none()) {
    return refuse(Refusal::duplicate, "node id " + to_string(hello.from) + " is this node's own");
  }
  const auto known = peers_.find(hello.from);
  const bool expected = known != peers_.end() && (known->second->wanted || known->second->in);
  const auto is_guest = [](const auto& each) { return !each.second->wanted && each.second->in; };
  if (!expected && static_cast<std::size_t>(std::ranges::count_if(peers_, is_guest)) >= config_.max_guests) {
    return refuse(Refusal::busy, "node " + to_string(hello.from) +
                                     " is no member as far as this node knows, and too many such are here");
  }
  if (known != peers_.end() && known->second->in && known->second->instance != hello.instance &&
      Connection::Clock::now() - known->second->in->last_received() < 2 * config_.ping_interval) {
    return refuse(Refusal::duplicate, "node id " + to_string(hello.from) +
                                          " is in use by another process at " + known->second->in->remote());
  }
  return std::nullopt;
}

// By a command of its, or because there was a connection; who makes one knew already who it is.
bool Peers::took_part(NodeId id) const {
  const auto peer = peers_.find(id);
  return handler_.has_started(id) || (peer != peers_.end() && peer->second->wanted && peer->second->met);
}

Control Peers::invitation(const Hello& hello) const {
  Invite invite{.cluster = config_.cluster, .you = {}, .members = handler_.members()};
  if (took_part(hello.claims)) {  // wherever it is reached now
    invite.you = hello.claims;
    invite.started = true;
    return invite;
  }
  for (const auto& member : invite.members) {
    if (member.id == invite.you || !share_an_url(member.peer_urls, hello.peer_urls)) continue;
    if (!invite.you.none()) {
      return Refuse{Refusal::not_member,
                    "keyspaces have the nodes " + to_string(invite.you) + " and " + to_string(member.id) +
                        " at these peer URLs; remove the one that is no more (etcdctl member remove)"};
    }
    invite.you = member.id;
  }
  if (invite.you.none()) {
    return Refuse{Refusal::not_member,
                  "no member has these peer URLs yet; add it first (etcdctl member add)"};
  }
  invite.started = took_part(invite.you);
  return invite;
}

void Peers::on_hello(Connection& connection, const Hello& hello) {
  if (hello.cluster.none() && hello.from.none() && hello.version == protocol_version) {
    return dismiss(connection, invitation(hello));
  }
  if (auto refused = objection(hello)) {
    warn(connection, "refused", refused->words);
    return dismiss(connection, *refused);
  }
  auto introduced = strangers_.extract(&connection);
  Peer& peer = peer_at(hello.from);
  if (!peer.wanted && !peer.in) {
    spdlog::info("peer {}: not (yet) a member as far as this node knows; answering it", hello.from.value);
  }
  forget(peer.in);
  peer.in = introduced.mapped();
  peer.instance = hello.instance;
  peer.met = true;
  owners_.emplace(&connection, peer.id);
  connection.establish(config_.max_frame_bytes, peer.traffic);
  welcome(peer);
  note_connected(peer);
  if (peer.wanted && !peer.out && !peer.dialling) {  // it is there: no need to wait for the next attempt
    peer.backoff = config_.first_retry;
    peer.retry.cancel();
    dial_peer(peer);
  }
}

void Peers::welcome(Peer& peer) {
  peer.told = handler_.removed_from(peer.id);
  peer.in->send_control(Welcome{.cluster = config_.cluster,
                                .from = config_.self,
                                .instance = config_.instance,
                                .removed_from = peer.told});
}

void Peers::on_welcome(Connection& connection, Peer& peer, const Welcome& welcome) {
  std::string wrong;
  if (welcome.version != protocol_version) {
    wrong = "it speaks peer protocol version " + std::to_string(welcome.version);
  } else if (welcome.cluster != config_.cluster) {
    wrong = "it belongs to cluster " + to_string(welcome.cluster) + ", not " + to_string(config_.cluster);
  } else if (welcome.from != peer.id) {
    wrong = "it is node " + to_string(welcome.from);
  }
  if (!wrong.empty()) {
    const std::string remote = connection.remote();
    connection.close();
    return closed(connection, remote + ": " + wrong);
  }
  peer.out_ready = true;
  peer.met = true;
  peer.backoff = config_.first_retry;
  peer.last_reason.clear();
  connection.establish(config_.max_frame_bytes, peer.traffic);
  note_connected(peer);
  if (!welcome.removed_from.empty()) handler_.told_removed(peer.id, welcome.removed_from);
}

void Peers::dismiss(Connection& connection, const Control& answer) {
  auto stranger = strangers_.extract(&connection);
  connection.send_control(answer);
  if (stranger) part(std::move(stranger.mapped()));
}

}  // namespace quorate::net
