#include "sim/newer_version.h"

#include <string_view>

#include "core/codec.h"

namespace quorate::sim {

namespace newer {

namespace {

constexpr std::string_view more_fields("\x01\xff\x7fmore", 7);

// `head`: an encoded alternative's number comes first.
Bytes extend(const Bytes& encoded, bool head) {
  codec::detail::Reader in(encoded);
  if (head) in.varint();
  const std::size_t at = encoded.size() - in.left();
  const std::uint64_t length = in.varint();
  // A lone small number looks like the length of nothing: no struct of ours is empty where there is no head.
  if (!in.ok() || length != in.left() || (length == 0 && !head)) return encoded;
  std::string out(encoded.view().substr(0, at));
  out += codec::encode(length + more_fields.size()).view();
  out += encoded.view().substr(encoded.size() - length);
  out += more_fields;
  return Bytes::adopt(std::move(out));
}

}  // namespace

Bytes extend_struct(const Bytes& encoded) { return extend(encoded, false); }
Bytes extend_variant(const Bytes& encoded) { return extend(encoded, true); }

Bytes unknown_alternative() {
  constexpr std::uint64_t number = 1000;
  std::string out = codec::encode(number).str();
  out += codec::encode(std::string(more_fields)).view();
  return Bytes::adopt(std::move(out));
}

}  // namespace newer

void NewerVersion::step(Env& env, In&& input) {
  if (auto* ask = std::get_if<Ask<replicated_log::Request>>(&input)) {
    if (auto* propose = std::get_if<replicated_log::Propose>(&ask->request)) {
      for (Bytes& payload : propose->payloads) payload = newer::extend_struct(payload);
    }
  }
  inner_->step(env, std::move(input));
  extend_effects();
}

void NewerVersion::extend_effects() {
  for (auto& effect : inner_->take()) {
    if (auto* send = std::get_if<Send<Bytes>>(&effect)) {
      send->message = newer::extend_variant(send->message);
      if (++sent_ % newer::unknown_every == 0)
        effects_.push_back(Send<Bytes>{send->to, newer::unknown_alternative(), Ticket()});
    } else if (auto* persist = std::get_if<Persist>(&effect)) {
      for (Write& write : persist->writes) {
        auto* record = std::get_if<PutRecord>(&write);
        if (record != nullptr && !record->value.empty()) record->value = newer::extend_struct(record->value);
      }
    }
    effects_.push_back(std::move(effect));
  }
}

}  // namespace quorate::sim
