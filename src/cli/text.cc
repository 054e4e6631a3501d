#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace quorate::cli {
namespace {

namespace proto = google::protobuf;

// Columns a cell takes on a terminal: UTF-8 continuation bytes take none.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Length of the UTF-8 sequence at the start of `text`, 0 if it is not one.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xc2 ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (size == 3 && ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f))) return 0;
  if (size == 4 && ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f))) return 0;
  return size;
}

std::string camel(std::string_view snake) {
  std::string out;
  bool upper = true;
  for (const char c : snake) {
    if (c == '_') {
      upper = true;
    } else {
      out.push_back(upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c);
      upper = false;
    }
  }
  return out;
}

class JsonWriter {
 public:
  std::string out;

  void message(const proto::Message& m) {
    const auto* descriptor = m.GetDescriptor();
    // A union shows as {"Response": {"ResponsePut": …}}: the name of the choice is the type's in Go.
    const bool is_union = descriptor->real_oneof_decl_count() == 1 &&
                          descriptor->oneof_decl(0)->field_count() == descriptor->field_count();
    if (is_union) return choice(m);
    out += '{';
    bool first = true;
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const auto* field = descriptor->field(i);
      if (!present(m, field)) continue;
      if (!first) out += ',';
      first = false;
      out += fmt::format("\"{}\":", field->name());
      value(m, field);
    }
    out += '}';
  }

 private:
  static bool present(const proto::Message& m, const proto::FieldDescriptor* field) {
    const auto* reflection = m.GetReflection();
    return field->is_repeated() ? reflection->FieldSize(m, field) > 0 : reflection->HasField(m, field);
  }

  void choice(const proto::Message& m) {
    const auto* field = m.GetReflection()->GetOneofFieldDescriptor(m, m.GetDescriptor()->oneof_decl(0));
    if (!field) {
      out += "{}";
      return;
    }
    out += fmt::format("{{\"{}\":{{\"{}\":", camel(field->containing_oneof()->name()), camel(field->name()));
    value(m, field);
    out += "}}";
  }

  void value(const proto::Message& m, const proto::FieldDescriptor* field) {
    if (!field->is_repeated()) return single(m, field, -1);
    out += '[';
    for (int i = 0; i < m.GetReflection()->FieldSize(m, field); ++i) {
      if (i > 0) out += ',';
      single(m, field, i);
    }
    out += ']';
  }

  void single(const proto::Message& m, const proto::FieldDescriptor* field, int index) {
    using F = proto::FieldDescriptor;
    const auto* r = m.GetReflection();
    const bool repeated = index >= 0;
    switch (field->cpp_type()) {
      case F::CPPTYPE_INT32:
        out += std::to_string(repeated ? r->GetRepeatedInt32(m, field, index) : r->GetInt32(m, field));
        break;
      case F::CPPTYPE_INT64:
        out += std::to_string(repeated ? r->GetRepeatedInt64(m, field, index) : r->GetInt64(m, field));
        break;
      case F::CPPTYPE_UINT32:
        out += std::to_string(repeated ? r->GetRepeatedUInt32(m, field, index) : r->GetUInt32(m, field));
        break;
      case F::CPPTYPE_UINT64:
        out += std::to_string(repeated ? r->GetRepeatedUInt64(m, field, index) : r->GetUInt64(m, field));
        break;
      case F::CPPTYPE_BOOL:
        out += (repeated ? r->GetRepeatedBool(m, field, index) : r->GetBool(m, field)) ? "true" : "false";
        break;
      case F::CPPTYPE_ENUM:
        out +=
            std::to_string(repeated ? r->GetRepeatedEnumValue(m, field, index) : r->GetEnumValue(m, field));
        break;
      case F::CPPTYPE_STRING: {
        const std::string text = repeated ? r->GetRepeatedString(m, field, index) : r->GetString(m, field);
        out += field->type() == F::TYPE_BYTES ? '"' + base64(text) + '"' : json_string(text);
        break;
      }
      case F::CPPTYPE_MESSAGE:
        message(repeated ? r->GetRepeatedMessage(m, field, index) : r->GetMessage(m, field));
        break;
      default: out += "null";  // the etcd API has no floating-point fields
    }
  }
};

int hex_value(char c) {
  const auto at = std::string_view("0123456789abcdef")
                      .find(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// The escape at line[i] (behind the backslash); moves i onto its last character.
bool unescape(std::string_view line, std::size_t& i, std::string& word) {
  switch (line[i]) {
    case 'a': word += '\a'; return true;
    case 'b': word += '\b'; return true;
    case 'f': word += '\f'; return true;
    case 'n': word += '\n'; return true;
    case 'r': word += '\r'; return true;
    case 't': word += '\t'; return true;
    case 'v': word += '\v'; return true;
    case '0': word += '\0'; return true;
    case 'x':
      if (i + 2 >= line.size() || hex_value(line[i + 1]) < 0 || hex_value(line[i + 2]) < 0) return false;
      word += static_cast<char>(hex_value(line[i + 1]) * 16 + hex_value(line[i + 2]));
      i += 2;
      return true;
    default: word += line[i]; return true;
  }
}

}  // namespace

std::string Table::str() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < headings_.size(); ++c) {
    std::size_t w = width(headings_[c]);
    for (const auto& cells : rows_) w = std::max(w, width(cells[c]));
    widths.push_back(w);
  }
  std::string rule = "+";
  for (const auto w : widths) rule += std::string(w + 2, '-') + '+';
  rule += '\n';
  std::string out = rule + "|";
  for (std::size_t c = 0; c < headings_.size(); ++c) {
    const auto space = widths[c] - width(headings_[c]);
    out += ' ' + std::string(space / 2, ' ') + headings_[c] + std::string(space - space / 2, ' ') + " |";
  }
  out += '\n' + rule;
  for (const auto& cells : rows_) {
    out += '|';
    for (std::size_t c = 0; c < cells.size(); ++c) {
      out += ' ' + std::string(widths[c] - width(cells[c]), ' ') + cells[c] + " |";
    }
    out += '\n';
  }
  return out + rule;
}

std::string quote(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    const char c = bytes[0];
    const std::size_t size = utf8_length(bytes);
    constexpr std::string_view kSpecial = "\a\b\f\n\r\t\v\\\"";
    if (const auto at = kSpecial.find(c); at != std::string_view::npos) {
      out += '\\';
      out += "abfnrtv\\\""[at];
      bytes.remove_prefix(1);
    } else if (size == 0 || (size == 1 && (c < 0x20 || c == 0x7f))) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      bytes.remove_prefix(1);
    } else {
      out += bytes.substr(0, size);
      bytes.remove_prefix(size);
    }
  }
  return out + '"';
}

std::string hex_bytes(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string hex(std::uint64_t number) { return fmt::format("{:x}", number); }

std::string fitting(std::string_view line, std::size_t columns) {
  std::string out;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t size = 1;
    if (line[at] == '\033') {
      size = line.find('m', at) - at + 1;
    } else {
      while (at + size < line.size() && (static_cast<unsigned char>(line[at + size]) & 0xC0U) == 0x80) ++size;
      if (columns == 0) size = 0;
      if (columns != 0) --columns;
    }
    out.append(line.substr(at, size));
    at += std::max<std::size_t>(size, 1);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const char c = text[0];
    const std::size_t size = utf8_length(text);
    if (size == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += {'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't'};
    } else if (size == 1 && (c < 0x20 || c == '<' || c == '>' || c == '&')) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out + '"';
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  return fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, kUnits[unit]);
}

std::string human_duration(std::chrono::nanoseconds duration) {
  const auto ns = duration.count();
  if (ns < 1000) return fmt::format("{}ns", ns);
  if (ns < 1000000) return fmt::format("{}µs", static_cast<double>(ns) / 1e3);
  if (ns < 1000000000) return fmt::format("{}ms", static_cast<double>(ns) / 1e6);
  return fmt::format("{}s", static_cast<double>(ns) / 1e9);
}

std::string json(const proto::Message& message) {
  JsonWriter writer;
  writer.message(message);
  return std::move(writer.out);
}

Words split_words(std::string_view line) {
  Words result;
  std::string word;
  bool in_word = false;
  char quote_mark = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote_mark != 0) {
      if (c == quote_mark) {
        quote_mark = 0;
      } else if (c == '\\' && quote_mark == '"') {
        ++i;
        if (i == line.size() || !unescape(line, i, word)) return {{}, "bad escape in a quoted word"};
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote_mark = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      if (in_word) result.words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote_mark != 0) return {{}, fmt::format("a quote ({}) is not closed", quote_mark)};
  if (in_word) result.words.push_back(std::move(word));
  return result;
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace quorate::cli
