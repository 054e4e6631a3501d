#include "api/etcd/cluster.h"

#include <algorithm>

#include <xxhash.h>

#include "core/codec.h"

namespace quorate::api::etcd {

namespace pb = etcdserverpb;

namespace {

using quorate::Member;
using Members = std::vector<Member>;

NodeInfo info_of(const Member& member) {
  return codec::decode<NodeInfo>(member.context).value_or(NodeInfo{});
}

// etcd's rule (client/pkg/types): a scheme, a host and a port, no path.
bool valid_url(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    const auto host = url.substr(scheme.size());
    const auto colon = host.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == host.size()) return false;
    const auto port = host.substr(colon + 1);
    return port.size() <= 5 && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  }
  return false;
}

Status check_urls(const auto& urls, const Members& members, NodeId self) {
  if (urls.empty() || !std::ranges::all_of(urls, [](const auto& url) { return valid_url(url); })) {
    return fault::bad_member_urls;
  }
  for (const auto& member : members) {
    if (member.id == self) continue;
    const auto known = info_of(member).peer_urls;
    for (const auto& url : urls) {
      if (std::ranges::find(known, url) != known.end()) return fault::peer_url_exists;
    }
  }
  return {};
}

Member* find(Members& members, std::uint64_t id) {
  const auto at = std::ranges::find(members, NodeId(id), &Member::id);
  return at == members.end() ? nullptr : &*at;
}

}  // namespace

void ClusterService::add_to(Router& router) {
  router.unary<pb::MemberListRequest, pb::MemberListResponse>(
      "/etcdserverpb.Cluster/MemberList",
      [this](CallPtr call, const Message& m) { list(std::move(call), m); });
  router.unary<pb::MemberAddRequest, pb::MemberAddResponse>(
      "/etcdserverpb.Cluster/MemberAdd", [this](CallPtr call, const Message& m) { add(std::move(call), m); });
  router.unary<pb::MemberRemoveRequest, pb::MemberRemoveResponse>(
      "/etcdserverpb.Cluster/MemberRemove",
      [this](CallPtr call, const Message& m) { remove(std::move(call), m); });
  router.unary<pb::MemberUpdateRequest, pb::MemberUpdateResponse>(
      "/etcdserverpb.Cluster/MemberUpdate",
      [this](CallPtr call, const Message& m) { update(std::move(call), m); });
  router.unary<pb::MemberPromoteRequest, pb::MemberPromoteResponse>(
      "/etcdserverpb.Cluster/MemberPromote",
      [this](CallPtr call, const Message& m) { promote(std::move(call), m); });
}

pb::Member ClusterService::describe(const Member& member) {
  const NodeInfo configured = info_of(member);
  pb::Member out;
  out.set_id(member.id.value);
  out.set_islearner(member.role == Role::learner);
  const auto published = core_.model().published();
  const auto started = published.find(member.id);
  const NodeInfo* info = started == published.end() ? nullptr : &started->second;
  // A member that never started is known by its peer URLs alone; clients tell it by the empty name.
  if (info != nullptr) {
    out.set_name(info->name);
    for (const auto& url : info->client_urls) out.add_clienturls(url);
  }
  const auto& peers =
      configured.peer_urls.empty() && info != nullptr ? info->peer_urls : configured.peer_urls;
  for (const auto& url : peers) out.add_peerurls(url);
  return out;
}

void ClusterService::list(CallPtr call, const Message& message) {
  pb::MemberListRequest request;
  if (!parse(*call, message, request)) return;
  const auto answer = [this](const CallPtr& ready) {
    pb::MemberListResponse response;
    core_.fill(*response.mutable_header(), 0);  // etcd's have no revision
    for (const auto& member : core_.backend().status().membership.members)
      *response.add_members() = describe(member);
    Core::reply(*ready, response);
  };
  if (request.linearizable()) return core_.linearizable(std::move(call), answer);
  answer(call);
}

// A change names all who are to be members. By what a member that lags knows it could not be made: the leader
// compares whom it is to replace.
template <class Change>
void ClusterService::by_the_latest(CallPtr call, Change change) {
  core_.linearizable(std::move(call),
                     [change = std::move(change)](CallPtr& ready) { change(std::move(ready)); });
}

template <class Response>
void ClusterService::change(CallPtr call, Members base, Members members, Response response) {
  std::ranges::sort(members, {}, &Member::id);
  auto wanted = members;
  core_.backend().reconfigure(
      std::move(base), std::move(members),
      [this, call = std::move(call), wanted = std::move(wanted),
       response = std::move(response)](const replica::Outcome<Bytes>& outcome) mutable {
        if (!outcome) {
          const bool refused = outcome.error() == replica::Failure::invalid;
          return call->finish(refused ? Status(fault::not_enough_started) : status_of(outcome.error()));
        }
        core_.fill(*response.mutable_header(), 0);  // etcd's have no revision
        for (const auto& member : wanted) *response.add_members() = describe(member);
        Core::reply(*call, response);
      });
}

NodeId ClusterService::choose_id(const std::vector<std::string>& urls, const Members& taken) {
  const auto free = [&taken](NodeId id) {
    return !id.none() && std::ranges::find(taken, id, &Member::id) == taken.end();
  };
  for (const NodeId id : core_.backend().known_at(urls)) {
    if (free(id)) return id;
  }
  for (;;) {
    std::uint64_t id = core_.random();
    for (const auto& url : urls) id = XXH3_64bits_withSeed(url.data(), url.size(), id);
    if (free(NodeId(id))) return NodeId(id);
  }
}

void ClusterService::add(CallPtr call, const Message& message) {
  pb::MemberAddRequest request;
  if (!parse(*call, message, request)) return;
  by_the_latest(std::move(call), [this, request](CallPtr ready) { add_now(std::move(ready), request); });
}

void ClusterService::add_now(CallPtr call, const pb::MemberAddRequest& request) {
  const Members now = core_.backend().status().membership.members;
  Members members = now;
  if (Status bad = check_urls(request.peerurls(), members, NodeId()); !bad.ok())
    return call->finish(std::move(bad));
  NodeInfo info;
  info.peer_urls.assign(request.peerurls().begin(), request.peerurls().end());
  const Member added{choose_id(info.peer_urls, members), request.islearner() ? Role::learner : Role::voter,
                     codec::encode(info)};
  members.push_back(added);
  pb::MemberAddResponse response;
  *response.mutable_member() = describe(added);
  change(std::move(call), now, std::move(members), std::move(response));
}

void ClusterService::remove(CallPtr call, const Message& message) {
  pb::MemberRemoveRequest request;
  if (!parse(*call, message, request)) return;
  by_the_latest(std::move(call), [this, request](CallPtr ready) { remove_now(std::move(ready), request); });
}

void ClusterService::remove_now(CallPtr call, const pb::MemberRemoveRequest& request) {
  const Members now = core_.backend().status().membership.members;
  Members members = now;
  if (find(members, request.id()) == nullptr) return call->finish(fault::member_not_found);
  std::erase_if(members, [&](const Member& member) { return member.id.value == request.id(); });
  if (std::ranges::none_of(members, [](const Member& member) { return member.role == Role::voter; })) {
    return call->finish(fault::not_enough_started);
  }
  change(std::move(call), now, std::move(members), pb::MemberRemoveResponse());
}

void ClusterService::update(CallPtr call, const Message& message) {
  pb::MemberUpdateRequest request;
  if (!parse(*call, message, request)) return;
  by_the_latest(std::move(call), [this, request](CallPtr ready) { update_now(std::move(ready), request); });
}

void ClusterService::update_now(CallPtr call, const pb::MemberUpdateRequest& request) {
  const Members now = core_.backend().status().membership.members;
  Members members = now;
  Member* member = find(members, request.id());
  if (member == nullptr) return call->finish(fault::member_not_found);
  if (Status bad = check_urls(request.peerurls(), members, member->id); !bad.ok())
    return call->finish(std::move(bad));
  NodeInfo info = info_of(*member);
  info.peer_urls.assign(request.peerurls().begin(), request.peerurls().end());
  member->context = codec::encode(info);
  change(std::move(call), now, std::move(members), pb::MemberUpdateResponse());
}

void ClusterService::promote(CallPtr call, const Message& message) {
  pb::MemberPromoteRequest request;
  if (!parse(*call, message, request)) return;
  by_the_latest(std::move(call), [this, request](CallPtr ready) { promote_now(std::move(ready), request); });
}

void ClusterService::promote_now(CallPtr call, const pb::MemberPromoteRequest& request) {
  const Members now = core_.backend().status().membership.members;
  Members members = now;
  Member* member = find(members, request.id());
  if (member == nullptr) return call->finish(fault::member_not_found);
  if (member->role != Role::learner) return call->finish(fault::member_not_learner);
  // A learner publishes its name once it has caught up to where it is a member: until then, a vote of its
  // would only be missing from the quorum.
  if (!core_.backend().model().published().contains(member->id))
    return call->finish(fault::learner_not_ready);
  member->role = Role::voter;
  change(std::move(call), now, std::move(members), pb::MemberPromoteResponse());
}

}  // namespace quorate::api::etcd
