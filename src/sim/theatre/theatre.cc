#include "sim/theatre/theatre.h"

#include <charconv>

#include <fmt/ranges.h>

namespace quorate::sim {

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Usage{fmt::format("'{}' is no number", text)};
  return value;
}

NodeId node_id(std::string_view text) {
  const std::uint64_t value = number(text);
  if (value == 0) throw Usage{"there is no node 0"};
  return NodeId(value);
}

std::vector<NodeId> node_list(std::string_view text) {
  std::vector<NodeId> ids;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    ids.push_back(node_id(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ids;
}

Duration duration(std::string_view text) {
  if (!text.ends_with("ms")) throw Usage{"a duration is written 300ms"};
  return std::chrono::milliseconds(number(text.substr(0, text.size() - 2)));
}

const std::string& word(const Words& words, std::size_t at) {
  if (at >= words.size()) throw Usage{words[0] + " wants more"};
  return words[at];
}

std::string joined(const Words& words, std::size_t from) {
  return fmt::format("{}", fmt::join(words.begin() + static_cast<std::ptrdiff_t>(from), words.end(), " "));
}

std::string told(const std::vector<Write>& writes, const ReadPayload& payload) {
  std::vector<std::string> parts;
  for (const Write& write : writes) {
    if (const auto* record = std::get_if<PutRecord>(&write)) {
      parts.push_back((record->value.empty() ? "no " : "") + record->key);
    } else if (const auto* append = std::get_if<AppendEntries>(&write)) {
      for (const Entry& entry : append->entries) parts.push_back(brief(codec::to_json(entry), payload));
    } else if (const auto* cut = std::get_if<TruncateFrom>(&write)) {
      parts.push_back(fmt::format("nothing from {} on", cut->index.value));
    } else {
      parts.push_back(fmt::format("the snapshot at {}", std::get<SnapshotTaken>(write).meta.index.value));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace quorate::sim
