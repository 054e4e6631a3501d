#include "client/histogram.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gmock/gmock.h>

#include "core/rng.h"

namespace quorate::client {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram h;
  EXPECT_EQ(h.count(), 0U);
  EXPECT_EQ(h.quantile(0.5), 0U);
  EXPECT_EQ(h.mean(), 0);
}

TEST(Histogram, IsExactBelow256) {
  Histogram h;
  for (std::uint64_t v = 0; v < 256; ++v) h.record(v);
  EXPECT_EQ(h.quantile(0.5), 127U);
  EXPECT_EQ(h.quantile(1), 255U);
  EXPECT_EQ(h.quantile(0), 0U);
  EXPECT_DOUBLE_EQ(h.mean(), 127.5);
}

TEST(Histogram, TakesTheExtremes) {
  Histogram h;
  h.record(0);
  h.record(~std::uint64_t{0});
  EXPECT_EQ(h.quantile(0.5), 0U);
  EXPECT_EQ(h.quantile(1), ~std::uint64_t{0});
}

TEST(Histogram, NeverSaysMoreThanTheMaximum) {
  Histogram h;
  h.record(1'000'001);
  EXPECT_EQ(h.quantile(0.999), 1'000'001U);
}

// Against sorting, over values from nanoseconds to minutes.
TEST(Histogram, QuantilesAreWithinOnePercentOfTheSortedTruth) {
  Rng rng(7);
  std::vector<std::uint64_t> values;
  Histogram h;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t value = rng.next() >> (28 + rng.below(30));
    values.push_back(value);
    h.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto truth = static_cast<double>(values[std::max<std::size_t>(rank, 1) - 1]);
    const auto said = static_cast<double>(h.quantile(q));
    EXPECT_GE(said, truth) << q;
    EXPECT_LE(said, truth * 1.008 + 1) << q;
  }
}

TEST(Histogram, MergingIsRecordingBoth) {
  Histogram a;
  Histogram b;
  Histogram both;
  for (std::uint64_t v = 1; v < 100000; v = v * 3 + 1) {
    a.record(v);
    b.record(v * 7);
    both.record(v);
    both.record(v * 7);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.max(), both.max());
  for (const double q : {0.25, 0.5, 0.75, 0.99}) EXPECT_EQ(a.quantile(q), both.quantile(q));
}

}  // namespace
}  // namespace quorate::client
