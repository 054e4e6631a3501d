// The wire form of the messages: nodes of different versions meet, so these bytes never change.
#include <gmock/gmock.h>

#include "core/codec.h"
#include "replog/raft/messages.h"

namespace quorate::raft {
namespace {

std::string hex(const Bytes& bytes) {
  std::string out;
  for (const char c : bytes.view()) {
    constexpr const char* digits = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

std::string wire(Message message) {
  const Bytes bytes = codec::encode(message);
  const auto back = codec::decode<Message>(bytes);
  EXPECT_TRUE(back && codec::encode(*back) == bytes);
  return hex(bytes);
}

TEST(RaftMessages, GoldenBytes) {
  EXPECT_EQ(wire(RequestVote{Epoch(1), Index(2), Epoch(3), true}), "000401020301");
  EXPECT_EQ(wire(RequestVoteReply{Epoch(1), true}), "01020101");
  EXPECT_EQ(wire(PreVote{Epoch(1), Index(2), Epoch(3)}), "0203010203");
  EXPECT_EQ(wire(PreVoteReply{Epoch(1), false, Index(2), Epoch(3)}), "030401000203");
  EXPECT_EQ(wire(AppendEntries{Epoch(5),
                               Index(300),
                               Epoch(4),
                               {{Epoch(5), Index(301), EntryKind::payload, Bytes::literal("ab")}},
                               Index(299)}),
            "040f05ac0204010705ad0201026162ab02");

  EXPECT_EQ(wire(AppendEntriesReply{Epoch(1), false, Index(2), Epoch(3), Index(4)}), "05050100020304");
  EXPECT_EQ(wire(Heartbeat{Epoch(1), Index(2), 3}), "0603010203");
  EXPECT_EQ(wire(HeartbeatReply{Epoch(1), 2}), "07020102");
  EXPECT_EQ(wire(CommitIndex{Epoch(1), Index(2)}), "08020102");
  EXPECT_EQ(wire(ReadIndex{1, replicated_log::ReadMode::lease}), "09020101");
  EXPECT_EQ(wire(ReadIndexReply{1, true, Index(2)}), "0a03010102");
  EXPECT_EQ(wire(TimeoutNow{Epoch(1)}), "0b0101");
  EXPECT_EQ(wire(CatchUp{Index(1), Epoch(2)}), "0c020102");
  EXPECT_EQ(wire(CatchUpReply{Epoch(1), Index(2), Epoch(3), {}}), "0d0401020300");
}

}  // namespace
}  // namespace quorate::raft
