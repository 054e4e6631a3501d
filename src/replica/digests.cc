// Comparing the states of all replicas: the leader names an index, each tells the digest it had there. A
// digest is kept per apply, so this scans nothing and can go on all the time.
#include <algorithm>

#include "replica/replica.h"

namespace quorate::replica {

// One round after another, as long as something is applied. The index is the leader's own: followers hear of
// it before they hear of anything behind it, so they have it still in front of them, or stand right at it.
void Replica::compare_digests(Env& env) {
  if (!leads() || !state_.settled() || env.now - comparing_since_ < config_.digest_interval) return;
  judge_digests(env);
  const SnapshotMeta now = state_.meta();
  if (now.digest.empty() || now.index == compared_) return;
  comparing_since_ = env.now;
  comparing_ = now.index;
  told_digests_ = {{config_.self, now.digest}};
  for (const auto& member : membership_.members) {
    if (member.id != config_.self) send(member.id, DigestAsk{now.index});
  }
}

// The digest that a majority of the members has is the right one. Where none has, that the states differ is
// all that is known, and nobody is named, as by etcd: the leader may be the one that is wrong, and whoever is
// named gets replaced by a copy of what the others have.
void Replica::judge_digests(Env& env) {
  if (told_digests_.empty()) return;
  auto told = std::exchange(told_digests_, {});
  const auto& members = membership_.members;
  std::erase_if(told, [&](const auto& each) {  // who has left since, or is leaving
    return std::ranges::find(members, each.first, &Member::id) == members.end();
  });
  if (!told.contains(config_.self)) return;
  const auto held_by = [&](const Bytes& digest) {
    return std::ranges::count_if(told, [&](const auto& each) { return each.second == digest; });
  };
  Bytes right = told.at(config_.self);
  for (const auto& [node, digest] : told) {
    if (held_by(digest) > held_by(right)) right = digest;
  }
  const auto same = static_cast<std::size_t>(held_by(right));
  const std::size_t all = members.size();
  if (same == told.size()) {
    if (same == all) compared_ = comparing_;
    return;
  }
  const auto tell = [&](NodeId wrong, const std::string& what) {
    auto command = state_.model().diverged(wrong);
    if (!command) return;
    host_->warn(what + " at index " + to_string(comparing_));
    propose(env, std::move(*command), [](const Outcome<Bytes>&) {});
  };
  if (2 * same <= all)
    return tell(NodeId(), "the states of the members differ, and no majority has the same,");
  for (const auto& [node, digest] : told) {
    if (digest != right)
      tell(node, "the state of node " + to_string(node) + " differs from that of the others");
  }
}

void Replica::on_frame(Env&, NodeId from, DigestAsk&& frame) {
  if (frame.index == state_.applied().index) {
    if (!state_.settled()) return;  // it is beyond that; asked again
    send(from, DigestTold{frame.index, state_.meta().digest, state_.model().digest_format()});
  } else if (frame.index > state_.applied().index) {
    digest_asked_by_ = from;
    state_.sample_at(frame.index);
  }
}

void Replica::tell_sampled_digest() {
  if (auto digest = state_.take_sample())
    send(digest_asked_by_, DigestTold{digest->first, digest->second, state_.model().digest_format()});
}

void Replica::on_frame(Env&, NodeId from, DigestTold&& frame) {
  if (frame.format != state_.model().digest_format()) return;
  if (!leads() || frame.index != comparing_ || told_digests_.empty() || frame.digest.empty()) return;
  if (membership_.find(from) != nullptr) told_digests_.insert_or_assign(from, std::move(frame.digest));
}

}  // namespace quorate::replica
