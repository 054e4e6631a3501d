#include "server/go_duration.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace quorate::server {
namespace {

constexpr std::pair<std::string_view, double> units[] =
    {  // in nanoseconds; the longer name before its beginning
        {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};

}  // namespace

std::optional<Duration> parse_go_duration(std::string_view text) {
  if (text == "0") return Duration();
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    double count = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), count, std::chars_format::fixed);
    if (error != std::errc() || count < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto* unit =
        std::ranges::find_if(units, [&](const auto& each) { return text.starts_with(each.first); });
    if (unit == std::end(units)) return std::nullopt;
    text.remove_prefix(unit->first.size());
    total += count * unit->second;
  }
  constexpr double century = 100.0 * 365 * 24 * 3600 * 1e9;
  if (total > century) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(static_cast<std::int64_t>(total)));
}

}  // namespace quorate::server
