#include "replica/snapshot_sender.h"

#include <gtest/gtest.h>

#include "storage/memory_engine.h"

namespace quorate::replica {
namespace {

constexpr std::size_t chunk_bytes = 32U << 10U;

// A receiver behind a link of so many bytes a second, in which everything waits in one queue.
class SlowLink {
 public:
  SlowLink(std::size_t state_bytes, std::size_t rate, Duration latency) : rate_(rate), latency_(latency) {
    for (std::size_t i = 0; i < state_bytes / chunk_bytes; ++i)
      engine_->put(storage::Table(1), std::to_string(1'000'000 + i),
                   Bytes::adopt(std::string(chunk_bytes, 'v')));
    sender_.emplace(1, Epoch(1), SnapshotMeta{}, engine_->snapshot(),
                    SnapshotSender::Pace{.chunk_bytes = chunk_bytes}, now_);
  }

  // Until the state has arrived or `limit` is over.
  void run(Duration limit) {
    const Instant begin = now_;
    send(sender_->fill_window(now_));
    for (Instant tick = now_ + 100ms; !arrived_ && now_ - begin < limit;) {
      const bool acknowledged = !acks_.empty() && acks_.front().first <= tick;
      now_ = acknowledged ? acks_.front().first : tick;
      if (acknowledged) {
        const auto next = acks_.front().second;
        acks_.pop_front();
        sender_->acknowledged(next, now_);
        send(sender_->fill_window(now_));
      } else {
        tick += 100ms;
        if (sender_->overdue(now_)) send(sender_->repeat(now_));
        idle_ = std::max(idle_, now_ - sender_->progressed_at());
      }
    }
    took_ = now_ - begin;
  }
  void becomes(Duration latency) { latency_ = latency; }
  // All that is queued in it.
  void lose_connection() {
    if (!acks_.empty()) next_ = acks_.front().second - 1;
    acks_.clear();
    free_at_ = now_;
  }

  [[nodiscard]] bool arrived() const { return arrived_; }
  [[nodiscard]] std::size_t chunks_sent() const { return chunks_sent_; }
  [[nodiscard]] Duration longest_wait() const { return longest_wait_; }  // of one that is queued last
  [[nodiscard]] Duration longest_silence() const { return idle_; }
  [[nodiscard]] Duration took() const { return took_; }

 private:
  void send(const std::vector<SnapshotChunk>& chunks) {
    for (const auto& chunk : chunks) {
      ++chunks_sent_;
      free_at_ = std::max(free_at_, now_) + Duration(1s) * chunk_bytes / rate_;
      longest_wait_ = std::max(longest_wait_, free_at_ - now_);
      if (chunk.number == next_) {
        ++next_;
        arrived_ = chunk.last;
      }
      acks_.emplace_back(free_at_ + latency_, next_);
    }
  }

  std::size_t rate_;
  Duration latency_;
  std::unique_ptr<storage::Engine> engine_ = storage::make_memory_engine();
  Instant now_{1h};
  std::optional<SnapshotSender> sender_;
  Instant free_at_{};
  std::deque<std::pair<Instant, std::uint64_t>> acks_;
  std::uint64_t next_ = 0;
  bool arrived_ = false;
  std::size_t chunks_sent_ = 0;
  Duration longest_wait_{};
  Duration idle_{};
  Duration took_{};
};

TEST(SnapshotSender, ASlowLinkCarriesEachChunkOnceAndHeartbeatsBetweenThem) {
  SlowLink link(20U << 20U, 500'000, 1ms);
  link.run(60s);
  EXPECT_TRUE(link.arrived());
  EXPECT_LE(link.took(), 45s) << "the link is not left idle";
  EXPECT_LE(link.chunks_sent(), 645U);
  EXPECT_LE(link.longest_wait(), 200ms);
}

TEST(SnapshotSender, ALongLinkIsFilled) {
  SlowLink link(20U << 20U, 10'000'000, 100ms);
  link.run(60s);
  EXPECT_TRUE(link.arrived());
  EXPECT_LE(link.took(), 4s);
  EXPECT_LE(link.chunks_sent(), 645U);
}

TEST(SnapshotSender, ALinkThatBecomesLongerIsFilledAgain) {
  SlowLink link(40U << 20U, 10'000'000, 1ms);
  link.run(1s);
  link.becomes(150ms);
  link.run(60s);
  EXPECT_TRUE(link.arrived());
  EXPECT_LE(link.took(), 8s);
}

// A chunk of which the first takes longer than anything is waited for.
TEST(SnapshotSender, AVerySlowLinkIsLearntFrom) {
  SlowLink link(2U << 20U, 40'000, 1ms);  // 0.8 s
  link.run(300s);
  EXPECT_TRUE(link.arrived());
  EXPECT_LE(link.chunks_sent(), 64 + 16U);
}

TEST(SnapshotSender, WhatALostConnectionHeldIsSentAgainSoon) {
  SlowLink link(20U << 20U, 10'000'000, 1ms);
  link.run(1s);
  EXPECT_FALSE(link.arrived());
  link.lose_connection();
  link.run(60s);
  EXPECT_TRUE(link.arrived());
  EXPECT_LE(link.longest_silence(), 500ms);
}

TEST(SnapshotSender, OneChunkIsRepeatedAtDoublingIntervals) {
  const auto engine = storage::make_memory_engine();
  for (int i = 0; i < 9; ++i) engine->put(storage::Table(1), std::to_string(i), Bytes::copy("v"));
  const Instant begin(1h);
  SnapshotSender sender(1, Epoch(1), {}, engine->snapshot(), {.chunk_bytes = 1}, begin);
  ASSERT_EQ(sender.fill_window(begin).size(), 1U);
  sender.acknowledged(1, begin);
  ASSERT_EQ(sender.fill_window(begin).size(), 2U);
  std::vector<Duration> repeated;
  for (Duration passed{}; passed <= 10s; passed += 100ms) {
    if (!sender.overdue(begin + passed)) continue;
    const auto chunks = sender.repeat(begin + passed);
    ASSERT_EQ(chunks.size(), 1U);
    EXPECT_EQ(chunks[0].number, 1U);
    repeated.push_back(passed);
  }
  EXPECT_EQ(repeated, (std::vector<Duration>{300ms, 900ms, 2100ms, 4500ms, 9300ms}));
  sender.acknowledged(2, begin + 10s);
  const auto rest = sender.fill_window(begin + 10s);
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].number, 2U) << "it is taken for lost, too";
}

}  // namespace
}  // namespace quorate::replica
