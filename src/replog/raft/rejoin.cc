// A node whose log was damaged comes back without the entries it had acknowledged. That breaks the one
// promise Leader Completeness rests on at this node: whoever acknowledged an entry holds it when it votes.
// The other two, one vote a term and no message of an earlier term obeyed, are kept as long as term and vote
// are known; the storage proves that, or this is not tried.
//
// So the node
//   (1) enters the term behind the last one it had reached, T, and has voted for nobody there;
//   (2) keeps a mark, `lost` = T, durable in the very write that lets the damaged log go;
//   (3) gives no vote and does not campaign until its durable log holds an entry of a term later than T.
//
// Why this is safe. What it had acknowledged, it had acknowledged to leaders of terms up to T; by (1) none of
// them hears of it again in its own term. Let an entry be committed in term u, now or later, counting such an
// acknowledgement, and let t > u be the first term whose leader lacks it. The quorum that elected this leader
// meets the quorum that committed; say only in this node, and its vote is younger than the damage. By (3) its
// log then held an entry of a term w with u <= T < w, and w < t, since the leader of t had not appended yet.
// The leader of w had the committed entry (t is the first that lacks it), so by Log Matching this node's log
// had it too when it held that entry of w; and kept it until it voted, as every leader between w and t has
// it. From there on the ordinary proof goes (thesis §3.6.3). However many logs were damaged: each voter that
// both quorums share answers for itself. Votes: none was given in a term behind T before (1). Reads and
// leases: until (3) no leader is elected with its vote, so who was promised silence is as safe as if the node
// were down.
//
// The same holds where the state is lost as well, or is lost alone and the log behind it is given up for
// that: the argument knows of no state. Who has none starts at index 0; that the members known last stand for
// the initial ones there is of no consequence for the protocol, since (3) lets nobody count on them; its host
// must not take for removed who is not in an older configuration on the way (Replica::removed).
//
// An acknowledgement of a later leader's own entry implies (3): a node that lacks entries never helps to
// commit.
//
// If a quorum has lost entries there is no election any more. Then the nodes wait, and say so.
#include "core/codec.h"
#include "replog/raft/raft.h"

namespace quorate::raft {

namespace {

// Whether the other members can elect a leader: without one this node waits for ever.
bool dispensable(NodeId self, const Membership& membership) {
  const auto others = [self](NodeId id) { return id == self ? -1 : 1; };
  return quorum::tally(membership, others) == quorum::Tally::won;
}

}  // namespace

std::expected<std::vector<Write>, std::string> rejoin(NodeId self, const std::map<RecordKey, Bytes>& records,
                                                      const std::optional<SnapshotMeta>& state) {
  const auto record = records.find(hard_state_key);
  if (record == records.end()) return std::unexpected("no term and vote are recorded");
  const auto hard = codec::decode<HardState>(record->second);
  if (!hard) return std::unexpected("the recorded term and vote can not be decoded");
  std::vector<Write> writes{PutRecord{hard_state_key, codec::encode(HardState{hard->term.next(), NodeId()})},
                            PutRecord{lost_key, codec::encode(Lost{hard->term})}};
  std::optional<Membership> membership;
  const bool stateless = state && state->index.none();
  if (const auto initial = records.find(initial_key); initial != records.end() && !stateless) {
    if (auto decoded = codec::decode<Membership>(initial->second)) membership = std::move(*decoded);
    writes.emplace_back(PutRecord{initial_key, initial->second});
  }
  if (state) membership = state->membership;
  if (stateless) writes.emplace_back(PutRecord{initial_key, codec::encode(*membership)});
  if (state && !stateless) writes.emplace_back(SnapshotTaken{*state});
  if (!membership || (state && membership->voters().empty()))
    return std::unexpected("it is not recorded who the members are");
  if (!dispensable(self, *membership))
    return std::unexpected("without this node there is no quorum that could bring it what it lost");
  return writes;
}

void Raft::recover_lost(const Recovered& recovered) {
  const auto record = recovered.records.find(lost_key);
  if (record == recovered.records.end()) return;
  if (const auto lost = codec::decode<Lost>(record->second)) {
    lost_ = lost->term;
  } else {
    fault_ = "the recovered mark of lost entries can not be decoded";
  }
}

// Rule (3). That the mark goes need not be durable: whoever finds it again abstains a little longer.
void Raft::regain(Context& c) {
  if (!lost_ || log_.term(durable_) <= *lost_) return;
  lost_.reset();
  hard_ticket_ = c.out.persist({PutRecord{lost_key, {}}});
  c.out.emit(replicated_log::Rejoining{true});
}

}  // namespace quorate::raft
