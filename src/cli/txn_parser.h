// The text of a transaction, as etcdctl reads it: conditions, a blank line, the operations if all of them
// hold, a blank line, the operations if not, a blank line (or the end).
//
//   mod("key") > "0"          mod create version/ver value/val lease ("c" and "create" are the same),
//   value("key") = "text"     compared with < = > !=
//
//   put key "some text"
//   get key --prefix
//
//   del key
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "api/proto/rpc.pb.h"

namespace quorate::cli {

// The error says what is wrong and what is expected.
[[nodiscard]] std::expected<etcdserverpb::Compare, std::string> parse_compare(std::string_view line);
[[nodiscard]] std::expected<etcdserverpb::RequestOp, std::string> parse_operation(std::string_view line);

// Reads lines until there is no more (nullopt). `prompt` is told the name of each section.
[[nodiscard]] std::expected<etcdserverpb::TxnRequest, std::string> parse_txn(
    const std::function<std::optional<std::string>()>& next_line,
    const std::function<void(std::string_view)>& prompt);

}  // namespace quorate::cli
