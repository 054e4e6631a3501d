#include "client/workload.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "api/proto/rpc.pb.h"
#include "client/etcd.h"
#include "client/frame.h"

namespace quorate::client {
namespace {

namespace pb = ::etcdserverpb;

constexpr std::array<std::string_view, kOpKinds> kNames = {"put", "get", "sget", "txn"};
constexpr std::size_t kDigits = 10;
constexpr double kZipfExponent = 0.99;  // YCSB's

// All keys have one length, so that a request of one key is that of another with other digits.
std::string placeholder(const std::string& prefix) { return prefix + std::string(kDigits, '#'); }

std::string random_looking(std::size_t size, std::uint64_t seed) {
  std::string out(size, '\0');
  for (char& c : out) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    c = static_cast<char>('!' + (seed >> 33) % 94);
    if (c == '#') c = '$';  // the placeholder's
  }
  return out;
}

}  // namespace

std::string_view name(OpKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::expected<std::array<unsigned, kOpKinds>, std::string> parse_mix(std::string_view text) {
  std::array<unsigned, kOpKinds> weights{};
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const auto equals = part.find('=');
    const auto kind = std::find(kNames.begin(), kNames.end(), part.substr(0, equals));
    unsigned weight = 1;
    bool good = kind != kNames.end();
    if (equals != std::string_view::npos) {
      const char* end = part.data() + part.size();
      const auto [stop, error] = std::from_chars(part.data() + equals + 1, end, weight);
      good = good && error == std::errc() && stop == end && weight <= 1000000;
    }
    if (!good) {
      return std::unexpected(
          "bad part \"" + std::string(part) +
          "\" of a mix: expecting put, get, sget (serializable) or txn, with a weight: put=1,get=9");
    }
    weights[static_cast<std::size_t>(kind - kNames.begin())] = weight;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (std::all_of(weights.begin(), weights.end(), [](unsigned w) { return w == 0; })) {
    return std::unexpected("the mix is empty: expecting for example put=1,get=9");
  }
  return weights;
}

Workload::Workload(const WorkloadOptions& options) : options_(options), rng_(options.seed) {
  options_.keys = std::clamp<std::uint64_t>(options_.keys, 1, 9999999999);
  for (std::size_t kind = 0; kind < kOpKinds; ++kind) {
    templates_[kind] = make(static_cast<OpKind>(kind));
    total_weight_ += options_.weights[kind];
  }
  if (options_.distribution == Distribution::zipf) {
    double sum = 0;
    for (std::uint64_t k = 1; k <= options_.keys; ++k)
      zipf_.push_back(sum += std::pow(static_cast<double>(k), -kZipfExponent));
  }
}

Workload::Template Workload::make(OpKind kind) const {
  const std::string key = placeholder(options_.prefix);
  std::string bytes;
  const auto put_request = [&] {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(random_looking(options_.value_size, options_.seed));
    return request;
  };
  switch (kind) {
    case OpKind::put: bytes = put_request().SerializeAsString(); break;
    case OpKind::get:
    case OpKind::serializable_get: {
      pb::RangeRequest request;
      request.set_key(key);
      request.set_serializable(kind == OpKind::serializable_get);
      bytes = request.SerializeAsString();
      break;
    }
    case OpKind::txn: {  // what a lock or a controller does: change it if it is there
      pb::TxnRequest request;
      auto* compare = request.add_compare();
      compare->set_key(key);
      compare->set_target(pb::Compare::MOD);
      compare->set_result(pb::Compare::GREATER);
      compare->set_mod_revision(0);
      *request.add_success()->mutable_request_put() = put_request();
      *request.add_failure()->mutable_request_put() = put_request();
      bytes = request.SerializeAsString();
      break;
    }
  }
  Template made{frame(bytes), {}};
  const std::string digits(kDigits, '#');
  for (auto at = made.frames.find(digits); at != std::string::npos;
       at = made.frames.find(digits, at + kDigits)) {
    made.key_at.push_back(at);
  }
  return made;
}

std::uint64_t Workload::pick_key() {
  switch (options_.distribution) {
    case Distribution::sequential: return sequence_++ % options_.keys;
    case Distribution::uniform: return rng_.below(options_.keys);
    case Distribution::zipf: {
      const double at = rng_.unit() * zipf_.back();
      const auto rank =
          static_cast<std::uint64_t>(std::lower_bound(zipf_.begin(), zipf_.end(), at) - zipf_.begin());
      // The popular keys are spread over the key space, not neighbours.
      return rank * 2654435761U % options_.keys;
    }
  }
  return 0;
}

Workload::Op Workload::fill(OpKind kind, std::uint64_t key) {
  Template& made = templates_[static_cast<std::size_t>(kind)];
  char digits[kDigits];
  for (std::size_t i = kDigits; i-- > 0; key /= 10) digits[i] = static_cast<char>('0' + key % 10);
  for (const auto at : made.key_at) std::copy_n(digits, kDigits, made.frames.data() + at);
  const std::string_view path = kind == OpKind::put   ? rpc::put.path
                                : kind == OpKind::txn ? rpc::txn.path
                                                      : rpc::range.path;
  return {kind, path, made.frames};
}

Workload::Op Workload::next() {
  auto ticket = static_cast<unsigned>(rng_.below(total_weight_));
  std::size_t kind = 0;
  while (ticket >= options_.weights[kind]) ticket -= options_.weights[kind++];
  return fill(static_cast<OpKind>(kind), pick_key());
}

Workload::Op Workload::put(std::uint64_t key) { return fill(OpKind::put, key); }

}  // namespace quorate::client
