// What people type: transactions, words, endpoints, addresses, time-outs.
#include "cli/text.h"

#include <optional>

#include "api/http/grpc.h"
#include "cli/txn_parser.h"
#include "client/endpoint.h"
#include "fuzz.h"
#include "net/address.h"

namespace quorate::fuzz {
namespace {

void addresses(const std::string& text) {
  if (const auto address = net::parse_address(text)) {
    const auto again = net::parse_address(net::to_url(*address));
    require(again && *again == *address, "an address that changes when it is written: " + text);
  } else {
    require(!address.error().empty(), "a refusal without a reason");
  }
  const auto endpoints = client::parse_endpoints(text);
  require(endpoints ? !endpoints->empty() : !endpoints.error().empty(), "neither endpoints nor a reason");
}

void words(const std::string& text) {
  (void)cli::split_words(text);
  const auto quoted = cli::split_words(cli::quote(text));
  require(quoted.error.empty() && quoted.words == std::vector{text}, "a quoted text that reads differently");
  (void)cli::json_string(text);
  (void)cli::base64(text);
  (void)cli::hex_bytes(text);
  const auto end = cli::prefix_end(text);
  require(end == std::string(1, '\0') || end > text, "a prefix that ends in front of itself");
}

void transactions(std::string_view text) {
  const auto next_line = [&]() -> std::optional<std::string> {
    if (text.empty()) return std::nullopt;
    const auto end = text.find('\n');
    std::string line(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    return line;
  };
  const auto txn = cli::parse_txn(next_line, [](std::string_view) {});
  if (!txn) return require(!txn.error().empty(), "a refusal without a reason");
  etcdserverpb::TxnRequest again;
  require(again.ParseFromString(txn->SerializeAsString()), "a transaction that can not be sent");
}

}  // namespace
}  // namespace quorate::fuzz

QUORATE_FUZZ(text) {
  using namespace quorate;
  const std::string text(input);
  fuzz::addresses(text);
  fuzz::words(text);
  fuzz::transactions(text);
  if (const auto timeout = http::grpc::parse_timeout(text))
    fuzz::require(*timeout >= http::Clock::duration::zero(), "a time-out in the past");
}
