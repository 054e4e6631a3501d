#include <algorithm>

#include <fmt/format.h>

#include "sim/theatre/story.h"

namespace quorate::sim {

namespace {

using Kind = Happening::Kind;

// Lanes for a terminal: one row a happening, what it is beside it.
class Lanes {
 public:
  explicit Lanes(const Story& story) : story_(&story) {}

  std::string draw() {
    std::string head;
    for (const NodeId id : story_->cast) head += fmt::format("{:<{}}", fmt::format("n{}", id.value), width);
    out_ = head.substr(0, head.find_last_not_of(' ') + 1) + "\n";
    for (const Happening& h : story_->happenings) row(h);
    return out_;
  }

 private:
  static constexpr std::size_t width = 6;  // from lane to lane

  [[nodiscard]] std::size_t lane(NodeId id) const {
    return static_cast<std::size_t>(std::ranges::find(story_->cast, id) - story_->cast.begin());
  }

  void row(const Happening& h) {
    switch (h.kind) {
      case Kind::chapter: out_ += "\n" + h.text + "\n"; break;
      case Kind::message: arrow(lane(h.at), lane(h.to), ">", "<", h.text); break;
      case Kind::lost: arrow(lane(h.at), lane(h.to), "x", "x", h.text + "  (lost)"); break;
      case Kind::state: break;
      case Kind::event: at(lane(h.at), "●", h.text); break;
      case Kind::durable: at(lane(h.at), "▪", "on disk: " + h.text); break;
    }
  }

  // A tip stands just before the lane it points to.
  void arrow(std::size_t from, std::size_t to, const char* right, const char* left, const std::string& text) {
    const std::size_t low = std::min(from, to);
    const std::size_t high = std::max(from, to);
    for (std::size_t i = 0; i < story_->cast.size(); ++i) {
      if (i == from)
        out_ += i == low ? "├" : "┤";
      else
        out_ += i > low && i < high ? "┼" : "│";
      if (i + 1 == story_->cast.size()) break;
      const bool within = i >= low && i < high;
      for (std::size_t column = 1; column < width; ++column) {
        const bool tip_right = from < to && i + 1 == to && column + 1 == width;
        const bool tip_left = to < from && i == to && column == 1;
        out_ += !within ? " " : tip_right ? right : tip_left ? left : "─";
      }
    }
    out_ += "  " + text + "\n";
  }

  void at(std::size_t lane, const char* mark, const std::string& text) {
    for (std::size_t i = 0; i < story_->cast.size(); ++i) {
      out_ += i == lane ? mark : "│";
      if (i + 1 != story_->cast.size()) out_ += std::string(width - 1, ' ');
    }
    out_ += "  " + text + "\n";
  }

  const Story* story_;
  std::string out_;
};

// Mermaid takes these for the end of a statement or for an entity.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case ';': out += "#59;"; break;
      case '#': out += "#35;"; break;
      case '<': out += "#lt;"; break;
      case '>': out += "#gt;"; break;
      default: out += c;
    }
  }
  return out;
}

// Broken where the line gets long, so that the lanes stay near each other.
std::string wrap(std::string_view text) {
  constexpr std::size_t wide = 34;
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    if (used != 0) {
      const bool breaks = used + word.size() > wide;
      out += breaks ? "<br/>" : " ";
      used = breaks ? 0 : used + 1;
    }
    out += escape(word);
    used += word.size();
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string draw_lanes(const Story& story) { return Lanes(story).draw(); }

std::string draw_mermaid(const Story& story) {
  std::string out = "sequenceDiagram\n";
  for (const NodeId id : story.cast) out += fmt::format("  participant n{}\n", id.value);
  const auto ends = [&] { return fmt::format("n{},n{}", story.cast.front().value, story.cast.back().value); };
  for (const Happening& h : story.happenings) {
    switch (h.kind) {
      case Kind::chapter: out += fmt::format("  Note over {}: {}\n", ends(), wrap(h.text)); break;
      case Kind::message:
        out += fmt::format("  n{}->>n{}: {}\n", h.at.value, h.to.value, wrap(h.text));
        break;
      case Kind::lost: out += fmt::format("  n{}-xn{}: {}\n", h.at.value, h.to.value, wrap(h.text)); break;
      case Kind::state: break;
      case Kind::event: out += fmt::format("  Note over n{}: {}\n", h.at.value, wrap(h.text)); break;
      case Kind::durable:
        out += fmt::format("  Note over n{}: on disk: {}\n", h.at.value, wrap(h.text));
        break;
    }
  }
  return out;
}

}  // namespace quorate::sim
