// What a load generator asks for: which operation next, on which key, as bytes ready to send.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"

namespace quorate::client {

enum class OpKind : std::uint8_t { put, get, serializable_get, txn };
inline constexpr std::size_t kOpKinds = 4;
[[nodiscard]] std::string_view name(OpKind kind);

enum class Distribution : std::uint8_t { uniform, zipf, sequential };

struct WorkloadOptions {
  std::array<unsigned, kOpKinds> weights{1, 0, 0, 0};
  std::uint64_t keys = 1000;
  Distribution distribution = Distribution::uniform;
  std::size_t value_size = 256;
  std::string prefix = "bench/";  // without #
  std::uint64_t seed = 1;
};

// "put", "get=9,put=1", "sget", "txn": kinds and weights. The error says what is allowed.
[[nodiscard]] std::expected<std::array<unsigned, kOpKinds>, std::string> parse_mix(std::string_view text);

class Workload {
 public:
  explicit Workload(const WorkloadOptions& options);

  struct Op {
    OpKind kind;
    std::string_view path;
    std::string_view frames;  // framed request; valid until the next call
  };
  Op next();
  // A put of one key, to fill the store before reading.
  Op put(std::uint64_t key);
  [[nodiscard]] std::uint64_t keys() const { return options_.keys; }

 private:
  // A request with room for the key at `key_at` (in a transaction: at several places).
  struct Template {
    std::string frames;
    std::vector<std::size_t> key_at;
  };
  Template make(OpKind kind) const;
  std::uint64_t pick_key();
  Op fill(OpKind kind, std::uint64_t key);

  WorkloadOptions options_;
  std::array<Template, kOpKinds> templates_;
  unsigned total_weight_ = 0;
  Rng rng_;
  std::uint64_t sequence_ = 0;
  std::vector<double> zipf_;  // cumulative
};

}  // namespace quorate::client
