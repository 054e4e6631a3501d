#include "server/config.h"

#include <algorithm>
#include <string_view>

namespace quorate::server {
namespace {

class Hash {  // FNV-1a, 64 bits, then mixed so that near inputs give far ids
 public:
  void add(std::string_view text) {
    for (const char c : text) step(static_cast<unsigned char>(c));
    step(0);  // "ab","c" is not "a","bc"
  }
  [[nodiscard]] std::uint64_t value() const {
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 33U)) * 0xff51afd7ed558ccd;
    mixed = (mixed ^ (mixed >> 33U)) * 0xc4ceb9fe1a85ec53;
    mixed ^= mixed >> 33U;
    return mixed == 0 ? 1 : mixed;
  }

 private:
  void step(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001b3; }
  std::uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace

ClusterId cluster_id(const std::string& cluster, const std::map<NodeId, NodeInfo>& members) {
  Hash hash;
  hash.add(cluster);
  for (const auto& [id, info] : members) hash.add(to_string(id));
  return ClusterId(hash.value());
}

NodeId node_id(const std::string& cluster, std::vector<std::string> peer_urls) {
  std::ranges::sort(peer_urls);
  Hash hash;
  hash.add(cluster);
  for (const auto& url : peer_urls) hash.add(url);
  return NodeId(hash.value());
}

std::string one_line(const std::string& message) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', digits[byte >> 4U], digits[byte & 15U]};
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace quorate::server
