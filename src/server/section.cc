#include "server/section.h"

#include <algorithm>
#include <charconv>

#include "server/config.h"

namespace quorate::server {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::size_t distance(std::string_view a, std::string_view b) {  // Levenshtein's
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::optional<Duration> parse_duration(const std::string& text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string unit(end, text.data() + text.size());
  if (error != std::errc() || count < 0 || count > 1'000'000) return std::nullopt;
  if (unit == "ms") return std::chrono::milliseconds(count);
  if (unit == "s") return std::chrono::seconds(count);
  if (unit == "m") return std::chrono::minutes(count);
  if (unit == "h") return std::chrono::hours(count);
  return std::nullopt;
}

std::optional<std::uint64_t> parse_bytes(const std::string& text) {
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string unit(end, text.data() + text.size());
  if (error != std::errc() || count > (1U << 30U)) return std::nullopt;
  if (unit == "KiB") return count << 10U;
  if (unit == "MiB") return count << 20U;
  if (unit == "GiB") return count << 30U;
  return std::nullopt;
}

std::string words(Duration value) {
  if (value >= 1h) return std::to_string(value / 1h) + "h";
  if (value >= 1s) return std::to_string(value / 1s) + "s";
  return std::to_string(value / 1ms) + "ms";
}

}  // namespace

void Section::fail(const toml::node& at, const std::string& key, const std::string& why) const {
  throw Wrong{file_ + ":" + std::to_string(at.source().begin.line) + ": " + path(key) + ": " + why};
}

void Section::missing(const std::string& key, const std::string& what) const {
  throw Wrong{file_ + ":" + std::to_string(table_->source().begin.line) + ": " + path(key) +
              " is missing: " + what};
}

const toml::node* Section::find(const std::string& key) {
  if (std::ranges::find(known_, key) == known_.end()) known_.push_back(key);
  return table_->get(key);
}

std::string Section::text(const std::string& key, const std::string& fallback) {
  const auto* node = find(key);
  return node ? string_of(*node, key) : fallback;
}

std::string Section::choice(const std::string& key, const std::string& fallback,
                            const std::vector<std::string>& allowed) {
  const auto* node = find(key);
  if (!node) return fallback;
  const std::string value = string_of(*node, key);
  if (std::ranges::find(allowed, value) == allowed.end()) {
    fail(*node, key, "unknown value \"" + value + "\"; allowed: " + joined(allowed));
  }
  return value;
}

bool Section::flag(const std::string& key, bool fallback) {
  const auto* node = find(key);
  if (!node) return fallback;
  if (!node->is_boolean()) fail(*node, key, "must be true or false");
  return **node->as_boolean();
}

std::uint64_t Section::number(const std::string& key, std::uint64_t fallback, std::uint64_t low,
                              std::uint64_t high) {
  const auto* node = find(key);
  if (!node) return fallback;
  const bool in_range = node->is_integer() && **node->as_integer() >= 0 &&
                        static_cast<std::uint64_t>(**node->as_integer()) >= low &&
                        static_cast<std::uint64_t>(**node->as_integer()) <= high;
  if (!in_range) {
    fail(*node, key, "must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return static_cast<std::uint64_t>(**node->as_integer());
}

Duration Section::duration(const std::string& key, Duration fallback, Duration low, Duration high) {
  const auto* node = find(key);
  if (!node) return fallback;
  const auto value = node->is_string() ? parse_duration(**node->as_string()) : std::nullopt;
  if (!value || *value < low || *value > high) {
    fail(*node, key,
         "must be a duration such as \"150ms\", \"2s\", \"5m\" or \"1h\", from " + words(low) + " to " +
             words(high));
  }
  return *value;
}

std::uint64_t Section::bytes(const std::string& key, std::uint64_t fallback, std::uint64_t low,
                             std::uint64_t high) {
  const auto* node = find(key);
  if (!node) return fallback;
  std::optional<std::uint64_t> value;
  if (node->is_integer() && **node->as_integer() >= 0)
    value = static_cast<std::uint64_t>(**node->as_integer());
  if (node->is_string()) value = parse_bytes(**node->as_string());
  if (!value || *value < low || *value > high) {
    fail(*node, key,
         "must be a size such as 67108864 or \"64MiB\", at least " + std::to_string(low) + " bytes" +
             (high == UINT64_MAX ? "" : ", at most " + std::to_string(high)));
  }
  return *value;
}

std::uint64_t Section::quota(const std::string& key) {
  const auto* node = table_->get(key);
  if (node && node->is_integer() && **node->as_integer() <= 0) {
    find(key);
    return quota_of(**node->as_integer());
  }
  return bytes(key, 0, 1U << 20U);
}

std::vector<net::Address> Section::addresses(const std::string& key, bool tls) {
  std::vector<net::Address> all;
  for_each_text(key, [&](const toml::node& node, const std::string& text) {
    auto address = net::parse_address(text);
    if (!address) fail(node, key, address.error());
    if (tls && text.find("://") == std::string::npos) address->tls = true;
    all.push_back(std::move(*address));
  });
  return all;
}

void Section::finish() const {
  for (const auto& [key, node] : *table_) {
    const std::string name(key.str());
    if (std::ranges::find(known_, name) != known_.end()) continue;
    const auto nearest =
        std::ranges::min_element(known_, {}, [&](const auto& k) { return distance(k, name); });
    std::string hint;
    if (nearest != known_.end() && distance(*nearest, name) <= 2) hint = " (did you mean " + *nearest + "?)";
    throw Wrong{file_ + ":" + std::to_string(key.source().begin.line) + ": " + path(name) + ": unknown key" +
                hint + "; allowed: " + joined(known_)};
  }
}

std::string Section::string_of(const toml::node& node, const std::string& key) const {
  if (!node.is_string()) fail(node, key, "must be a string in quotes");
  return **node.as_string();
}

std::vector<std::string> Section::texts(const std::string& key) {
  std::vector<std::string> all;
  for_each_text(key, [&](const toml::node&, const std::string& text) { all.push_back(text); });
  return all;
}

std::optional<Section> Section::table(const std::string& key) {
  const auto* node = find(key);
  if (!node) return std::nullopt;
  if (!node->is_table()) fail(*node, key, "must be a table: [" + path(key) + "]");
  return Section(file_, path(key), *node->as_table());
}

}  // namespace quorate::server
