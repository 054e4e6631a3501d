// What Raft nodes send each other. Names and fields are the thesis's (Ongaro 2014, figures 3.1 and 4.x); the
// sender's id travels with the link, so no message repeats it. Fields may be added at the end of a message.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "core/entry.h"
#include "core/ids.h"
#include "core/replicated_log.h"

namespace quorate::raft {

struct RequestVote {  // figure 3.1
  static constexpr const char* name = "RequestVote";
  Epoch term;
  Index last_log_index;
  Epoch last_log_term;
  bool leadership_transfer = false;  // §4.2.3: the leader asked for it, so its liveness is no objection
};
struct RequestVoteReply {
  static constexpr const char* name = "RequestVoteReply";
  Epoch term;
  bool vote_granted = false;
};

struct PreVote {  // §9.6: would you vote for me in `term`? Changes nothing at the receiver
  static constexpr const char* name = "PreVote";
  Epoch term;  // the sender's current one + 1
  Index last_log_index;
  Epoch last_log_term;
};
struct PreVoteReply {
  static constexpr const char* name = "PreVoteReply";
  Epoch term;  // granted: the asked one; denied: the receiver's current one
  bool vote_granted = false;
  Index last_log_index;  // the receiver's, so that a candidate sees whose log is ahead
  Epoch last_log_term;
};

struct AppendEntries {  // figure 3.1
  static constexpr const char* name = "AppendEntries";
  Epoch term;
  Index prev_log_index;
  Epoch prev_log_term;
  std::vector<Entry> entries;
  Index leader_commit;
};
struct AppendEntriesReply {
  static constexpr const char* name = "AppendEntriesReply";
  Epoch term;
  bool success = false;
  Index index;           // success: matches up to here, durably; failure: the prev_log_index that did not
  Epoch conflict_term;   // failure (§5.3): the receiver's term at that index; none if its log is shorter
  Index conflict_index;  // failure: its first index of conflict_term, or the end of its log + 1
};

struct Heartbeat {  // AppendEntries without a log part: leadership, commit index and read rounds (§6.4)
  static constexpr const char* name = "Heartbeat";
  Epoch term;
  Index commit;             // never beyond what the receiver has acknowledged
  std::uint64_t round = 0;  // counted within the term
};
struct HeartbeatReply {
  static constexpr const char* name = "HeartbeatReply";
  Epoch term;
  std::uint64_t round = 0;
};

struct CommitIndex {  // a Heartbeat that wants no reply: the commit index moved and no entries are due
  static constexpr const char* name = "CommitIndex";
  Epoch term;
  Index commit;
};

struct ReadIndex {  // §6.4: a follower asks for an index at which it may serve reads
  static constexpr const char* name = "ReadIndex";
  std::uint64_t id = 0;
  replicated_log::ReadMode mode = replicated_log::ReadMode::quorum;
};
struct ReadIndexReply {
  static constexpr const char* name = "ReadIndexReply";
  std::uint64_t id = 0;
  bool success = false;
  Index index;
};

struct TimeoutNow {  // §3.10: start an election at once
  static constexpr const char* name = "TimeoutNow";
  Epoch term;
};

// Not in the thesis: a node whose pre-vote failed because its log is behind asks the one ahead for the
// rest, so that the only quorum-connected node can lead (README.md, "Constrained election").
struct CatchUp {
  static constexpr const char* name = "CatchUp";
  Index last_log_index;  // a position of the sender's log; the answer starts at or before it
  Epoch last_log_term;
};
struct CatchUpReply {
  static constexpr const char* name = "CatchUpReply";
  Epoch term;
  Index prev_log_index;
  Epoch prev_log_term;
  std::vector<Entry> entries;
};

using Message = std::variant<RequestVote, RequestVoteReply, PreVote, PreVoteReply, AppendEntries,
                             AppendEntriesReply, Heartbeat, HeartbeatReply, CommitIndex, ReadIndex,
                             ReadIndexReply, TimeoutNow, CatchUp, CatchUpReply>;

BOOST_DESCRIBE_STRUCT(RequestVote, (), (term, last_log_index, last_log_term, leadership_transfer))
BOOST_DESCRIBE_STRUCT(RequestVoteReply, (), (term, vote_granted))
BOOST_DESCRIBE_STRUCT(PreVote, (), (term, last_log_index, last_log_term))
BOOST_DESCRIBE_STRUCT(PreVoteReply, (), (term, vote_granted, last_log_index, last_log_term))
BOOST_DESCRIBE_STRUCT(AppendEntries, (), (term, prev_log_index, prev_log_term, entries, leader_commit))
BOOST_DESCRIBE_STRUCT(AppendEntriesReply, (), (term, success, index, conflict_term, conflict_index))
BOOST_DESCRIBE_STRUCT(Heartbeat, (), (term, commit, round))
BOOST_DESCRIBE_STRUCT(HeartbeatReply, (), (term, round))
BOOST_DESCRIBE_STRUCT(CommitIndex, (), (term, commit))
BOOST_DESCRIBE_STRUCT(ReadIndex, (), (id, mode))
BOOST_DESCRIBE_STRUCT(ReadIndexReply, (), (id, success, index))
BOOST_DESCRIBE_STRUCT(TimeoutNow, (), (term))
BOOST_DESCRIBE_STRUCT(CatchUp, (), (last_log_index, last_log_term))
BOOST_DESCRIBE_STRUCT(CatchUpReply, (), (term, prev_log_index, prev_log_term, entries))

// The durable record beside the log (figure 3.1, "persistent state on all servers").
struct HardState {
  Epoch term;
  NodeId voted_for;
};
BOOST_DESCRIBE_STRUCT(HardState, (), (term, voted_for))
inline constexpr const char* hard_state_key = "raft/hard_state";
// Of a node whose log was damaged: it had acknowledged entries in terms up to this, and may have lost any of
// them. There until it has them again (rejoin.cc).
struct Lost {
  Epoch term;
};
BOOST_DESCRIBE_STRUCT(Lost, (), (term))
inline constexpr const char* lost_key = "raft/lost";
// The membership a node began with, encoded: a later start must not take another one from its settings.
inline constexpr const char* initial_key = "raft/initial";

}  // namespace quorate::raft
