// 128-bit fingerprints that add up, so that the fingerprint of a world is the sum of those of its parts, and
// a set of them by open addressing: sixteen bytes a state.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <xxhash.h>

namespace quorate::explore {

struct Hash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend auto operator<=>(const Hash&, const Hash&) = default;
  Hash& operator+=(const Hash& other) {
    low += other.low;
    high += other.high;
    return *this;
  }
};

inline Hash hash_of(std::string_view text, std::uint64_t kind) {
  const XXH128_hash_t h = XXH3_128bits_withSeed(text.data(), text.size(), kind);
  return {h.low64, h.high64};
}

struct HashOfHash {
  std::size_t operator()(const Hash& hash) const { return hash.low; }
};

class HashSet {
 public:
  HashSet() : slots_(1U << 12U) {}

  bool insert(Hash hash) {  // false: it is there already
    if (hash == Hash{}) hash.low = 1;
    if ((size_ + 1) * 3 > slots_.size() * 2) grow();
    if (!place(hash)) return false;
    ++size_;
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  bool place(const Hash& hash) {
    std::size_t at = hash.low & (slots_.size() - 1);
    for (; slots_[at] != Hash{}; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == hash) return false;
    }
    slots_[at] = hash;
    return true;
  }
  void grow() {
    std::vector<Hash> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Hash& hash : old) {
      if (hash != Hash{}) place(hash);
    }
  }

  std::vector<Hash> slots_;  // a power of two of them; all zero: free
  std::size_t size_ = 0;
};

}  // namespace quorate::explore
