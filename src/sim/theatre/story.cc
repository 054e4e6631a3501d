#include "sim/theatre/story.h"

#include <fmt/format.h>

namespace quorate::sim {

std::string line(const Happening& h) {
  switch (h.kind) {
    case Happening::Kind::message: return fmt::format("{}->{} {}\n", h.at.value, h.to.value, h.text);
    case Happening::Kind::lost: return fmt::format("{}->{} lost {}\n", h.at.value, h.to.value, h.text);
    case Happening::Kind::event: return fmt::format("{} {}\n", h.at.value, h.text);
    case Happening::Kind::state: return h.text + "\n";
    case Happening::Kind::durable:
    case Happening::Kind::chapter: break;
  }
  return {};
}

}  // namespace quorate::sim
