// The peer link's frames. Whole frames come out as they were put in, however the bytes are cut into reads;
// behind damage nothing comes out that was not sent.
#include "net/frame.h"

#include <vector>

#include "choices.h"
#include "core/codec.h"
#include "fuzz.h"
#include "generate.h"

namespace quorate::fuzz {
namespace {

constexpr std::size_t max_payload = 4096;

struct Outcome {
  std::vector<std::pair<KeyspaceId, std::string>> frames;
  bool failed = false;
  bool operator==(const Outcome&) const = default;
};

// `piece`: bytes a read gives at most; 0: as many as there is room for.
Outcome read_all(std::string_view wire, std::size_t piece) {
  net::FrameReader reader(max_payload);
  Outcome outcome;
  while (!wire.empty() && !outcome.failed) {
    const auto space = reader.prepare();
    require(space.size > 0, "a reader without room");
    auto n = std::min(space.size, wire.size());
    if (piece != 0) n = std::min(n, piece);
    std::copy_n(wire.data(), n, space.data);
    wire.remove_prefix(n);
    reader.commit(n);
    for (;;) {
      auto next = reader.next();
      if (!next) {
        require(!next.error().empty(), "a refusal without a reason");
        require(!reader.next().has_value(), "a stream that recovered from an error");
        outcome.failed = true;
        break;
      }
      if (!*next) break;
      require((*next)->payload.size() <= max_payload, "a payload beyond the limit");
      outcome.frames.emplace_back((*next)->keyspace, (*next)->payload.str());
      if ((*next)->keyspace.none()) {
        if (const auto control = codec::decode<net::Control>((*next)->payload))
          (void)codec::to_json(*control);
      }
    }
  }
  return outcome;
}

void built(Choices& choices) {
  std::string wire(net::magic);
  Outcome sent;
  const auto piece = choices.below(64);
  const auto damage = choices.flip();
  const auto at = choices.raw(2);
  const auto mask = static_cast<char>(choices.byte());
  for (int i = 0; i < 16 && !choices.empty(); ++i) {
    const KeyspaceId keyspace(choices.number());
    const auto payload = keyspace.none() ? codec::encode(generate<net::Control>(choices)).str()
                                         : std::string(choices.text(300));
    net::put_header(wire, keyspace, payload);
    wire += payload;
    sent.frames.emplace_back(keyspace, payload);
  }
  if (!damage) {
    require(read_all(wire, piece) == sent, "frames differ from what was sent");
    return;
  }
  wire[at % wire.size()] = static_cast<char>(wire[at % wire.size()] ^ mask);
  const auto got = read_all(wire, piece);
  require(got.frames.size() <= sent.frames.size(), "more frames than were sent");
  require(std::equal(got.frames.begin(), got.frames.end(), sent.frames.begin()), "a frame that was not sent");
}

void any(std::string_view wire) {
  const auto whole = read_all(wire, 0);
  require(whole == read_all(wire, 1), "what is read depends on how the bytes arrive");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(frame) {
  quorate::fuzz::Choices choices(input);
  if (choices.flip()) return quorate::fuzz::built(choices);
  quorate::fuzz::any(choices.rest());
}
