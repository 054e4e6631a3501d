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

// Dialled are the members of any keyspace that has not removed this node, at the addresses the membership has
// for them and then those of the configuration: either may be the newer.
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
  for (const auto& [keyspace, membership] : memberships_) {
    if (left_.contains(keyspace)) continue;
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
    if (left_.contains(keyspace)) continue;  // who is a member there is not told to this node any more
    for (const auto& member : membership.members) {
      if (auto info = codec::decode<NodeInfo>(member.context)) known.push_back({member.id, info->peer_urls});
    }
  }
  return known;
}

bool Node::has_started(NodeId member) const {
  return std::ranges::any_of(keyspaces_, [&](const auto& each) {
    const auto membership = memberships_.find(each.first);
    return !left_.contains(each.first) && membership != memberships_.end() &&
           membership->second.find(member) != nullptr && each.second->has_session(member);
  });
}

// Also by what a keyspace that has removed this node last was: a member of it may come to another.
std::vector<NodeId> Node::known_at(const std::vector<std::string>& peer_urls,
                                   const Keyspace& keyspace) const {
  std::vector<NodeId> known;
  for (const auto& [id, membership] : memberships_) {
    if (id == keyspace.id()) continue;
    for (const auto& member : membership.members) {
      const auto info = codec::decode<NodeInfo>(member.context);
      if (info && net::share_an_url(info->peer_urls, peer_urls) && !keyspace.once_removed(member.id))
        known.push_back(member.id);
    }
  }
  return known;
}

std::vector<KeyspaceId> Node::removed_from(NodeId node) const {
  std::vector<KeyspaceId> from;
  for (const auto& [id, keyspace] : keyspaces_) {
    if (keyspace->removed(node)) from.push_back(id);
  }
  return from;
}

void Node::told_removed(NodeId by, const std::vector<KeyspaceId>& from) {
  for (const auto id : from) left(id, "node " + to_string(by) + " says so");
}

// That a keyspace removed a node stays true whoever knows it and whoever lags; that none has it as a member
// is nothing that any one node can know. So this one ends when each of its own keyspaces has removed it. One
// of which it knows nothing may have added it since.
void Node::left(KeyspaceId id, const std::string& how_known) {
  const auto keyspace = keyspaces_.find(id);
  if (keyspace == keyspaces_.end() || !left_.insert(id).second) return;
  if (left_.size() == keyspaces_.size()) return leave(how_known);
  spdlog::error("keyspace {}: it has removed this member, {}, for good ({}); it goes on with the others",
                keyspace->second->name(), this->id().value, how_known);
  update_peers();
}

void Node::leave(const std::string& how_known) {
  if (std::exchange(removed_, true)) return;
  spdlog::critical("the cluster has removed this member, {}, for good ({}): this node stops", id().value,
                   how_known);
  if (auto marked = directory_.mark_removed(); !marked) spdlog::warn("{}", marked.error());
  if (on_removed_) return on_removed_();
  halt("it is no longer a member of the cluster");
}

}  // namespace quorate::runtime
