// Text forms shared by the verbs: tables, quoting, and etcdctl's JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Message;
}

namespace quorate::cli {

// +---+ boxes, headings upper-case and centred, cells to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string str() const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

// "…" with escapes, so that any bytes come out as one line of text.
[[nodiscard]] std::string quote(std::string_view bytes);
// \x61\x62…
[[nodiscard]] std::string hex_bytes(std::string_view bytes);
[[nodiscard]] std::string hex(std::uint64_t number);
[[nodiscard]] std::string base64(std::string_view bytes);
// A JSON string, with quotes; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);
// 20480 → "20 kB": powers of 1000.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
// 2359262ns → "2.359262ms".
[[nodiscard]] std::string human_duration(std::chrono::nanoseconds duration);

// The beginning of a line that fits into so many columns; sequences that set colours take none, and are kept.
[[nodiscard]] std::string fitting(std::string_view line, std::size_t columns);

// A message as etcdctl prints it: proto field names, numbers as numbers, bytes in base64, enums as numbers,
// defaults left out. (The JSON gateway's form differs: 64-bit numbers are strings there.)
[[nodiscard]] std::string json(const google::protobuf::Message& message);

// The words of one line: blanks separate; '…' literal, "…" with the escapes quote() writes.
struct Words {
  std::vector<std::string> words;
  std::string error;  // not empty: why the line cannot be split
};
[[nodiscard]] Words split_words(std::string_view line);

// The first key behind all keys with this prefix; "\0" (no end) if there is none.
[[nodiscard]] std::string prefix_end(std::string_view prefix);

}  // namespace quorate::cli
