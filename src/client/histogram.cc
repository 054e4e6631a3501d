#include "client/histogram.h"

#include <algorithm>
#include <cmath>

namespace quorate::client {

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::highest_in(std::size_t bucket) {
  if (bucket < 2 * kLinear) return bucket;
  const auto shift = static_cast<unsigned>(bucket >> kBits) - 1;
  const std::uint64_t top = (bucket & (kLinear - 1)) + kLinear;
  return (top << shift) + ((std::uint64_t{1} << shift) - 1);
}

std::uint64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::min(highest_in(i), max_);
  }
  return max_;
}

}  // namespace quorate::client
