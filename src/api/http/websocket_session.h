// WebSocket (RFC 6455) on a connection that began as HTTP/1.1, for browsers, which have no other way of
// sending on while they receive. It carries one exchange: the messages of the client are the request's body,
// a line each; each piece of the answer is a message.
#pragma once

#include <memory>
#include <string_view>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "api/http/connection.h"

namespace quorate::http {

using WebSocketRequest = boost::beast::http::request<boost::beast::http::string_body>;

[[nodiscard]] bool asks_for_websocket(const WebSocketRequest& request);
// Accepts what `request` asks for, and has the handler handle it as a POST to its target.
[[nodiscard]] std::unique_ptr<Session> make_websocket_session(Hub& hub, Connection& connection,
                                                              WebSocketRequest request);

}  // namespace quorate::http
