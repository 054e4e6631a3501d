#include "cli/help.h"

#include <algorithm>
#include <cctype>
#include <regex>
#include <utility>
#include <vector>

namespace quorate::cli {
namespace {

constexpr std::size_t indent = 2;
constexpr std::size_t explanations_at = 30;
constexpr std::size_t page_width = 100;

// Words in lines that end before the page does; the first begins at `column`.
std::string wrapped(const std::string& text, std::size_t column) {
  std::string out(column < explanations_at ? explanations_at - column : 0, ' ');
  if (column + 1 > explanations_at) out = "\n" + std::string(explanations_at, ' ');
  std::size_t at = explanations_at;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    if (at != explanations_at && at + 1 + end - begin > page_width) {
      out += "\n" + std::string(explanations_at, ' ');
      at = explanations_at;
    } else if (at != explanations_at) {
      out += ' ';
      ++at;
    }
    out.append(text, begin, end - begin);
    at += end - begin;
    begin = end + 1;
  }
  return out + "\n";
}

std::string line(const std::string& what, const std::string& explanation) {
  return std::string(indent, ' ') + what + wrapped(explanation, indent + what.size());
}

// "N:INT in [1 - 9]" is 1..9, "TEXT:{a,b}" is a|b; a name of its own stays.
std::string value_of(const CLI::Option& option) {
  if (option.get_type_size() == 0) return {};
  std::string type = option.get_type_name();
  std::smatch found;
  static const std::regex range(R"((INT|UINT) in \[(\d+) - (\d+)\])");
  static const std::regex choice(R"(\{([^}]*)\})");
  if (std::regex_search(type, found, range)) {
    type = found[2].str() + ".." + found[3].str();
  } else if (std::regex_search(type, found, choice)) {
    type = found[1].str();
    std::ranges::replace(type, ',', '|');
  } else if (static const std::regex checked("(TEXT|INT|UINT|FLOAT)(:.*)?");
             std::regex_match(type, found, checked)) {
    type = found[1].str();
    if (type != "TEXT") type = "N";
  }
  return type.empty() ? "" : " " + type;
}

std::string option_line(const CLI::Option& option) {
  std::string names;
  for (const auto& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
  for (const auto& name : option.get_lnames()) names += (names.empty() ? "--" : ", --") + name;
  std::string explanation = option.get_description();
  if (!option.get_default_str().empty()) explanation += " (" + option.get_default_str() + ")";
  return line(names + value_of(option), explanation);
}

std::string heading(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return "\n" + text + "\n";
}

std::vector<const CLI::Option*> positionals(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::vector<const CLI::App*> subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string usage(const CLI::App& app, const std::string& name) {
  std::string text = heading("usage") + std::string(indent, ' ') + name + " [OPTIONS]";
  for (const auto* argument : positionals(app)) {
    std::string word = argument->get_name(true, false);
    if (argument->get_expected_max() > 1) word += "...";
    text += argument->get_required() ? " " + word : " [" + word + "]";
  }
  if (!subcommands(app).empty()) text += " SUBCOMMAND ...";
  return text + "\n";
}

}  // namespace

std::string HelpPage::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const {
  if (name.empty()) name = app->get_name();
  std::string page = app->get_description() + "\n" + usage(*app, name);
  if (const auto arguments = positionals(*app); !arguments.empty()) {
    page += heading("arguments");
    for (const auto* argument : arguments)
      page += line(argument->get_name(true, false), argument->get_description());
  }
  if (const auto all = subcommands(*app); !all.empty()) {
    page += heading("subcommands");
    for (const auto* each : all) page += line(each->get_name(), each->get_description());
    page += "\n  " + name + " SUBCOMMAND --help tells more.\n";
  }
  for (const auto& group : app->get_groups()) {
    const auto options = app->get_options([&](const CLI::Option* option) {
      return option->get_group() == group && option->nonpositional() && !group.empty();
    });
    if (options.empty()) continue;
    page += heading(group);
    for (const auto* option : options) page += option_line(*option);
  }
  const CLI::App* notes = app;
  while (notes->get_footer().empty() && notes->get_parent() != nullptr) notes = notes->get_parent();
  const std::string footer = notes->get_footer();
  const std::size_t begins = footer.find_first_not_of('\n');
  if (begins != std::string::npos) page += "\n" + footer.substr(begins) + "\n";
  return page;
}

}  // namespace quorate::cli
