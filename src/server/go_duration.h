// Durations as Go writes them, since etcd's flags are read by Go: "1h30m", "1.5s", "300ms".
#pragma once

#include <optional>
#include <string_view>

#include "core/time.h"

namespace quorate::server {

// Nothing if the text is none, is negative, or is longer than a century.
[[nodiscard]] std::optional<Duration> parse_go_duration(std::string_view text);

}  // namespace quorate::server
