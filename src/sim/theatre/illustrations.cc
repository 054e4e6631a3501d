#include "sim/theatre/illustrations.h"

#include <fstream>
#include <iterator>

#include "sim/scenario.h"

namespace quorate::sim {

namespace {

constexpr std::string_view mark = "<!-- diagram: ";
constexpr std::string_view opening = " -->\n```mermaid\n";
constexpr std::string_view closing = "```\n";

std::expected<std::string, std::string> draw(const std::filesystem::path& scenario) {
  std::ifstream in(scenario, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) return std::unexpected("cannot read " + scenario.string());
  const ScenarioResult played = run_scenario(text);
  if (played.failed) return std::unexpected(scenario.string() + " fails");
  return draw_mermaid(played.story);
}

}  // namespace

std::expected<std::string, std::string> illustrate(std::string_view markdown,
                                                   const std::filesystem::path& root) {
  std::string out;
  for (;;) {
    const std::size_t at = markdown.find(mark);
    if (at == std::string_view::npos) return out + std::string(markdown);
    const std::size_t name = at + mark.size();
    const std::size_t behind = markdown.find(opening, name);
    const std::string scenario(markdown.substr(name, markdown.find(" -->", name) - name));
    if (behind == std::string_view::npos || behind != name + scenario.size())
      return std::unexpected("no mermaid block follows the mark of " + scenario);
    const std::size_t begin = behind + opening.size();
    const std::size_t end = markdown.find(closing, begin);
    if (end == std::string_view::npos) return std::unexpected("the diagram of " + scenario + " has no end");
    auto drawn = draw(root / scenario);
    if (!drawn) return drawn;
    out += std::string(markdown.substr(0, begin)) + *drawn + std::string(closing);
    markdown.remove_prefix(end + closing.size());
  }
}

}  // namespace quorate::sim
