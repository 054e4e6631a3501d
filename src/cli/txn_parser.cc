#include "cli/txn_parser.h"

#include <charconv>

#include <fmt/format.h>

#include "cli/kv_options.h"
#include "cli/text.h"

namespace quorate::cli {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

// Takes a quoted word off the front.
std::optional<std::string> take_quoted(std::string_view& text) {
  text = trim(text);
  if (text.empty() || text.front() != '"') return std::nullopt;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      auto words = split_words(text.substr(0, i + 1));
      text.remove_prefix(i + 1);
      if (!words.error.empty() || words.words.size() != 1) return std::nullopt;
      return words.words.front();
    }
  }
  return std::nullopt;
}

std::optional<pb::Compare::CompareResult> take_operator(std::string_view& text) {
  text = trim(text);
  const auto take = [&](std::string_view sign) {
    if (!text.starts_with(sign)) return false;
    text.remove_prefix(sign.size());
    return true;
  };
  if (take("!=")) return pb::Compare::NOT_EQUAL;
  if (take("=")) return pb::Compare::EQUAL;
  if (take("<")) return pb::Compare::LESS;
  if (take(">")) return pb::Compare::GREATER;
  return std::nullopt;
}

// Sets target and the value to compare with; false if `value` is no number where one is needed.
bool set_target(pb::Compare& compare, std::string_view target, const std::string& value) {
  if (target == "val" || target == "value") {
    compare.set_target(pb::Compare::VALUE);
    compare.set_value(value);
    return true;
  }
  std::int64_t number = 0;
  const bool is_lease = target == "lease";
  std::uint64_t unsigned_number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = is_lease ? std::from_chars(value.data(), end, unsigned_number, 16)
                                      : std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end) return false;
  if (is_lease) {
    compare.set_target(pb::Compare::LEASE);
    compare.set_lease(static_cast<std::int64_t>(unsigned_number));
  } else if (target == "ver" || target == "version") {
    compare.set_target(pb::Compare::VERSION);
    compare.set_version(number);
  } else if (target == "mod" || target == "m") {
    compare.set_target(pb::Compare::MOD);
    compare.set_mod_revision(number);
  } else {
    compare.set_target(pb::Compare::CREATE);
    compare.set_create_revision(number);
  }
  return true;
}

bool known_target(std::string_view target) {
  for (const std::string_view name : {"val", "value", "ver", "version", "mod", "m", "c", "create", "lease"}) {
    if (target == name) return true;
  }
  return false;
}

template <class Options>
void parse_words(Options& options, CLI::App& app, std::vector<std::string> words) {
  options.define(app);
  std::reverse(words.begin(), words.end());
  app.parse(words);
}

pb::RequestOp operation(const std::string& verb, std::vector<std::string> words) {
  pb::RequestOp op;
  CLI::App app("", verb);
  if (verb == "get") {
    GetOptions options;
    parse_words(options, app, std::move(words));
    *op.mutable_request_range() = options.request();
  } else if (verb == "put") {
    PutOptions options;
    parse_words(options, app, std::move(words));
    *op.mutable_request_put() = options.request([]() -> std::string {
      throw Failure{kInvalidInput, "put within a transaction needs its value on the same line"};
    });
  } else if (verb == "del") {
    DelOptions options;
    parse_words(options, app, std::move(words));
    *op.mutable_request_delete_range() = options.request();
  } else {
    throw Failure{kInvalidInput, "expecting get, put or del"};
  }
  return op;
}

}  // namespace

std::expected<pb::Compare, std::string> parse_compare(std::string_view line) {
  const auto malformed = [&](std::string_view why) {
    return std::unexpected(
        fmt::format("malformed comparison: {}; {} (for example: mod(\"key\") > \"0\")", line, why));
  };
  std::string_view rest = trim(line);
  const auto open = rest.find('(');
  if (open == std::string_view::npos) return malformed("expecting TARGET(\"KEY\") OPERATOR \"VALUE\"");
  const std::string_view target = trim(rest.substr(0, open));
  if (!known_target(target)) return malformed("the target is mod, create, version, value or lease");
  rest.remove_prefix(open + 1);
  auto key = take_quoted(rest);
  rest = trim(rest);
  if (!key || !rest.starts_with(')')) return malformed("the key stands in quotes and parentheses");
  rest.remove_prefix(1);
  const auto result = take_operator(rest);
  if (!result) return malformed("the operator is <, =, > or !=");
  auto value = take_quoted(rest);
  if (!value || !trim(rest).empty()) return malformed("the value stands in quotes, with nothing behind it");
  pb::Compare compare;
  compare.set_result(*result);
  compare.set_key(std::move(*key));
  if (!set_target(compare, target, *value)) return malformed("the value is not a number");
  return compare;
}

std::expected<pb::RequestOp, std::string> parse_operation(std::string_view line) {
  auto split = split_words(line);
  if (!split.error.empty())
    return std::unexpected(fmt::format("malformed operation: {}; {}", line, split.error));
  if (split.words.empty()) return std::unexpected("empty operation");
  const std::string verb = split.words.front();
  split.words.erase(split.words.begin());
  try {
    return operation(verb, std::move(split.words));
  } catch (const Failure& failure) {
    return std::unexpected(fmt::format("malformed operation: {}; {}", line, failure.text));
  } catch (const CLI::ParseError& error) {
    return std::unexpected(fmt::format("malformed operation: {}; {}", line, error.what()));
  }
}

std::expected<pb::TxnRequest, std::string> parse_txn(
    const std::function<std::optional<std::string>()>& next_line,
    const std::function<void(std::string_view)>& prompt) {
  pb::TxnRequest request;
  // Reads a section up to its blank line.
  const auto section = [&](std::string_view title, const auto& take) -> std::optional<std::string> {
    prompt(title);
    for (;;) {
      const auto line = next_line();
      if (!line || trim(*line).empty()) return std::nullopt;
      if (auto error = take(*line)) return error;
    }
  };
  const auto operations = [](auto* into) {
    return [into](const std::string& line) -> std::optional<std::string> {
      auto op = parse_operation(line);
      if (!op) return op.error();
      *into->Add() = std::move(*op);
      return std::nullopt;
    };
  };
  auto error = section("compares:", [&](const std::string& line) -> std::optional<std::string> {
    auto compare = parse_compare(line);
    if (!compare) return compare.error();
    *request.add_compare() = std::move(*compare);
    return std::nullopt;
  });
  if (!error) error = section("success requests (get, put, del):", operations(request.mutable_success()));
  if (!error) error = section("failure requests (get, put, del):", operations(request.mutable_failure()));
  if (error) return std::unexpected(std::move(*error));
  return request;
}

}  // namespace quorate::cli
