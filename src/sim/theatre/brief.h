// A message, as protocols explain it in JSON, in as few words as a reader needs.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace quorate::sim {

// What an opaque payload says; the bytes as text where nothing is known of it.
using ReadPayload = std::function<std::string(std::string_view)>;

// `{"type":"Accept","n":{"round":1,"node":2},"value":"v"}` becomes `Accept n=1.2 value=v`. Log entries are
// written term.index:payload, ballots round.node, proposals ballot:value.
[[nodiscard]] std::string brief(std::string_view json, const ReadPayload& payload = {});

}  // namespace quorate::sim
