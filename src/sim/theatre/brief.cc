#include "sim/theatre/brief.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include "core/entry.h"

namespace quorate::sim {

namespace {

namespace json = boost::json;

// The codec writes bytes as code points below 256.
std::string bytes_of(const json::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes += text[i];
    } else {
      bytes += static_cast<char>(((lead & 0x03U) << 6U) | (static_cast<unsigned char>(text[++i]) & 0x3FU));
    }
  }
  return bytes;
}

class Teller {
 public:
  explicit Teller(const ReadPayload& payload) : payload_(&payload) {}

  std::string value(const json::value& v) const {
    if (const auto* text = v.if_string()) return *payload_ ? (*payload_)(bytes_of(*text)) : bytes_of(*text);
    if (const auto* flag = v.if_bool()) return *flag ? "yes" : "no";
    if (const auto* list = v.if_array()) return array(*list);
    if (const auto* fields = v.if_object()) return object(*fields);
    return json::serialize(v);
  }

 private:
  std::string array(const json::array& list) const {
    std::string out = "[";
    for (const auto& each : list) out += (out.size() > 1 ? " " : "") + value(each);
    return out + "]";
  }

  std::string object(const json::object& fields) const {
    if (fields.contains("slot") && fields.contains("message"))
      return fmt::format("slot {}: {}", value(fields.at("slot")), value(fields.at("message")));
    if (fields.contains("type")) return named(fields);
    if (fields.size() == 2 && fields.contains("round") && fields.contains("node"))
      return value(fields.at("round")) + "." + value(fields.at("node"));
    if (fields.size() == 2 && fields.contains("n") && fields.contains("value"))
      return value(fields.at("n")) + ":" + value(fields.at("value"));
    if (fields.contains("epoch") && fields.contains("index") && fields.contains("kind")) return entry(fields);
    if (fields.contains("origin") && fields.contains("payload")) return what(fields);
    if (fields.contains("members") && fields.contains("outgoing")) return members(fields);
    return "{" + list(fields) + "}";
  }

  std::string named(const json::object& fields) const {
    const std::string rest = list(fields);
    return std::string(fields.at("type").as_string()) + (rest.empty() ? "" : " " + rest);
  }

  std::string list(const json::object& fields) const {
    std::string out;
    for (const auto& [name, v] : fields) {
      if (name == "type" || v.is_null()) continue;
      out += fmt::format("{}{}={}", out.empty() ? "" : " ", std::string_view(name), value(v));
    }
    return out;
  }

  // What stands in the log, or is decided in a slot.
  std::string what(const json::object& fields) const {
    const auto kind = static_cast<EntryKind>(fields.at("kind").to_number<int>());
    return kind == EntryKind::noop         ? "no-op"
           : kind == EntryKind::membership ? "membership"
                                           : value(fields.at("payload"));
  }

  std::string entry(const json::object& fields) const {
    return fmt::format("{}.{}:{}", value(fields.at("epoch")), value(fields.at("index")), what(fields));
  }

  std::string members(const json::object& fields) const {
    std::string out;
    for (const auto& member : fields.at("members").as_array())
      out += (out.empty() ? "" : ",") + value(member.at("id"));
    return out;
  }

  const ReadPayload* payload_;
};

}  // namespace

std::string brief(std::string_view text, const ReadPayload& payload) {
  boost::system::error_code error;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), error);
  return error ? std::string(text) : Teller(payload).value(parsed);
}

}  // namespace quorate::sim
