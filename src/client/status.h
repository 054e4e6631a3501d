// How a call ended: the gRPC status codes (grpc/doc/statuscodes.md) and a text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace quorate::client {

enum class Code : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

struct Status {
  Code code = Code::ok;
  std::string message;
  // False when the request certainly had no effect (never sent, or refused before it was looked at), so that
  // even a write may be tried elsewhere.
  bool may_have_happened = true;

  [[nodiscard]] bool ok() const { return code == Code::ok; }
  friend bool operator==(const Status&, const Status&) = default;
};

[[nodiscard]] std::string_view name(Code code);

// The code of a `grpc-status` trailer; anything that is not a known number is `unknown`.
[[nodiscard]] Code code_from_trailer(std::string_view text);

// The code for an answer without grpc-status: the mapping of grpc/doc/http-grpc-status-mapping.md.
[[nodiscard]] Code code_from_http(int status);

// grpc-message is percent-encoded UTF-8; broken escapes are kept as they are.
[[nodiscard]] std::string percent_decode(std::string_view text);

}  // namespace quorate::client
