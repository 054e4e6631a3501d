// Whom a node is linked to, and whether it or another was removed.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "core/codec.h"
#include "runtime/node.h"

namespace quorate::runtime {

void Node::membership_changed(KeyspaceId keyspace, const Membership& membership) {
  memberships_[keyspace] = membership;
  update_peers();
}

// Dialled are the members of any keyspace, at the addresses the membership has for them and then those of the
// configuration: either may be the newer.
void Node::update_peers() {
  std::map<NodeId, std::vector<std::string>> peers;
  const auto add = [&](const Member& member) {
    if (member.id == id()) return;
    auto& urls = peers[member.id];
    if (auto info = codec::decode<NodeInfo>(member.context)) {
      for (auto& url : info->peer_urls) {
        if (std::ranges::find(urls, url) == urls.end()) urls.push_back(url);
      }
    }
  };
  for (const auto& [id, membership] : memberships_) {
    for (const auto& member : membership.members) add(member);
    for (const auto& member : membership.departing) add(member);
  }
  for (auto& [id, urls] : peers) {
    const auto configured = config_.addresses.find(id);
    if (configured == config_.addresses.end()) continue;
    for (const auto& url : configured->second) {
      if (std::ranges::find(urls, url) == urls.end()) urls.push_back(url);
    }
  }
  peers_.set_peers(peers);
}

void Node::received(NodeId from, KeyspaceId keyspace, Bytes frame) {
  if (const auto found = keyspaces_.find(keyspace); found != keyspaces_.end())
    found->second->receive(from, frame);
}

std::vector<net::Known> Node::members() const {
  std::vector<net::Known> known;
  for (const auto& [keyspace, membership] : memberships_) {
    for (const auto& member : membership.members) {
      if (auto info = codec::decode<NodeInfo>(member.context)) known.push_back({member.id, info->peer_urls});
    }
  }
  return known;
}

// A node may take part in some keyspaces only; it is removed when none has it any more. One whose state is
// being brought may have it without knowing so yet.
bool Node::removed(NodeId peer) const {
  if (std::ranges::any_of(keyspaces_, [](const auto& each) { return each.second->rejoining(); }))
    return false;
  const auto has = [peer](const auto& each) { return each.second->removed(peer); };
  const auto member = [peer](const auto& each) { return each.second.find(peer) != nullptr; };
  return std::ranges::any_of(keyspaces_, has) && std::ranges::none_of(memberships_, member);
}

void Node::told_removed(NodeId by) { leave("node " + to_string(by) + " says so"); }

void Node::leave(const std::string& how_known) {
  if (std::exchange(removed_, true)) return;
  spdlog::critical("the cluster has removed this member, {}, for good ({}): this node stops", id().value,
                   how_known);
  if (auto marked = directory_.mark_removed(); !marked) spdlog::warn("{}", marked.error());
  if (on_removed_) return on_removed_();
  halt("it is no longer a member of the cluster");
}

}  // namespace quorate::runtime
