// How a call ended: the gRPC status codes (grpc/doc/statuscodes.md) and a text.
#pragma once

#include <string>
#include <string_view>

#include "api/http/code.h"

namespace quorate::client {

using http::Code;

struct Status {
  Code code = Code::ok;
  std::string message;
  // False when the request certainly had no effect (never sent, or refused before it was looked at), so that
  // even a write may be tried elsewhere.
  bool may_have_happened = true;

  [[nodiscard]] bool ok() const { return code == Code::ok; }
  friend bool operator==(const Status&, const Status&) = default;
};

// The code of a `grpc-status` trailer; anything that is not a known number is `unknown`.
[[nodiscard]] Code code_from_trailer(std::string_view text);

// The code for an answer without grpc-status: the mapping of grpc/doc/http-grpc-status-mapping.md.
[[nodiscard]] Code code_from_http(int status);

// grpc-message is percent-encoded UTF-8; broken escapes are kept as they are.
[[nodiscard]] std::string percent_decode(std::string_view text);

}  // namespace quorate::client
