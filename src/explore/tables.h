// Open addressing: a set of fingerprints, and numbers by number. Sized in powers of two, never shrunk; what
// is in them is found again without a pointer to follow.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <xxhash.h>

namespace quorate::explore {

// 128 bits that add up, so that the fingerprint of a world is the sum of those of its parts.
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
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    if (!place(hash)) return false;
    ++size_;
    return true;
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Hash); }

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

class NumberMap {  // of keys below 2^64 - 1
 public:
  NumberMap() : slots_(1U << 10U) {}

  [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t key) const {
    for (std::size_t at = start(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].key == key) return slots_[at].value;
      if (slots_[at].key == free) return std::nullopt;
    }
  }
  void add(std::uint64_t key, std::uint32_t value) {  // a new key
    if (++size_ * 3 > slots_.size() * 2) {
      std::vector<Slot> old(slots_.size() * 2);
      old.swap(slots_);
      for (const Slot& slot : old) {
        if (slot.key != free) place(slot);
      }
    }
    place({key, value});
  }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  static constexpr std::uint64_t free = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = free;
    std::uint32_t value = 0;
  };
  [[nodiscard]] std::size_t start(std::uint64_t key) const {
    return XXH3_64bits(&key, sizeof key) & (slots_.size() - 1);
  }
  void place(const Slot& slot) {
    std::size_t at = start(slot.key);
    while (slots_[at].key != free) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace quorate::explore
