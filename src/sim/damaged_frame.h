// A frame whose bytes change between two nodes, as the connections between real ones would have it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/rng.h"

namespace quorate::sim {

// What a connection sends: its greeting and the frame, with header and checksum.
[[nodiscard]] std::string on_the_wire(const Bytes& frame);
// What net::FrameReader makes of these bytes: the first frame, or nothing, where it gives up the connection
// or waits for more.
[[nodiscard]] std::optional<Bytes> off_the_wire(std::string_view stream);

// Header, checksum or payload are hit: one bit, or some of up to four bytes in a row.
[[nodiscard]] std::optional<Bytes> damaged_on_the_wire(const Bytes& frame, Rng& rng);
// One bit of the payload, as if no checksum had seen it.
[[nodiscard]] std::optional<Bytes> damaged_behind_the_reader(const Bytes& frame, Rng& rng);

}  // namespace quorate::sim
