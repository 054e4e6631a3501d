#include "sim/damaged_frame.h"

#include <algorithm>
#include <cstring>

#include "net/frame.h"

namespace quorate::sim {

namespace {
constexpr KeyspaceId keyspace{1};
constexpr std::size_t largest = 1U << 20U;  // a payload, for a reader
}  // namespace

std::string on_the_wire(const Bytes& frame) {
  std::string stream(net::magic);
  net::put_header(stream, keyspace, frame.view());
  stream += frame.view();
  return stream;
}

std::optional<Bytes> off_the_wire(std::string_view stream) {
  net::FrameReader reader(std::max(largest, stream.size()));
  while (!stream.empty()) {
    const auto space = reader.prepare();
    const std::size_t taken = std::min(space.size, stream.size());
    std::memcpy(space.data, stream.data(), taken);
    reader.commit(taken);
    stream.remove_prefix(taken);
    auto frame = reader.next();
    if (!frame) return std::nullopt;
    if (*frame) return (*frame)->keyspace == keyspace ? std::optional((*frame)->payload) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<Bytes> damaged_on_the_wire(const Bytes& frame, Rng& rng) {
  std::string stream = on_the_wire(frame);
  const std::size_t length = stream.size() - net::magic.size();
  std::uint64_t bits = std::uint64_t{1} << rng.below(8);
  if (rng.chance(0.5)) bits = rng.between(1, 0xffff'ffffU);
  for (std::size_t at = net::magic.size() + rng.below(length); bits != 0 && at < stream.size(); ++at) {
    stream[at] = static_cast<char>(static_cast<unsigned char>(stream[at]) ^ (bits & 0xffU));
    bits >>= 8U;
  }
  return off_the_wire(stream);
}

std::optional<Bytes> damaged_behind_the_reader(const Bytes& frame, Rng& rng) {
  if (frame.empty()) return std::nullopt;
  std::string damaged = frame.str();
  const std::uint64_t bit = rng.below(damaged.size() * 8);
  damaged[bit / 8] = static_cast<char>(static_cast<unsigned char>(damaged[bit / 8]) ^ (1U << (bit % 8)));
  return Bytes::adopt(std::move(damaged));
}

}  // namespace quorate::sim
